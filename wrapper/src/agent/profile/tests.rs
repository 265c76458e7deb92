use super::*;

fn base(rules: Value) -> Value {
    json!({"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"], "syscalls": rules})
}

fn merged(rules: Value) -> Value {
    merge(&base(rules), "/run/a.sock").unwrap()
}

/// The actions of the rules for this family, with their conditions on other arguments.
fn of_family(profile: &Value, family: i32) -> Vec<(String, usize)> {
    let rules = profile["syscalls"].as_array().unwrap().iter();
    let sockets = rules.filter(|rule| names(rule) == ["socket"] && rule["args"][0]["valueTwo"] == family);
    sockets.map(|rule| (rule["action"].as_str().unwrap().into(), rule["args"].as_array().unwrap().len() - 1)).collect()
}

fn of(profile: &Value, name: &str) -> Vec<String> {
    let rules = profile["syscalls"].as_array().unwrap().iter().filter(|rule| names(rule).contains(&name));
    rules.map(|rule| rule["action"].as_str().unwrap().into()).collect()
}

#[test]
fn inet_sockets_go_to_the_agent_and_others_do_not() {
    let profile = merged(json!([{"names": ["read", "socket", "socketcall"], "action": "SCMP_ACT_ALLOW"}]));
    for family in ROUTED {
        assert_eq!(of_family(&profile, family), [("SCMP_ACT_NOTIFY".into(), 0)], "{family}");
    }
    for family in UNBINDABLE {
        assert_eq!(of_family(&profile, family), [("SCMP_ACT_ERRNO".into(), 0)], "{family}");
    }
    assert_eq!(of_family(&profile, libc::AF_UNIX), [("SCMP_ACT_ALLOW".into(), 0)]);
    assert_eq!(of(&profile, "read"), ["SCMP_ACT_ALLOW"]);
    assert!(of(&profile, "socketcall").is_empty(), "it would let 32-bit programs out");
    assert_eq!(profile["architectures"].as_array().unwrap().len(), 1);
    assert_eq!(profile["listenerPath"], "/run/a.sock");
}

#[test]
fn what_was_denied_stays_denied() {
    let no_vsock = json!([{"names": ["socket"], "action": "SCMP_ACT_ALLOW",
                           "args": [{"index": 0, "op": "SCMP_CMP_NE", "value": libc::AF_VSOCK}]}]);
    assert!(of_family(&merged(no_vsock), libc::AF_VSOCK).is_empty());
    let unix_alone = json!([{"names": ["socket"], "action": "SCMP_ACT_ALLOW",
                             "args": [{"index": 0, "op": "SCMP_CMP_EQ", "value": 1}]}]);
    assert!(of_family(&merged(unix_alone), libc::AF_INET).is_empty());
    let denied = json!([{"names": ["socket", "setns"], "action": "SCMP_ACT_ERRNO"}]);
    assert_eq!(of_family(&merged(denied.clone()), libc::AF_INET), [("SCMP_ACT_ERRNO".into(), 0)]);
    assert_eq!(of(&merged(denied), "setns"), ["SCMP_ACT_ERRNO"]);
}

#[test]
fn io_uring_is_denied_and_ways_into_other_namespaces_are_shown() {
    let profile = merged(json!([{"names": ["io_uring_setup", "unshare", "setns"], "action": "SCMP_ACT_ALLOW"}]));
    assert_eq!(of(&profile, "io_uring_setup"), ["SCMP_ACT_ERRNO"]);
    assert_eq!(
        (of(&profile, "unshare"), of(&profile, "setns")),
        (vec!["SCMP_ACT_NOTIFY".into()], vec!["SCMP_ACT_NOTIFY".into()])
    );
}

#[test]
fn conditions_on_other_arguments_are_kept() {
    let no_audit = json!([{"names": ["socket"], "action": "SCMP_ACT_ALLOW",
                           "args": [{"index": 2, "op": "SCMP_CMP_NE", "value": 9}]}]);
    assert_eq!(of_family(&merged(no_audit), libc::AF_INET6), [("SCMP_ACT_NOTIFY".into(), 1)]);
}

#[test]
fn a_profile_that_cannot_be_held_closed_is_refused() {
    assert!(merge(&json!({"defaultAction": "SCMP_ACT_ALLOW"}), "/a").is_err());
    assert!(merge(&base(json!([{"names": ["mount"], "action": "SCMP_ACT_NOTIFY"}])), "/a").is_err());
    assert!(merge(&json!([]), "/a").is_err());
    let unknown =
        json!([{"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "op": "X", "value": 1}]}]);
    assert!(merge(&base(unknown), "/a").is_err());
}

//! What the options promise, seen by the program that runs below them.

mod scene;

use scene::{EVERYBODY, Who, play, play_after, root, user};
use serde_json::Value;

/// Each mechanism that runs as root in a scene.
const MECHANISMS: [&str; 4] = ["bpf", "preload", "preload --no-supervisor", "seccomp"];

/// /etc of the scene's own, with one user whom the machine does not know.
const ACCOUNTS: &str = r"
    mkdir -p /srv; mount -t tmpfs tmpfs /srv; cp -r /etc /srv/etc; mount --bind /srv/etc /etc
    echo 'vrftest:x:7321:7322::/srv/home of vrftest:/bin/vrftest-shell' >>/etc/passwd
    printf 'vrftest:x:7322:\nvrftest-more:x:7323:root,vrftest\nvrftest-other:x:7324:vrftestx\nvrftest-seven:x:7777:\n' >>/etc/group";
const SHOW: &str = r#"sh -c 'echo $(id -u):$(id -g):$(id -G); echo "$HOME:$USER:$LOGNAME:$SHELL"'"#;

#[track_caller]
fn becomes(whom: &str, expected: &str) {
    for mechanism in MECHANISMS {
        let script = format!("HOME=/root SHELL=/bin/bash vrfrun -m {mechanism} -u {whom} --interface blue {SHOW}");
        play_after(ACCOUNTS, Who::Root, &script).prints(expected);
    }
}

#[test]
fn a_user_has_its_own_groups_home_and_shell() {
    let all = "7321:7322:7322 7323\n/srv/home of vrftest:vrftest:vrftest:/bin/vrftest-shell\n";
    becomes("vrftest", all);
    becomes("7321", all);
    becomes("vrftest:vrftest-other", "7321:7324:7324 7323\n/srv/home of vrftest:vrftest:vrftest:/bin/vrftest-shell\n");
}

#[test]
fn a_number_without_an_entry_has_nothing_of_roots() {
    becomes("7999", "7999:7999:7999\n/:7999:7999:/bin/sh\n");
    becomes("7999:7998", "7999:7998:7998\n/:7999:7999:/bin/sh\n");
    becomes("7999:vrftest", "7999:7322:7322\n/:7999:7999:/bin/sh\n");
}

#[test]
fn a_number_whose_group_is_anothers_is_refused() {
    let seen = play_after(ACCOUNTS, Who::Root, "vrfrun -u 7777 --interface blue id");
    seen.fails(125, "cannot become '7777': it has no entry in /etc/passwd, and group 7777 is 'vrftest-seven'");
    assert!(seen.stderr().contains("\nhint: vrfrun -u 7777:GROUP"), "{seen}");
    assert_eq!(seen.stdout(), "");
}

/// The descriptor's device, which the program reads.
const LOOK: &str = "import socket; s = socket.socket(fileno=30)
print(s.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16).split(b'\\0')[0].decode() or 'unbound')";

/// Runs vrfrun with an unbound listener as its descriptor 30, and one bound to `red` as its descriptor 40.
fn with_sockets(options: &str, also_bound: bool) -> scene::Seen {
    let script = format!(
        "cat >/srv/look.py <<'END'\n{LOOK}\nEND
         cat >/srv/give.py <<'END'
import os, socket, sys
listener = socket.socket(); listener.listen()
os.dup2(listener.fileno(), 30)
if {also_bound}:
    red = socket.socket(); red.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b'red')
    os.dup2(red.fileno(), 40)
os.execvp('vrfrun', ['vrfrun', *sys.argv[1:], '--interface', 'blue', 'python3', '/srv/look.py'])
END
         exec python3 /srv/give.py {options}",
        also_bound = if also_bound { "True" } else { "False" },
    );
    play_after("mount -t tmpfs tmpfs /srv", Who::Root, &script)
}

#[test]
fn keep_fds_leaves_inherited_sockets_as_they_are() {
    for mechanism in MECHANISMS {
        with_sockets(&format!("-m {mechanism}"), false).prints("blue\n");
        with_sockets(&format!("-m {mechanism} --keep-fds"), false).prints("unbound\n");
        let refused = with_sockets(&format!("-m {mechanism}"), true);
        refused.fails(125, "descriptor 40");
        assert!(refused.stderr().contains("--keep-fds"), "{refused}");
        with_sockets(&format!("-m {mechanism} --keep-fds"), true).prints("unbound\n");
    }
}

#[test]
fn unguarded_says_what_is_not_bound_and_binds_the_rest() {
    let seen = user("vrfrun -m preload --unguarded --interface blue probe socket inet6 syscall");
    // The last line is why it warns: nothing stands behind the shim.
    seen.prints("socket blue\ninet6 blue\nsyscall -\n");
    let warning = "vrfrun: warning: --unguarded: static and set-uid programs, own system calls, io_uring and \
                   cleared environments are not bound\n";
    assert_eq!(seen.stderr(), warning);
    user("vrfrun -m preload --unguarded --interface blue probe-static socket").fails(125, "statically linked");
}

/// The dynamic linker leaves out what it cannot load, and starts the program. Where something stands behind it, it is bound.
#[test]
fn a_shim_that_cannot_be_loaded_is_no_binding() {
    for damage in ["chmod 0", "truncate -s 0", "truncate -s 60"] {
        let script = format!(
            "cp /mnt/vrfrun /mnt/libvrfshim.so /srv; {damage} /srv/libvrfshim.so
            for options in --unguarded --no-supervisor ''; do /srv/vrfrun -m preload $options --interface blue probe socket; done"
        );
        let seen = play_after("mount -t tmpfs tmpfs /srv; chmod 777 /srv", Who::User, &script);
        seen.prints("socket ENETUNREACH\nsocket blue\n");
        assert!(seen.stderr().contains("the dynamic linker cannot load '/srv/libvrfshim.so'"), "{damage}: {seen}");
    }
}

/// What only root can read, the dynamic linker leaves out for others: without a supervisor nothing would bind.
#[test]
fn a_shim_that_the_user_cannot_read_is_no_binding() {
    let setting = "mount -t tmpfs tmpfs /srv; cp /mnt/vrfrun /mnt/libvrfshim.so /srv; chmod 700 /srv";
    for options in ["--unguarded", "--no-supervisor"] {
        let run = |who: &str| format!("/srv/vrfrun -m preload {options} {who} --interface blue probe socket");
        let seen = play_after(setting, Who::Root, &run("-u nobody"));
        seen.fails(125, "cannot bind to 'blue': preload: the dynamic linker cannot load '/srv/libvrfshim.so'");
        assert_eq!(seen.stdout(), "", "{seen}");
        play_after(setting, Who::Root, &run("-u root")).prints("socket blue\n");
    }
    let supervised = "/srv/vrfrun -m preload -u nobody --interface blue probe socket";
    play_after(setting, Who::Root, supervised).prints("socket blue\n");
}

/// The same where the shim is not found the second time.
#[test]
fn a_shim_that_goes_meanwhile_is_no_binding() {
    let setting = "mount -t tmpfs tmpfs /srv; cp /mnt/vrfrun /mnt/libvrfshim.so /srv; chmod 700 /srv";
    for options in ["--unguarded", "--no-supervisor"] {
        let run = format!("/srv/vrfrun -m preload {options} -u nobody --interface blue probe socket");
        // 126 where the call was to find the program.
        let script = format!(
            "for call in statx newfstatat readlink; do for number in 1 2 3 4 5 6; do
                strace -qq -o /dev/null -e inject=$call:error=EIO:when=$number {run} && exit 1; [ $? -ge 125 ] || exit 2
            done; done"
        );
        play_after(setting, Who::Root, &script).prints("");
    }
}

fn explained(options: &str, code: i32) -> Value {
    let seen = user(&format!("vrfrun --explain -j {options} --interface blue"));
    assert_eq!((seen.code(), seen.stderr().as_str()), (code, ""), "{seen}");
    serde_json::from_str(&seen.stdout()).unwrap_or_else(|error| panic!("{error}: {seen}"))
}

fn keys_of(object: &Value) -> Vec<&String> {
    let mut keys: Vec<&String> = object.as_object().unwrap().keys().collect();
    keys.sort();
    keys
}

/// A script reads these keys: what is there, and of which kind, is a contract.
#[test]
fn explain_in_json_has_its_shape() {
    let all = explained("", 0);
    let keys =
        ["already_bound", "chosen", "ifindex", "mechanisms", "name_servers", "refused", "table", "vrf", "warning"];
    assert_eq!(keys_of(&all), keys);
    assert!(all["refused"].is_null(), "{all}");
    assert_eq!((&all["vrf"], &all["chosen"], &all["table"]), (&"blue".into(), &"preload".into(), &Value::Null));
    assert!(all["ifindex"].is_u64() && (all["warning"].is_null() || all["warning"].is_string()), "{all}");
    let mechanisms = all["mechanisms"].as_array().unwrap();
    let names: Vec<&Value> = mechanisms.iter().map(|one| &one["mechanism"]).collect();
    assert_eq!(names, ["bpf", "preload", "seccomp"]);
    for one in mechanisms {
        match one["available"].as_bool() {
            Some(true) => assert_eq!(keys_of(one), ["available", "guard", "mechanism"], "{one}"),
            Some(false) => assert_eq!(keys_of(one), ["available", "hint", "mechanism", "reason"], "{one}"),
            None => panic!("{one}"),
        }
    }
    assert_eq!(mechanisms.iter().map(|one| &one["available"]).collect::<Vec<_>>(), [false, true, true]);
}

#[test]
fn explain_in_json_says_when_nothing_would_do() {
    let none = explained("-m bpf", 125);
    assert_eq!((&none["chosen"], none["mechanisms"].as_array().unwrap().len()), (&Value::Null, 1));
    let outside = user("vrfrun --explain -j default");
    let outside: Value = serde_json::from_str(&outside.stdout()).unwrap();
    assert_eq!(
        (&outside["vrf"], &outside["ifindex"], &outside["mechanisms"]),
        (&"default".into(), &Value::Null, &Value::Array(Vec::new()))
    );
}

#[test]
fn netns_and_root_are_asked_for_by_name() {
    root("vrfrun -n no-such --interface blue true").fails(125, "cannot enter network namespace 'no-such'");
    user("vrfrun -u nobody --interface blue true").fails(125, "nobody");
}

#[test]
fn an_alternative_name_stands_for_the_devices_own() {
    let setting = "ip link property add dev blue altname mgmt; mount -t tmpfs tmpfs /srv; cp -a /etc /srv/etc
        mount --bind /srv/etc /etc; rm -f /etc/resolv.conf; echo system >/etc/resolv.conf
        mkdir -p /etc/vrf/blue; echo blues >/etc/vrf/blue/resolv.conf; chmod -R a+rX /etc/vrf";
    let program = "sh -c 'echo $VRFRUN_VRF; cat /etc/resolv.conf; probe socket inet6'";
    for mechanism in MECHANISMS {
        let script = format!("vrfrun -v -m {mechanism} --interface mgmt {program}");
        let seen = play_after(setting, Who::Root, &script);
        seen.prints("blue\nblues\nsocket blue\ninet6 blue\n");
        assert!(seen.stderr().contains(" device=blue "), "{seen}");
    }
    // An alternative name may be longer than any name.
    for length in [16, 127] {
        let long = "m".repeat(length);
        let setting = format!("ip link property add dev blue altname {long}");
        for (who, mechanism) in [(Who::Root, "bpf"), (Who::User, "preload"), (Who::User, "seccomp")] {
            let script = format!("vrfrun -m {mechanism} --interface {long} sh -c 'echo $VRFRUN_VRF; probe socket'");
            play_after(&setting, who, &script).prints("blue\nsocket blue\n");
        }
        user(&format!("vrfrun --interface {long} true")).fails(125, "No such device");
    }
    let seen = play_after(setting, Who::User, "vrfrun --explain -j --interface mgmt");
    let json: Value = serde_json::from_str(&seen.stdout()).unwrap();
    assert_eq!((&json["vrf"], &json["chosen"]), (&"blue".into(), &"preload".into()), "{seen}");
}

/// The scene's veths are no VRFs. What is run in VRFs: `tests/src/guest/run/each.rs`.
#[test]
fn each_runs_nothing_where_there_is_no_vrf() {
    for who in EVERYBODY {
        for (options, line) in [
            ("", "cannot run in every VRF: there is none here"),
            ("--match 'bl*' -j", "cannot run in every VRF: no name matches 'bl*'"),
            ("--interface", "the argument '--each' cannot be used with '--interface'"),
            ("-n nowhere", "cannot enter network namespace 'nowhere': No such file or directory"),
        ] {
            let seen = play(who, &format!("vrfrun each {options} -- echo ran"));
            seen.fails(125, &format!("vrfrun: {line}\n"));
            assert_eq!(seen.stdout(), "", "{seen}");
        }
    }
    root("vrfrun each -- no-such-command").fails(127, "cannot find 'no-such-command'");
}

use super::*;

fn device() -> Device {
    Device { name: "no-such-vrf".into(), ifindex: 7, table: None, emulates: None }
}

#[test]
fn given_servers_are_the_resolver() {
    let spec =
        EtcSpec { dns: vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()], ..EtcSpec::default() };
    for device in [Some(&device()), None] {
        let plan = plan(device, &spec).unwrap();
        assert_eq!(plan.resolv_conf.as_deref(), Some(&b"nameserver 192.0.2.1\nnameserver 2001:db8::1\n"[..]));
        assert!(plan.has_resolver());
    }
}

#[test]
fn a_vrf_without_files_needs_no_namespace() {
    assert!(plan(Some(&device()), &EtcSpec::default()).unwrap().is_empty());
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let spec = EtcSpec { resolv_conf: Some("/no/such".into()), ..EtcSpec::default() };
    let error = plan(None, &spec).unwrap_err().to_string();
    assert_eq!(error, "cannot read '/no/such': No such file or directory");
}

#[test]
fn a_file_without_an_end_is_not_read_to_its_end() {
    let spec = EtcSpec { resolv_conf: Some("/dev/zero".into()), ..EtcSpec::default() };
    assert_eq!(plan(None, &spec).unwrap_err().to_string(), "cannot read '/dev/zero': File too large");
}

#[test]
fn a_directory_that_leads_nowhere_is_not_taken_for_none() {
    let link = std::env::temp_dir().join(format!("vrfrun-etc-{}", std::process::id()));
    assert!(names_in(&link).unwrap().is_empty());
    std::os::unix::fs::symlink("/no/such", &link).unwrap();
    let seen = names_in(&link);
    std::fs::remove_file(&link).unwrap();
    assert!(matches!(seen, Err(Error::Etc { errno: Errno::ENOENT, .. })), "{seen:?}");
}

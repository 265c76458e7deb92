use std::os::unix::fs::symlink;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::*;

#[test]
fn a_socket_listens_where_the_kernel_says_so() {
    let text = "Num       RefCount Protocol Flags    Type St Inode Path\n\
                0000000000000000: 00000002 00000000 00010000 0001 01 1742 /run/vrfrun/oci-agent.sock\n\
                0000000000000000: 00000003 00000000 00000000 0001 03 1743 /run/other.sock\n\
                0000000000000000: 00000002 00000000 00010000 0001 01 1744\n";
    assert_eq!(listening(text), BTreeSet::from(["/run/vrfrun/oci-agent.sock"]));
}

#[test]
fn a_profile_is_ours_if_it_hands_socket_over() {
    let profile = |action: &str, name: &str| serde_json::json!({"syscalls": [{"names": [name], "action": action}]});
    assert!(hands_over(&profile("SCMP_ACT_NOTIFY", "socket")));
    assert!(!hands_over(&profile("SCMP_ACT_NOTIFY", "mount")) && !hands_over(&profile("SCMP_ACT_ALLOW", "socket")));
    assert!(!hands_over(&Value::Null));
}

#[test]
fn each_half_of_a_setup_is_told_apart() {
    let said = |socket: Option<&str>, user| {
        let profile = Profile { file: "f".into(), socket: socket.map(str::to_owned), user };
        of_profile(&profile, |socket| (socket == "/here").then_some(1000)).map(|finding| finding.finding)
    };
    assert_eq!(said(None, Some(1000)), Some("agent-unnamed"));
    assert_eq!(said(Some("/there"), Some(1000)), Some("agent-missing"));
    assert_eq!(said(Some("/here"), Some(1001)), Some("agent-user"));
    assert_eq!((said(Some("/here"), Some(1000)), said(Some("/here"), None)), (None, None));
}

#[test]
fn a_container_that_is_not_where_it_should_be_is_named() {
    let said = |socket: Option<&str>, vrf: Option<&str>, is_bound| {
        let [socket, vrf] = [socket, vrf].map(|text| text.map(str::to_owned));
        let container = Container { id: "c".into(), vrf, socket, is_bound };
        let finding = of_container(&container, |socket| (socket == "/here").then_some(0), |vrf| vrf == "blue");
        finding.map(|finding| finding.finding)
    };
    assert_eq!(said(Some("/here"), Some("blue"), false), None);
    assert_eq!(said(Some("/here"), None, false), Some("container-without-vrf"));
    assert_eq!(said(Some("/here"), Some("red"), false), Some("container-vrf-missing"));
    assert_eq!(said(Some("/gone"), Some("blue"), false), Some("container-agent-gone"));
    assert_eq!(said(None, Some("blue"), false), Some("container-unbound"));
    assert_eq!((said(None, Some("blue"), true), said(None, None, false)), (None, None));
}

/// Its owner is a plain user, the reader is root.
#[test]
fn neither_a_fifo_nor_a_link_is_read_as_a_containers_record() {
    let top = env::temp_dir().join(format!("vrfsetup-containers-{}", std::process::id()));
    let [state, bundle] = ["state", "bundle"].map(|name| top.join(name));
    [&state, &bundle].iter().for_each(|directory| fs::create_dir_all(directory).unwrap());
    let status = serde_json::json!({"pid": std::process::id(), "bundle": bundle}).to_string();
    let config = serde_json::json!({"annotations": {ANNOTATION: "red"}}).to_string();
    let files = [(state.join("status"), status), (bundle.join("config.json"), config)];
    files.iter().for_each(|(file, text)| fs::write(file, text).unwrap());
    assert_eq!(read_container(&state).unwrap().vrf.as_deref(), Some("red"));
    for (file, text) in files {
        fs::rename(&file, top.join("elsewhere")).unwrap();
        symlink(top.join("elsewhere"), &file).unwrap();
        assert_eq!(read_container(&state), None, "a link {}", file.display());
        fs::remove_file(&file).unwrap();
        mkfifo(&file, Mode::S_IRWXU).unwrap();
        assert_eq!(read_container(&state), None, "a FIFO {}", file.display());
        fs::remove_file(&file).unwrap();
        fs::write(&file, text).unwrap();
    }
    fs::remove_dir_all(top).unwrap();
}

#[test]
fn what_a_user_wrote_is_no_command_and_no_terminals_business() {
    let hostile =
        ["x; evil", "x\u{1b}c", "\u{1b}]0;evil\u{7}", "x\u{202e}live", "$(evil)", "a\nfix: evil", "--evil", "é`evil`"];
    for text in hostile {
        for (socket, is_vrf) in [(Some(text), true), (Some(text), false), (None, true), (None, false)] {
            let vrf = Some(if is_vrf { "red" } else { text }.to_owned());
            let container = Container { id: text.into(), vrf, socket: socket.map(str::to_owned), is_bound: false };
            let found = of_container(&container, |_| None, |vrf| vrf == "red");
            assert!(found.is_some() || (socket, is_vrf) == (None, false), "{text:?}");
            found.into_iter().for_each(|finding| assert_harmless(&finding));
        }
        for socket in [None, Some(text.to_owned())] {
            let profile = Profile { file: text.into(), socket, user: Some(1000) };
            assert_harmless(&of_profile(&profile, |_| None).unwrap());
            assert_harmless(&of_profile(&profile, |_| Some(1001)).unwrap_or_else(|| panic!("{text:?}")));
        }
    }
}

fn assert_harmless(finding: &Finding) {
    assert!(!finding.fix.contains("evil") && !finding.fix.contains("live"), "{finding:?}");
    assert!(finding.vrf.as_deref().is_none_or(|vrf| vrf == "red"), "{finding:?}");
    let line = finding.to_string();
    assert!(is_printable(&line.trim_end().replace(['\'', '\\'], "")), "{line:?}");
}

//! Where vrfsetup's lines go: results that cannot be written are a failure, a log that nobody reads is not waited for, and
//! no name from outside commands a terminal.

mod namespace;

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use namespace::Namespace;

const CANNOT: &str = "vrfsetup: cannot use 'standard output': No space left on device\n";

/// Runs vrfsetup in it with a standard output that takes nothing.
fn to_full(namespace: &Namespace, words: &str) -> Output {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    namespace.command(env!("CARGO_BIN_EXE_vrfsetup")).args(words.split(' ')).stdout(full).output().unwrap()
}

#[track_caller]
fn assert_fails(output: &Output, words: &str) {
    assert_eq!((output.status.code(), &*String::from_utf8_lossy(&output.stderr)), (Some(1), CANNOT), "{words}");
}

#[test]
fn a_result_that_cannot_be_written_is_a_failure() {
    let namespace = Namespace::new();
    namespace.ip("link add eth1 type veth peer name far");
    assert!(namespace.vrfsetup("add blue --port eth1 --emulate").status.success());
    let texts = ["metrics", "export", "show", "doctor", "zones show", "rules check", "identify", "--help", "--version"];
    let lists = ["-j metrics", "-j export", "-j show", "-j doctor", "-j zones show", "-j pids blue", "-j identify"];
    for words in texts.iter().chain(&lists) {
        assert_fails(&to_full(&namespace, words), words);
    }
}

#[test]
fn what_was_changed_stays_changed_where_nobody_can_be_told() {
    let namespace = Namespace::new();
    assert_fails(&to_full(&namespace, "rules fix"), "rules fix");
    assert_eq!(namespace.vrfsetup("rules check").status.code(), Some(0));
}

#[test]
fn a_reader_who_has_gone_is_no_failure() {
    let namespace = Namespace::new();
    for words in ["metrics", "show", "-j doctor", "--help"] {
        let (reader, writer) = nix::unistd::pipe().unwrap();
        drop(reader);
        let mut command = namespace.command(env!("CARGO_BIN_EXE_vrfsetup"));
        let output = command.args(words.split(' ')).stdout(writer).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{words}");
        assert!([Some(0), Some(3)].contains(&output.status.code()), "{words}");
    }
}

/// With a log of the test's own at /dev/log.
fn logged(log: &Path, words: &str, state: &str) -> Output {
    let script = "mount -t tmpfs none /dev; : >/dev/log; mount --bind $0 /dev/log; exec timeout -s KILL 120 \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-ec", script]).arg(log).arg(env!("CARGO_BIN_EXE_vrfsetup")).args(words.split(' '));
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(state.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_log_that_nobody_reads_keeps_no_login_and_no_container_waiting() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let (log, filler) = (UnixDatagram::bind(&path).unwrap(), UnixDatagram::unbound().unwrap());
    for (words, priority) in [("session blue", 83), ("oci-hook", 27)] {
        let read = logged(&path, words, "{}");
        let said = String::from_utf8(read.stderr).unwrap();
        assert_eq!((read.status.code(), said.starts_with("vrfsetup: ")), (Some(2), true), "{words}: {said}");
        let mut entry = [0; 500];
        let length = log.recv(&mut entry).unwrap();
        let entry = String::from_utf8_lossy(&entry[..length]);
        assert!(entry.starts_with(&format!("<{priority}>vrfsetup[")), "{entry}");
        assert!(entry.ends_with(said.lines().next().unwrap().strip_prefix("vrfsetup").unwrap()), "{entry}{said}");
        filler.set_nonblocking(true).unwrap();
        while filler.send_to(b"x", &path).is_ok() {}
        let unread = logged(&path, words, "{}");
        assert_eq!((unread.status.code(), String::from_utf8(unread.stderr).unwrap()), (Some(2), said), "{words}");
        log.set_nonblocking(true).unwrap();
        while log.recv(&mut [0; 1]).is_ok() {}
    }
}

/// One line, and a hint where there is one, with no character that a terminal obeys.
#[track_caller]
fn assert_harmless(output: &Output, words: &str) {
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(said.contains(words) && !output.status.success(), "{said:?}");
    assert!(said.ends_with('\n') && !said.contains(|c: char| c.is_control() && c != '\n'), "{said:?}");
    assert!(said.lines().all(|line| !line.starts_with('b')), "a line of somebody else's: {said:?}");
}

#[test]
fn no_name_from_outside_commands_the_terminal() {
    let vrfsetup = || Command::new(env!("CARGO_BIN_EXE_vrfsetup"));
    let log = tempfile::NamedTempFile::new().unwrap();
    let pid = std::process::id();
    for (state, words) in [
        (r#"{"id":"c","pid":PID,"annotations":{"io.vrfrun.vrf":"x\u001by/"}}"#, "io.vrfrun.vrf"),
        (r#"{"id":"c","pid":PID,"annotations":{"io.vrfrun.vrf":"x\u001by"}}"#, "container 'c'"),
        (r#"{"id":"a\nb\u001b[31m\u009b","pid":PID,"annotations":{"io.vrfrun.vrf":"blue"}}"#, "'a?b?[31m?'"),
    ] {
        assert_harmless(&logged(log.path(), "oci-hook", &state.replace("PID", &pid.to_string())), words);
    }
    assert_harmless(&vrfsetup().args(["pids", "a\u{1b}[31m"]).output().unwrap(), "'a?[31m'");
    assert_harmless(&vrfsetup().args(["apply", "a\nb\u{1b}[31m"]).output().unwrap(), "a?b?[31m'");
    assert_harmless(&vrfsetup().arg("a\u{1b}[31m").output().unwrap(), "'a?[31m'");
}

#[test]
fn no_name_in_a_runtimes_words_commands_the_terminal() {
    let directory = tempfile::tempdir().unwrap();
    let runtime = directory.path().join("vrfrun-runc");
    symlink(env!("CARGO_BIN_EXE_vrfsetup"), &runtime).unwrap();
    let output = Command::new(runtime).args(["create", "--bundle", "a\nb\u{1b}[31m", "c"]).output().unwrap();
    assert_harmless(&output, "a?b?[31m");
}

#[test]
fn what_is_no_network_namespace_is_told_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let [fifo, file] = ["fifo", "file"].map(|name| directory.path().join(name).display().to_string());
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    std::fs::write(&file, "").unwrap();
    for name in [&fifo, &file, "/proc/self/ns/uts", &directory.path().display().to_string()] {
        let output = Command::new(env!("CARGO_BIN_EXE_vrfsetup")).args(["-n", name, "show"]).output().unwrap();
        let said = format!("vrfsetup: '{name}' is no network namespace\nhint: ip netns list\n");
        assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap()), (Some(1), said));
    }
}

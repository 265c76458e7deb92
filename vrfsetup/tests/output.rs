//! Where vrfsetup's lines go: results that cannot be written are a failure.

mod namespace;

use std::fs::OpenOptions;
use std::process::Output;

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

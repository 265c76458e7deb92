//! `rules fix` killed before each system call it makes: at no instant is local delivery interrupted, and a second run
//! fixes them. strace injects the kill; a flood of pings over lo and to a peer loses nothing.

mod namespace;

use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Command, Stdio};

use namespace::Namespace;

const TARGETS: [&str; 4] = ["127.0.0.1", "::1", "198.51.100.1", "192.0.2.2"];

#[test]
fn killed_before_any_system_call_it_loses_no_packet_and_a_second_run_fixes_them() {
    let namespace = Namespace::new();
    // 198.51.100.1 is the machine's own address, 192.0.2.2 a peer's.
    namespace.ip("addr add 198.51.100.1/32 dev lo");
    let peer = Namespace::new();
    namespace.ip(&format!("link add eth0 type veth peer name eth0 netns {}", peer.path()));
    namespace.ip("addr add 192.0.2.1/24 dev eth0");
    namespace.ip("link set eth0 up");
    peer.ip("addr add 192.0.2.2/24 dev eth0");
    peer.ip("link set eth0 up");
    let born = namespace.rules();
    assert!(namespace.vrfsetup("rules fix").status.success());
    let fixed = namespace.rules();
    assert!(namespace.vrfsetup("rules undo").status.success());

    let mut pings: Vec<Child> = TARGETS.iter().map(|target| flood(&namespace, target)).collect();
    let mut halfway = 0;
    for (call, times) in calls(&namespace) {
        for at in 1..=times {
            killed(&namespace, &call, at);
            halfway += usize::from(namespace.rules() != born);
            assert!(namespace.vrfsetup("rules fix").status.success());
            assert_eq!(namespace.rules(), fixed, "fixed after a kill at {call} {at}");
            assert!(namespace.vrfsetup("rules undo").status.success());
            assert_eq!(namespace.rules(), born, "undone after a kill at {call} {at}");
        }
    }
    assert!(halfway > 8, "only {halfway} kills came after the first change");
    for (ping, target) in pings.iter_mut().zip(TARGETS) {
        assert_nothing_lost(ping, target);
    }
}

/// Every system call that `rules fix` makes, with how often.
fn calls(namespace: &Namespace) -> BTreeMap<String, usize> {
    let log = format!("/tmp/vrfsetup-calls-{}", std::process::id());
    let mut strace = namespace.command("strace");
    strace.args(["-f", "-qq", "-o", &log, env!("CARGO_BIN_EXE_vrfsetup"), "rules", "fix"]).stdout(Stdio::null());
    assert!(strace.status().expect("strace").success());
    assert!(namespace.vrfsetup("rules undo").status.success());
    let text = fs::read_to_string(&log).expect("strace's log");
    fs::remove_file(&log).expect("strace's log");
    let mut calls = BTreeMap::new();
    for line in text.lines() {
        // "4711  openat(AT_FDCWD, …"
        let name = line.split_whitespace().nth(1).and_then(|call| call.split_once('(')).map(|(name, _)| name);
        if let Some(name) = name.filter(|name| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')) {
            *calls.entry(name.to_owned()).or_default() += 1;
        }
    }
    // Killing strace's own exec leaves nothing to look at.
    calls.remove("execve");
    assert!(calls.len() > 8, "{calls:?}");
    calls
}

fn killed(namespace: &Namespace, call: &str, at: usize) {
    let inject = format!("inject={call}:signal=SIGKILL:when={at}");
    let mut strace = namespace.command("strace");
    strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &inject, env!("CARGO_BIN_EXE_vrfsetup"), "rules", "fix"]);
    // It may make one call fewer than last time, and then ends by itself.
    strace.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("strace");
}

fn flood(namespace: &Namespace, target: &str) -> Child {
    let mut ping = namespace.command("ping");
    ping.args(["-n", "-q", "-i", "0.01", "-W", "5", target]).stdout(Stdio::piped()).spawn().expect("ping")
}

/// ping prints its summary when it is interrupted.
fn assert_nothing_lost(ping: &mut Child, target: &str) {
    let pid = ping.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill").success());
    let mut summary = String::new();
    let stdout = ping.stdout.as_mut().expect("a pipe");
    std::io::Read::read_to_string(stdout, &mut summary).expect("text");
    ping.wait().expect("ping");
    assert!(summary.contains(" 0% packet loss"), "{target}: {summary}");
    let sent: u32 =
        summary.split(" packets transmitted").next().and_then(|s| s.lines().last()?.trim().parse().ok()).unwrap_or(0);
    assert!(sent > 100, "{target}: {summary}");
}

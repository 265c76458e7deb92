//! `vrfrun --trace` in a real VRF: what it shows is what strace shows, and all of it is in blue.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;

use super::guest_tests;
use crate::harness::judge::{root, user};
use crate::harness::world::{Kind, World};

guest_tests! {
    it_shows_what_strace_shows_and_every_connection_is_in_blue needs [Supervisor],
}

const CURL: &[&str] = &["curl", "-sS", "--max-time", "60", "http://www.vrf.test/"];
const WGET: &[&str] = &["wget", "-q", "-T", "60", "-t", "1", "-O", "-", "http://www.vrf.test/"];

/// How many calls of this name name this family.
fn seen_by_strace(log: &str, call: &str, family: &str) -> usize {
    let begins = |line: &&str| line.contains(&format!("{call}(")) && line.contains(&format!("{family},"));
    log.lines().filter(begins).count()
}

/// The same of the trace's objects. A connection's family is that of its address.
fn shown(objects: &[Value], call: &str, family: &str) -> usize {
    let is_v6 = |object: &Value| match object["address"].as_str() {
        Some(address) => address.contains(':'),
        None => object["family"] == "inet6",
    };
    let is_so = |object: &&Value| object["call"] == call && is_v6(object) == (family == "AF_INET6");
    objects.iter().filter(is_so).count()
}

fn run(world: &mut World, log: &Path, as_root: bool, mechanism: &str, client: &[&str]) {
    let strace = ["strace", "-f", "-qq", "-e", "trace=socket,connect", "-e", "signal=none", "-o"];
    let before = ["vrfrun", "--trace=json", "-m", mechanism, "blue"];
    let log_name = log.to_str().expect("a plain path");
    let words: Vec<&str> = before.iter().chain(&strace).chain([&log_name]).chain(client).copied().collect();
    let verdict = world.judge(&if as_root { root(&words) } else { user(&words) });
    verdict.assert_blue();
    let objects = verdict.error_text().lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>();
    let mut objects = objects.unwrap_or_else(|error| panic!("{error}: {verdict}"));
    // The shim tries a socket in each program, and strace is one.
    objects.retain(|object| object["program"] != "strace");
    assert!(objects.iter().all(|object| object["device"] == "blue"), "{objects:?}");
    let log = fs::read_to_string(log).expect("strace's log");
    for (call, family) in ["socket", "connect"].into_iter().flat_map(|call| ["AF_INET", "AF_INET6"].map(|f| (call, f)))
    {
        let expected = seen_by_strace(&log, call, family);
        assert_eq!(shown(&objects, call, family), expected, "{call} {family}: {log}\n{objects:?}");
    }
    assert!(seen_by_strace(&log, "connect", "AF_INET") > 0, "{log}");
}

fn it_shows_what_strace_shows_and_every_connection_is_in_blue() {
    let mut world = World::of_machine(Kind::Vrfs).expect("a world");
    let log = world.directory().join("strace");
    fs::write(&log, "").expect("a file");
    fs::set_permissions(&log, Permissions::from_mode(0o666)).expect("a mode");
    for (as_root, mechanism) in
        [(true, "bpf"), (true, "preload"), (true, "seccomp"), (false, "preload"), (false, "seccomp")]
    {
        run(&mut world, &log, as_root, mechanism, CURL);
    }
    run(&mut world, &log, false, "preload", WGET);
}

//! `vrfsetup user` that is killed: the next run undoes what was done, and leaves no program behind.

use std::fs;
use std::process::Command;

use super::faults::{faulty, text};
use super::guest_tests;
use super::user::{ASKS, as_alice, assert_answers, programs, world};
use super::vrfsetup;
use crate::harness::vm::plan::DIRECTORY;
use crate::harness::world::Domain;

guest_tests! {
    what_a_killed_run_has_attached_goes_with_the_next_one needs [Once],
}

/// Which of the calls of bpf(2) that a command makes are of this kind, from 1 on.
fn calls(kind: &str, words: &str) -> Vec<usize> {
    let file = "/run/vrftest-calls";
    let traced = ["-qq", "-o", file, "-e", "trace=bpf", &format!("{DIRECTORY}/vrfsetup")];
    let traced = Command::new("strace").args(traced).args(words.split(' ')).output().expect("strace");
    assert!(traced.status.success(), "{}", text(&traced));
    let lines = fs::read_to_string(file).expect("the calls");
    fs::remove_file(file).expect("the file of calls");
    let calls = lines.lines().filter(|line| line.starts_with("bpf(")).enumerate();
    calls.filter(|(_, line)| line.contains(kind)).map(|(at, _)| at + 1).collect()
}

/// The programs of packets come first, and nothing leads from them to the map of users.
fn what_a_killed_run_has_attached_goes_with_the_next_one() {
    const PUT: &str = "user user blue";
    const TAKE: &str = "user --remove user";
    let mut users = world();
    let world = &mut users.0;
    let before = programs(world);
    let attached = calls("BPF_PROG_ATTACH", PUT);
    let detached = calls("BPF_PROG_DETACH", TAKE);
    assert_eq!((attached.len(), detached.len()), (9, 9), "one program at each hook");
    // Killed before one is attached, all that come before it are.
    for (count, at) in [(2, attached[2]), (8, attached[8])] {
        faulty(&format!("bpf:signal=SIGKILL:when={at}"), PUT);
        assert_eq!(programs(world), before + count, "what was killed");
        let next = vrfsetup(world, 0, "user --refresh");
        assert!(next.error_text().contains("is rolled back"), "{next}");
        assert_eq!((programs(world), vrfsetup(world, 0, "user").text().as_str()), (before, ""), "{next}");
    }
    vrfsetup(world, 0, PUT);
    faulty(&format!("bpf:signal=SIGKILL:when={}", detached[8]), TAKE);
    assert_eq!(programs(world), before + 1, "what was killed");
    vrfsetup(world, 0, "user --refresh");
    assert_eq!(programs(world), before + 9, "the user is back");
    assert_answers(world, &as_alice(ASKS), Domain::Blue);
    vrfsetup(world, 0, TAKE);
    assert_eq!(programs(world), before);
}

//! `vrfrun each`: a command in every VRF at the same time.

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;

use super::guest_tests;
use crate::harness::judge::{Order, Verdict, root, user};
use crate::harness::world::{Domain, Kind, World};

guest_tests! {
    every_vrf_answers_and_no_other_domain,
    an_object_tells_of_each_vrf,
    a_pattern_chooses_and_where_it_matches_none_nothing_is_run needs [Once],
    lines_are_never_mixed needs [Once],
    a_signal_ends_all_that_was_started,
}

const CURL: [&str; 4] = ["curl", "-sS", "--max-time", "60"];
const PAGE: &str = "http://192.0.2.80/";

fn world() -> World {
    World::of_machine(Kind::Vrfs).expect("a world")
}

/// The same by each mechanism, as root and as a plain user.
fn by_all_ways(words: &[&str]) -> [Order; 3] {
    let by = |mechanism| [&["vrfrun", "-m", mechanism, "each"], words].concat();
    [root(by("bpf")), root(by("preload")), user(by("preload"))]
}

fn sorted_lines(verdict: &Verdict) -> Vec<String> {
    let mut lines: Vec<String> = verdict.text().lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

fn every_vrf_answers_and_no_other_domain() {
    let mut world = world();
    for order in by_all_ways(&[&["--"], &CURL[..], &[PAGE]].concat()) {
        let verdict = world.judge(&order);
        assert_eq!((verdict.code, verdict.error_text().as_str()), (0, ""), "{verdict}");
        assert_eq!(sorted_lines(&verdict), ["blue: blue", "red: red"], "{verdict}");
        let packets = Domain::ALL.map(|domain| verdict.packets(domain) > 0);
        assert_eq!(packets, [false, true, true], "{verdict}");
    }
}

fn an_object_tells_of_each_vrf() {
    let mut world = world();
    let script = "printf '%s\\377' $VRFRUN_VRF >&2; echo out; [ $VRFRUN_VRF = red ] && exit 7; kill -9 $$";
    for order in by_all_ways(&["-j", "--", "sh", "-c", script]) {
        let verdict = world.judge(&order);
        assert_eq!((verdict.code, verdict.error_text().as_str()), (137, ""), "{verdict}");
        for (vrf, status) in [("blue", 137), ("red", 7)] {
            let objects = verdict.text();
            let mut objects = objects.lines().map(|line| serde_json::from_str::<Value>(line).expect("an object"));
            let object = objects.find(|object| object["vrf"] == vrf).unwrap_or_else(|| panic!("{vrf}\n{verdict}"));
            assert_eq!((&object["status"], &object["stdout"]), (&status.into(), &"out\n".into()), "{verdict}");
            assert_eq!(object["stderr"], format!("{vrf}\u{fffd}"), "{verdict}");
            assert!(object["seconds"].as_f64().is_some_and(|seconds| seconds < 150.0), "{verdict}");
        }
    }
}

fn a_pattern_chooses_and_where_it_matches_none_nothing_is_run() {
    let mut world = world();
    let verdict = world.judge(&root(["vrfrun", "each", "--match", "r*", "--", "printenv", "VRFRUN_VRF"]));
    assert_eq!((verdict.code, verdict.text().as_str()), (0, "red: red\n"), "{verdict}");
    let verdict = world.judge(&user(["vrfrun", "each", "--match", "eth0", "--", "echo", "ran"]));
    verdict.assert_says(125, "vrfrun: cannot run in every VRF: no name matches 'eth0'\n");
    assert_eq!(verdict.text(), "", "{verdict}");
}

fn lines_are_never_mixed() {
    let mut world = world();
    let script = "for i in $(seq 500); do printf \"$VRFRUN_VRF \"; echo $i; done; printf end";
    let verdict = world.judge(&user(["vrfrun", "each", "--", "sh", "-c", script]));
    let of = |vrf: &str| {
        let prefix = format!("{vrf}: ");
        verdict.text().lines().filter_map(|line| line.strip_prefix(&prefix).map(str::to_owned)).collect::<Vec<_>>()
    };
    for vrf in ["blue", "red"] {
        let expected = (1..=500).map(|i| format!("{vrf} {i}")).chain(["end".to_owned()]);
        assert_eq!(of(vrf), expected.collect::<Vec<_>>(), "{verdict}");
    }
}

/// The children of the commands as well.
fn a_signal_ends_all_that_was_started() {
    let mut world = world();
    for order in by_all_ways(&["--", "sh", "-c", "sleep 600 & echo $$ $!; wait"]) {
        let mut running = world.start(&order);
        running.wait_for("blue: ");
        running.wait_for("red: ");
        running.terminate();
        let verdict = running.finish(&mut world);
        assert_eq!(verdict.code, 143, "{verdict}");
        let text = verdict.text();
        let pids: Vec<&str> = text.lines().flat_map(|line| line.split(' ').skip(1)).collect();
        assert_eq!(pids.len(), 4, "{verdict}");
        // The signal has been sent to all; one that stays makes this test meet its time limit.
        while pids.iter().any(|pid| is_running(pid)) {
            sleep(Duration::from_millis(20));
        }
    }
}

/// What has ended, and waits for process 1 to take note, does not run.
fn is_running(pid: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.trim_start().is_empty() && !rest.trim_start().starts_with('Z'))
}

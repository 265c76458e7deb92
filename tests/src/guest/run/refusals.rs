//! When vrfrun must not start the program, and what it says instead.

use super::guest_tests;
use super::ways;
use crate::harness::judge::{Outcome, root, user};
use crate::harness::world::{Kind, World};

guest_tests! {
    unknown_vrf_exits_125_and_names_it,
    an_interface_that_is_no_vrf_exits_125_and_names_it,
    no_command_exits_125 needs [Once],
    a_command_that_is_not_there_exits_127 needs [Once],
    a_file_that_cannot_be_run_exits_126 needs [Once],
    the_programs_own_exit_status_comes_through needs [Once],
    a_vrf_deleted_while_a_program_runs_fails_closed,
}

fn world() -> World {
    World::of_machine(Kind::Vrfs).expect("a world")
}

/// Runs `vrfrun OPTIONS… touch FILE` by each mechanism, as root, and asserts that nothing ran.
fn is_refused(device: &str, words: &str) {
    let mut world = world();
    let mark = world.directory().join("it-ran");
    let mark = mark.to_str().expect("a plain path");
    for mechanism in ["auto", "bpf", "preload"] {
        let verdict = world.judge(&root(["vrfrun", "-m", mechanism, device, "touch", mark]));
        verdict.assert_says(125, words);
        assert!(!std::path::Path::new(mark).exists(), "{mechanism}: the program ran\n{verdict}");
    }
    world.judge(&user(["vrfrun", device, "touch", mark])).assert_says(125, words);
}

fn unknown_vrf_exits_125_and_names_it() {
    is_refused("purple", "'purple': No such device");
}

fn an_interface_that_is_no_vrf_exits_125_and_names_it() {
    is_refused("eth0", "'eth0'");
}

fn no_command_exits_125() {
    let mut world = world();
    world.judge(&root(["vrfrun", "blue"])).assert_says(125, "vrfrun: ");
    world.judge(&root(["vrfrun"])).assert_says(125, "vrfrun: ");
}

fn a_command_that_is_not_there_exits_127() {
    let mut world = world();
    for way in ways::ALL {
        world.judge(&way.order(&["no-such-command"])).assert_says(127, "'no-such-command'");
    }
}

fn a_file_that_cannot_be_run_exits_126() {
    let mut world = world();
    for way in ways::ALL {
        world.judge(&way.order(&["/etc/passwd"])).assert_says(126, "'/etc/passwd': Permission denied");
    }
}

fn the_programs_own_exit_status_comes_through() {
    let mut world = world();
    for way in ways::ALL {
        for code in [0, 1, 7, 125, 255] {
            let verdict = world.judge(&way.order(&["sh", "-c", &format!("exit {code}")]));
            assert_eq!(verdict.code, code, "{verdict}");
        }
    }
}

/// The port falls back into the default domain, addresses and all: sockets of the running program,
/// old and new, must not follow it there.
fn a_vrf_deleted_while_a_program_runs_fails_closed() {
    for (number, way) in ways::ALL.into_iter().enumerate() {
        let mut world = world();
        let mark = world.directory().join(format!("deleted-{number}"));
        let mut running = world.start(&way.order(&["hold_socket", mark.to_str().expect("a plain path")]));
        running.wait_for("ready");
        world.ip("link del blue");
        std::fs::write(&mark, b"").expect("a mark");
        let verdict = running.finish(&mut world);
        assert_eq!((verdict.code, verdict.outcome), (0, Outcome::Closed), "{verdict}");
        assert!(!verdict.text().contains(": ok"), "{verdict}");
    }
}

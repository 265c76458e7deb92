//! What the shim cannot reach is denied by the gate: an error, and not one packet.

use super::guest_tests;
use super::ways;
use crate::harness::world::{Kind, World};

guest_tests! {
    a_static_program_is_refused_before_it_starts,
    a_static_child_is_denied,
    a_go_child_is_denied,
    a_cleared_environment_is_denied,
    a_dynamic_program_passes,
}

fn is_denied(client: &[&str], words: &str) {
    let mut world = World::of_machine(Kind::Vrfs).expect("a world");
    for way in ways::GATED {
        let verdict = world.judge(&way.order(client));
        verdict.assert_closed();
        assert!(verdict.error_text().contains(words), "'{words}' is not in stderr\n{verdict}");
    }
}

/// vrfrun sees in the file that no shim can enter it, and says so.
fn a_static_program_is_refused_before_it_starts() {
    is_denied(&["static_client"], "statically linked");
    is_denied(&["go_client"], "statically linked");
}

fn a_static_child_is_denied() {
    is_denied(&["sh", "-c", "static_client"], "socket: Network is unreachable");
}

fn a_go_child_is_denied() {
    is_denied(&["sh", "-c", "go_client"], "socket: network is unreachable");
}

fn a_cleared_environment_is_denied() {
    is_denied(&["env", "-i", "/usr/bin/curl", "-sS", "http://192.0.2.80/"], "curl: (7)");
    is_denied(&["env", "-i", "/usr/bin/curl", "-sS", "http://www.vrf.test/"], "curl: (6)");
}

/// The gate must not close on those for whom it stands open.
fn a_dynamic_program_passes() {
    let mut world = World::of_machine(Kind::Vrfs).expect("a world");
    for way in ways::GATED {
        world.judge(&way.order(&["curl", "-sS", "http://www.vrf.test/"])).assert_blue();
    }
}

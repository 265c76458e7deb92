//! A change of vrfsetup is made whole or not at all, with real VRFs: each verb is refused, killed and interrupted at each
//! message that it sends, and then the kernel's state, as `ip -j` tells it, is what it was. `vrfsetup/tests` has the
//! same for what needs no VRF.

use std::fs;

use super::faults::{FIRST, Fault, MANY, faulty, text, vrfsetup_idle};
use super::guest_tests;
use super::{assert_same, state, vrfsetup};
use crate::harness::world::{Kind, World};

guest_tests! {
    add_refused_anywhere_changes_nothing needs [Once],
    add_killed_anywhere_is_undone_by_the_next_run needs [Once],
    add_ended_anywhere_by_a_signal_changes_nothing needs [Once],
    attach_refused_anywhere_changes_nothing needs [Once],
    attach_killed_anywhere_is_undone_by_the_next_run needs [Once],
    attach_ended_anywhere_by_a_signal_changes_nothing needs [Once],
    detach_refused_anywhere_changes_nothing needs [Once],
    detach_killed_anywhere_is_undone_by_the_next_run needs [Once],
    detach_ended_anywhere_by_a_signal_changes_nothing needs [Once],
    del_refused_anywhere_changes_nothing needs [Once],
    del_killed_anywhere_is_undone_by_the_next_run needs [Once],
    del_ended_anywhere_by_a_signal_changes_nothing needs [Once],
    leak_refused_anywhere_changes_nothing needs [Once],
    leak_killed_anywhere_is_undone_by_the_next_run needs [Once],
    leak_ended_anywhere_by_a_signal_changes_nothing needs [Once],
    apply_refused_anywhere_changes_nothing needs [Once],
    apply_killed_anywhere_is_undone_by_the_next_run needs [Once],
    apply_ended_anywhere_by_a_signal_changes_nothing needs [Once],
}

/// blue0 with addresses of both families and routes that need them, where the first VRF has been met.
pub(super) fn furnished() -> World {
    let world = World::new(Kind::Bare).expect("a world");
    world.ip("link add first type vrf table 9");
    world.ip("link del first");
    world.ip("addr add 203.0.113.1/24 dev blue0");
    world.ip("addr add 2001:db8:77::1/64 dev blue0 nodad");
    world.ip("route add 198.18.0.0/15 via 203.0.113.254 metric 7 proto static");
    world.ip("-6 route add 2001:db8:99::/48 via 2001:db8:77::fe");
    world
}

/// The same with blue0 as a port of blue.
pub(super) fn with_blue() -> World {
    let mut world = furnished();
    vrfsetup(&mut world, 0, "add blue --table 10 --port blue0");
    world
}

/// Has this come at each message of the verb, until it comes through, and undoes that too.
fn is_whole_or_not_at_all(mut world: World, words: &str, fault: Fault) {
    let before = state(&world);
    let mut halfway = 0;
    for at in FIRST..MANY {
        let injected = fault.injected("EPERM", at);
        let output = faulty(&format!("sendto:{injected}:when={at}"), words);
        if output.status.success() {
            break;
        }
        let next = if fault == Fault::Kill { text(&vrfsetup_idle()) } else { String::new() };
        halfway += usize::from(next.contains("is rolled back") || text(&output).contains("nothing is changed"));
        let said = format!("{words}, {injected} at message {at}: {}{next}", text(&output));
        assert!(!said.contains("could not be undone"), "{said}");
        let now = state(&world);
        if now != before {
            println!("{said}");
        }
        assert_same(&before, &now);
    }
    // A leak is one message for each family.
    let least = if words.starts_with("leak") { 1 } else { 2 };
    assert!(halfway >= least, "{words}: met halfway {halfway} times only");
    assert_ne!(state(&world), before, "{words}");
    vrfsetup(&mut world, 0, "rollback");
    assert_same(&before, &state(&world));
}

fn adding(fault: Fault) {
    is_whole_or_not_at_all(furnished(), "add blue --table 10 --port blue0", fault);
}

fn attaching(fault: Fault) {
    let mut world = furnished();
    vrfsetup(&mut world, 0, "add blue --table 10");
    is_whole_or_not_at_all(world, "attach blue blue0", fault);
}

fn detaching(fault: Fault) {
    is_whole_or_not_at_all(with_blue(), "detach blue0", fault);
}

fn deleting(fault: Fault) {
    let mut world = with_blue();
    vrfsetup(&mut world, 0, "leak blue default 198.18.0.0/15");
    is_whole_or_not_at_all(world, "del blue", fault);
}

fn leaking(fault: Fault) {
    is_whole_or_not_at_all(with_blue(), "leak blue default 198.18.0.0/15 2001:db8:99::/48", fault);
}

fn applying(fault: Fault) {
    let world = furnished();
    let file = world.directory().join("vrf.toml");
    let declared = "[vrf.blue]\nports = [\"blue0\"]\nroutes = [\"default via 203.0.113.254\"]\n[vrf.red]\ntable = 20\n";
    fs::write(&file, declared).expect("a file");
    is_whole_or_not_at_all(world, &format!("apply {}", file.display()), fault);
}

fn add_refused_anywhere_changes_nothing() {
    adding(Fault::Refusal);
}

fn add_killed_anywhere_is_undone_by_the_next_run() {
    adding(Fault::Kill);
}

fn add_ended_anywhere_by_a_signal_changes_nothing() {
    adding(Fault::Signal);
}

fn attach_refused_anywhere_changes_nothing() {
    attaching(Fault::Refusal);
}

fn attach_killed_anywhere_is_undone_by_the_next_run() {
    attaching(Fault::Kill);
}

fn attach_ended_anywhere_by_a_signal_changes_nothing() {
    attaching(Fault::Signal);
}

fn detach_refused_anywhere_changes_nothing() {
    detaching(Fault::Refusal);
}

fn detach_killed_anywhere_is_undone_by_the_next_run() {
    detaching(Fault::Kill);
}

fn detach_ended_anywhere_by_a_signal_changes_nothing() {
    detaching(Fault::Signal);
}

fn del_refused_anywhere_changes_nothing() {
    deleting(Fault::Refusal);
}

fn del_killed_anywhere_is_undone_by_the_next_run() {
    deleting(Fault::Kill);
}

fn del_ended_anywhere_by_a_signal_changes_nothing() {
    deleting(Fault::Signal);
}

fn leak_refused_anywhere_changes_nothing() {
    leaking(Fault::Refusal);
}

fn leak_killed_anywhere_is_undone_by_the_next_run() {
    leaking(Fault::Kill);
}

fn leak_ended_anywhere_by_a_signal_changes_nothing() {
    leaking(Fault::Signal);
}

fn apply_refused_anywhere_changes_nothing() {
    applying(Fault::Refusal);
}

fn apply_killed_anywhere_is_undone_by_the_next_run() {
    applying(Fault::Kill);
}

fn apply_ended_anywhere_by_a_signal_changes_nothing() {
    applying(Fault::Signal);
}

//! What happens at once, on a machine with two processors: runs that share a cgroup, a VRF that goes and comes while
//! programs are started in it, and two of vrfsetup's changing verbs.

pub(super) mod meeting;
mod scene;
mod sleeper;
pub mod stopped;
pub mod verbs;

use super::guest_tests;
use crate::harness::judge::root;
use crate::harness::world::plan::WEB4;
use crate::harness::world::{Domain, Kind, World};
use meeting::Meeting;
use verbs::{
    ADD, ADD_ANOTHER, APPLY, ATTACH, CONFIRM, DEL, DETACH, EMULATED, FIX, LEAK, LEAK_OUT, MOVE, ROLLBACK, TUNNEL,
    TUNNEL_OUT, UNCONFIRMED, UNDO, VERBS, ZONES, ZONES_OFF,
};

guest_tests! {
    two_runs_that_enter_and_leave_one_cgroup_are_both_bound needs [TwoProcessors],
    a_vrf_that_goes_and_comes_meanwhile_is_met_or_refused needs [TwoProcessors],
    two_verbs_at_once_end_as_one_after_the_other_add needs [TwoProcessors],
    two_verbs_at_once_end_as_one_after_the_other_add_another needs [TwoProcessors],
    two_verbs_at_once_end_as_one_after_the_other_del needs [TwoProcessors],
    two_verbs_at_once_end_as_one_after_the_other_attach needs [TwoProcessors],
    two_verbs_at_once_end_as_one_after_the_other_detach needs [TwoProcessors],
    two_verbs_at_once_end_as_one_after_the_other_leak needs [TwoProcessors],
    two_verbs_at_once_end_as_one_after_the_other_rules_fix needs [TwoProcessors],
    two_verbs_at_once_end_as_one_after_the_other_rules_undo needs [TwoProcessors],
    two_verbs_at_once_end_as_one_after_the_other_apply needs [TwoProcessors],
    two_verbs_at_once_end_as_one_after_the_other_rollback needs [TwoProcessors],
    two_verbs_at_once_end_as_one_after_the_other_unconfirmed needs [TwoProcessors],
    two_verbs_at_once_end_as_one_after_the_other_zones needs [TwoProcessors],
    two_verbs_at_once_end_as_one_after_the_other_tunnel needs [TwoProcessors],
    two_verbs_at_once_end_as_one_after_the_other_emulated needs [TwoProcessors],
    a_confirmation_beside_others_ends_as_one_after_the_other needs [TwoProcessors],
    a_confirmation_beside_vrfs_and_ports_ends_as_one_after_the_other needs [TwoProcessors],
    a_confirmation_beside_leaks_rules_and_files_ends_as_one_after_the_other needs [TwoProcessors],
    a_confirmation_beside_the_other_verbs_ends_as_one_after_the_other needs [TwoProcessors],
    zones_that_go_beside_others_end_as_one_after_the_other needs [TwoProcessors],
    leaks_and_tunnels_that_go_beside_others_end_as_one_after_the_other needs [TwoProcessors],
}

/// Prints the name of the domain that answers at the echo port.
fn greet() -> String {
    format!("bash -c 'exec 3<>/dev/tcp/{WEB4}/7 && head -n 1 <&3'")
}

fn two_runs_that_enter_and_leave_one_cgroup_are_both_bound() {
    const RUNS: usize = 12;
    let mut world = World::of_machine(Kind::Vrfs).expect("a world");
    let one = format!("for i in $(seq {RUNS}); do vrfrun -m bpf blue {} || echo failed: $?; done", greet());
    let verdict = world.judge(&root(["bash", "-c", &format!("({one}) & ({one}) & wait")]));
    assert_eq!((verdict.code, verdict.error_text().as_str()), (0, ""), "{verdict}");
    assert_eq!(verdict.text(), "blue\n".repeat(2 * RUNS), "{verdict}");
    verdict.assert_blue();
    let groups = world.judge(&root(["find", "/sys/fs/cgroup", "-name", "vrfrun-*"])).text();
    assert_eq!(groups.lines().count(), 1, "more than the one that is kept: {groups}");
}

/// It runs in blue, or it is told that there is no blue: nothing leaves by another domain.
fn a_vrf_that_goes_and_comes_meanwhile_is_met_or_refused() {
    let again = "link del blue\nlink add blue type vrf table 10\nlink set blue up\nlink set blue0 master blue\n\
                 route replace default via 198.51.100.1 dev blue0 table 10\n\
                 route replace unreachable default metric 4278198272 table 10\n";
    for mechanism in ["bpf", "preload", "seccomp"] {
        let mut world = World::of_machine(Kind::Vrfs).expect("a world");
        drop_resets(&mut world);
        let script = world.directory().join("again");
        std::fs::write(&script, again).expect("a script");
        let come_and_go = format!("for i in $(seq 15); do ip -force -batch {} || :; done", script.display());
        let run =
            format!("for i in $(seq 10); do timeout 5 vrfrun -m {mechanism} blue {}; echo ended: $?; done", greet());
        let verdict = world.judge(&root(["bash", "-c", &format!("({come_and_go}) & ({run}); wait")]));
        assert_eq!(verdict.packets(Domain::Default) + verdict.packets(Domain::Red), 0, "{mechanism}: {verdict}");
        let text = verdict.text();
        let ends = text.lines().filter(|line| line.starts_with("ended: ")).count();
        let others: Vec<&str> = text.lines().filter(|line| !line.starts_with("ended: ") && *line != "blue").collect();
        assert_eq!((ends, others.as_slice()), (10, [].as_slice()), "{mechanism}: {verdict}");
        let unclear = text.lines().filter_map(|line| line.strip_prefix("ended: "));
        // 1: bash could not connect; 124: its connection lost its way; 125: vrfrun refused.
        let unclear: Vec<&str> = unclear.filter(|code| !["0", "1", "124", "125"].contains(code)).collect();
        assert!(unclear.is_empty(), "{mechanism}: {unclear:?}\n{verdict}");
        world.judge(&root(["sh", "-c", &format!("ip -force -batch {}", script.display())]));
        let after = world.judge(&root(["sh", "-c", &format!("vrfrun -m {mechanism} blue {}", greet())]));
        after.assert_blue();
        assert_eq!(world.judge(&root(["nft", "delete table inet t"])).code, 0);
    }
}

/// What still arrives for a connection whose VRF is gone is answered by the kernel itself, with a reset that goes by its
/// default table: no socket sends it, whatever bound it.
fn drop_resets(world: &mut World) {
    let rules = "add table inet t; add chain inet t out { type filter hook output priority 0; }; \
                 add rule inet t out oifname eth0 tcp flags & rst == rst drop";
    let verdict = world.judge(&root(["nft", rules]));
    assert_eq!(verdict.code, 0, "{verdict}");
}

/// Each verb meets itself and those behind it in the list, which have met those before them.
fn ends_as_in_turn(first: &str) {
    after(&[], first);
}

/// The same of one that would have nothing to do without these.
fn after(before: &[&str], first: &str) {
    let others: Vec<&str> = VERBS.into_iter().skip_while(|verb| *verb != first).collect();
    Meeting { before, first }.ends_as_in_turn(&others);
}

fn two_verbs_at_once_end_as_one_after_the_other_add() {
    ends_as_in_turn(ADD);
}

fn two_verbs_at_once_end_as_one_after_the_other_add_another() {
    ends_as_in_turn(ADD_ANOTHER);
}

fn two_verbs_at_once_end_as_one_after_the_other_del() {
    ends_as_in_turn(DEL);
}

fn two_verbs_at_once_end_as_one_after_the_other_attach() {
    ends_as_in_turn(ATTACH);
}

fn two_verbs_at_once_end_as_one_after_the_other_detach() {
    ends_as_in_turn(DETACH);
}

fn two_verbs_at_once_end_as_one_after_the_other_leak() {
    ends_as_in_turn(LEAK);
}

fn two_verbs_at_once_end_as_one_after_the_other_rules_fix() {
    ends_as_in_turn(FIX);
}

fn two_verbs_at_once_end_as_one_after_the_other_rules_undo() {
    after(&[FIX], UNDO);
}

fn two_verbs_at_once_end_as_one_after_the_other_apply() {
    ends_as_in_turn(APPLY);
}

fn two_verbs_at_once_end_as_one_after_the_other_rollback() {
    // Where nothing has been changed it has nothing to undo, and does not come to a place where it could stop.
    Meeting { before: &[ADD], first: ROLLBACK }.ends_as_in_turn(&[ROLLBACK]);
    for first in VERBS.into_iter().skip_while(|verb| *verb != ROLLBACK).skip(1) {
        Meeting { before: &[], first }.ends_as_in_turn(&[ROLLBACK]);
    }
}

fn two_verbs_at_once_end_as_one_after_the_other_unconfirmed() {
    ends_as_in_turn(UNCONFIRMED);
}

fn two_verbs_at_once_end_as_one_after_the_other_zones() {
    ends_as_in_turn(ZONES);
}

fn two_verbs_at_once_end_as_one_after_the_other_tunnel() {
    ends_as_in_turn(TUNNEL);
}

fn two_verbs_at_once_end_as_one_after_the_other_emulated() {
    ends_as_in_turn(EMULATED);
}

fn a_confirmation_beside_others_ends_as_one_after_the_other() {
    Meeting { before: &[UNCONFIRMED], first: CONFIRM }.ends_as_in_turn(&[CONFIRM, ROLLBACK, ADD]);
}

fn zones_that_go_beside_others_end_as_one_after_the_other() {
    Meeting { before: &[ZONES], first: ZONES_OFF }.ends_as_in_turn(&[ZONES, DEL, ROLLBACK]);
}

fn a_confirmation_beside_vrfs_and_ports_ends_as_one_after_the_other() {
    Meeting { before: &[UNCONFIRMED], first: CONFIRM }.ends_as_in_turn(&[ADD_ANOTHER, DEL, ATTACH, DETACH]);
}

fn a_confirmation_beside_leaks_rules_and_files_ends_as_one_after_the_other() {
    Meeting { before: &[UNCONFIRMED], first: CONFIRM }.ends_as_in_turn(&[LEAK, FIX, UNDO, APPLY]);
}

fn a_confirmation_beside_the_other_verbs_ends_as_one_after_the_other() {
    Meeting { before: &[UNCONFIRMED], first: CONFIRM }.ends_as_in_turn(&[ZONES, TUNNEL, EMULATED, MOVE]);
}

fn leaks_and_tunnels_that_go_beside_others_end_as_one_after_the_other() {
    Meeting { before: &[LEAK], first: LEAK_OUT }.ends_as_in_turn(&[DEL, ROLLBACK]);
    Meeting { before: &[TUNNEL], first: TUNNEL_OUT }.ends_as_in_turn(&[DEL, ROLLBACK]);
}

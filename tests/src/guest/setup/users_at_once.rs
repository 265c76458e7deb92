//! `vrfsetup user` beside each other changing verb, judged by whose sockets the kernel binds to what, and by the ports that
//! packets leave by. In the machine's own network namespace: users are those of the machine.

use super::at_once::meeting::Meeting;
use super::at_once::verbs::{
    ADD, ATTACH, CONFIRM, DEL, DETACH, MOVE, MOVE_OUT, ROLLBACK, UNCONFIRMED, USER, USER_OUT, VERBS,
};
use super::guest_tests;
use super::user::programs_here;

guest_tests! {
    a_user_beside_vrfs_and_ports_ends_as_one_after_the_other needs [TwoProcessors],
    a_user_beside_leaks_rules_and_files_ends_as_one_after_the_other needs [TwoProcessors],
    a_user_beside_the_other_verbs_ends_as_one_after_the_other needs [TwoProcessors],
    a_user_beside_users_ends_as_one_after_the_other needs [TwoProcessors],
    a_user_beside_moves_ends_as_one_after_the_other needs [TwoProcessors],
    a_user_taken_out_beside_vrfs_and_ports_ends_as_one_after_the_other needs [TwoProcessors],
    a_user_taken_out_beside_what_is_undone_ends_as_one_after_the_other needs [TwoProcessors],
    a_user_and_its_refreshing_beside_a_confirmation_and_a_move_end_as_one_after_the_other needs [TwoProcessors],
}

/// No program of users is left then.
#[track_caller]
fn meets(before: &[&str], first: &str, others: &[&str]) {
    let programs = programs_here();
    Meeting { before, first }.ends_as_in_turn(others);
    assert_eq!(programs_here(), programs);
}

fn a_user_beside_vrfs_and_ports_ends_as_one_after_the_other() {
    meets(&[], USER, &VERBS[..5]);
}

fn a_user_beside_leaks_rules_and_files_ends_as_one_after_the_other() {
    meets(&[], USER, &VERBS[5..9]);
}

fn a_user_beside_the_other_verbs_ends_as_one_after_the_other() {
    meets(&[], USER, &VERBS[9..]);
}

fn a_user_beside_users_ends_as_one_after_the_other() {
    meets(&[], USER, &[USER, "user 1000 red", "user 1001 red", USER_OUT]);
}

fn a_user_beside_moves_ends_as_one_after_the_other() {
    meets(&[], USER, &[MOVE]);
    meets(&[MOVE], MOVE_OUT, &[USER]);
}

fn a_user_taken_out_beside_vrfs_and_ports_ends_as_one_after_the_other() {
    meets(&[USER], USER_OUT, &[DEL, ATTACH, DETACH]);
}

fn a_user_taken_out_beside_what_is_undone_ends_as_one_after_the_other() {
    meets(&[USER], USER_OUT, &[ADD, ROLLBACK, UNCONFIRMED]);
}

fn a_user_and_its_refreshing_beside_a_confirmation_and_a_move_end_as_one_after_the_other() {
    meets(&[UNCONFIRMED], CONFIRM, &[USER]);
    meets(&[USER], USER_OUT, &[MOVE]);
    meets(&[USER], ATTACH, &["user --refresh"]);
}

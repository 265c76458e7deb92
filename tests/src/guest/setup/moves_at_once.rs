//! `vrfsetup move` beside each other changing verb, judged by the cgroup of the process, by ss(8), and by what a new socket in
//! that cgroup is bound to. Beside `user`: users_at_once.rs.

use super::at_once::meeting::Meeting;
use super::at_once::verbs::{ATTACH, DEL, DETACH, EMULATED, MOVE, MOVE_OUT, ROLLBACK, UNCONFIRMED, VERBS};
use super::guest_tests;

guest_tests! {
    a_move_beside_vrfs_and_ports_ends_as_one_after_the_other needs [TwoProcessors],
    a_move_beside_leaks_rules_and_files_ends_as_one_after_the_other needs [TwoProcessors],
    a_move_beside_the_other_verbs_ends_as_one_after_the_other needs [TwoProcessors],
    a_move_beside_moves_ends_as_one_after_the_other needs [TwoProcessors],
    a_move_back_beside_vrfs_and_ports_ends_as_one_after_the_other needs [TwoProcessors],
    a_move_back_beside_the_other_verbs_ends_as_one_after_the_other needs [TwoProcessors],
}

const FORTH: Meeting = Meeting { before: &[], first: MOVE };
const BACK: Meeting = Meeting { before: &[MOVE], first: MOVE_OUT };

fn a_move_beside_vrfs_and_ports_ends_as_one_after_the_other() {
    FORTH.ends_as_in_turn(&VERBS[..5]);
}

fn a_move_beside_leaks_rules_and_files_ends_as_one_after_the_other() {
    FORTH.ends_as_in_turn(&VERBS[5..9]);
}

fn a_move_beside_the_other_verbs_ends_as_one_after_the_other() {
    FORTH.ends_as_in_turn(&VERBS[9..]);
}

fn a_move_beside_moves_ends_as_one_after_the_other() {
    FORTH.ends_as_in_turn(&[MOVE, "move red $PID", MOVE_OUT]);
}

fn a_move_back_beside_vrfs_and_ports_ends_as_one_after_the_other() {
    BACK.ends_as_in_turn(&[DEL, ATTACH, DETACH]);
}

fn a_move_back_beside_the_other_verbs_ends_as_one_after_the_other() {
    BACK.ends_as_in_turn(&[MOVE_OUT, EMULATED, ROLLBACK, UNCONFIRMED]);
}

//! `vrfsetup move` of processes of a user who is in a VRF by `vrfsetup user`: into another VRF with the sockets that it has,
//! and out of all.

use super::guest_tests;
use super::user::{ALICE, with_alice};
use super::{json, vrfsetup};
use crate::harness::judge::{Verdict, root};
use crate::harness::world::{Domain, World};

guest_tests! {
    a_process_of_a_user_moves_into_another_vrf_with_its_sockets,
    a_process_of_a_user_who_was_taken_out_moves_out_with_its_sockets,
}

/// Asks by a socket that it has from the beginning, and by a new one, for each line that it is told.
const ASKS_BY_LINES: &str = "
import socket, sys
old = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); old.bind(('', 7002))
print('up', flush=True)
for line in sys.stdin:
    for each in (old, socket.socket(socket.AF_INET, socket.SOCK_DGRAM)):
        try: each.sendto(b'x', ('192.0.2.53', 7)); print(each.getsockopt(socket.SOL_SOCKET, 25, 16).rstrip(bytes(1)), flush=True)
        except OSError as error: print(error.strerror, flush=True)
print('end', flush=True)";

/// What it says of both sockets after the move, the status of that, and with them the verdicts.
fn moved(world: &mut World, to: &str, before: &str) -> Verdict {
    // One that ends early closes the FIFO, and `read` fails.
    let script = format!(
        "cd {}; mkfifo lines told; {} python3 -c \"$1\" < lines > told & exec 7> lines 8< told; read up <&8 || exit 1
         {before}vrfsetup move {to} $! -j > verdicts; status=$?
         echo >&7; read one <&8; read other <&8; exec 7>&-; wait; rm lines told; cat verdicts; echo \"$one $other $status\" >&2",
        world.directory().display(),
        ALICE.join(" ")
    );
    let verdict = world.judge(&root(["sh", "-c", &script, "sh", ASKS_BY_LINES]));
    let socket = json(&verdict).as_array().expect("verdicts").iter().find(|one| one["protocol"] == "udp").cloned();
    assert!(socket.is_some_and(|socket| socket["verdict"] == "moved"), "{verdict}");
    verdict
}

fn a_process_of_a_user_moves_into_another_vrf_with_its_sockets() {
    let mut users = with_alice();
    let world = &mut users.0;
    let verdict = moved(world, "red", "");
    assert_eq!(verdict.error_text(), "b'red' b'red' 0\n", "{verdict}");
    assert_eq!((verdict.packets(Domain::Default), verdict.packets(Domain::Blue)), (0, 0), "{verdict}");
    assert!(verdict.packets(Domain::Red) > 0, "{verdict}");
    vrfsetup(world, 0, "user --remove user");
}

/// The programs stay for the sake of another user, and drop what has a tag.
fn a_process_of_a_user_who_was_taken_out_moves_out_with_its_sockets() {
    let mut users = with_alice();
    let world = &mut users.0;
    vrfsetup(world, 0, "user 1001 blue");
    let verdict = moved(world, "default", "vrfsetup user --remove user > /dev/null; ");
    assert_eq!(verdict.error_text(), "b'' b'' 0\n", "{verdict}");
    assert_eq!((verdict.packets(Domain::Red), verdict.packets(Domain::Blue)), (0, 0), "{verdict}");
    assert!(verdict.packets(Domain::Default) > 0, "{verdict}");
    vrfsetup(world, 0, "user --remove 1001");
}

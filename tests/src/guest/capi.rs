//! Programs that link libvrfshim, on kernels with VRFs: the library's examples judged by their packets, its own C test
//! (shim/tests/c/vrfs.c), and Python and Go.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::guest_tests;
use crate::harness::judge::{Order, root, user};
use crate::harness::world::{Domain, Kind, World};

guest_tests! {
    two_vrfs_are_asked_at_once,
    a_name_is_resolved_in_each_vrf,
    a_server_listens_in_each_vrf,
    promises_are_kept_in_programs_of_glibc,
    promises_are_kept_in_programs_of_musl,
    promises_are_kept_in_static_programs,
    a_deleted_vrf_closes_the_process,
    a_process_can_name_1024_vrfs_and_hears_of_it needs [Once],
    before_linux_5_7_a_user_is_told_eperm,
    under_vrfrun_null_leads_back_to_its_vrf,
    where_vrfrun_binds_first_the_library_agrees,
    a_set_uid_program_takes_no_order_from_its_callers_environment,
    python_moves_by_ctypes,
    go_asks_by_cgo,
}

/// How the programs are linked: shared with glibc, shared with musl, static. Only this machine has a musl to link with.
const LINKAGES: &[&str] = if cfg!(target_arch = "x86_64") { &["", "_musl", "_archive"] } else { &[""] };
/// As root and as a plain user.
type As = fn([String; 4]) -> Order;
const USERS: [As; 2] = [root::<String>, user::<String>];

/// A world and a fixed number of words for each way to link and each user.
fn in_every_way(program: &str, words: [&str; 3], mut check: impl FnMut(&mut World, &Order)) {
    let mut world = World::of_machine(Kind::Vrfs).expect("a world");
    for linkage in LINKAGES {
        for run_as in USERS {
            let [a, b, c] = words.map(str::to_owned);
            check(&mut world, &run_as([format!("{program}{linkage}"), a, b, c]));
        }
    }
}

fn two_vrfs_are_asked_at_once() {
    in_every_way("two_vrfs", ["www.vrf.test", "blue", "red"], |world, order| {
        let verdict = world.judge(order);
        let text = verdict.text();
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        assert_eq!((verdict.code, &lines[..]), (0, &["blue: blue", "red: red"][..]), "{verdict}");
        assert_eq!(verdict.packets(Domain::Default), 0, "{verdict}");
    });
}

/// All three domains give the same addresses for the name, so that only the packets can tell.
fn a_name_is_resolved_in_each_vrf() {
    in_every_way("resolve_in", ["www.vrf.test", "blue", "red"], |world, order| {
        let verdict = world.judge(order);
        let text = verdict.text();
        assert!(text.contains("blue: 192.0.2.80\n") && text.contains("red: 2001:db8::80\n"), "{verdict}");
        assert_eq!((verdict.code, verdict.packets(Domain::Default)), (0, 0), "{verdict}");
        assert!(verdict.packets(Domain::Blue) > 0 && verdict.packets(Domain::Red) > 0, "{verdict}");
    });
    // The program in one VRF leaves the other alone.
    let mut world = World::of_machine(Kind::Vrfs).expect("a world");
    let verdict = world.judge(&user(["resolve_in", "www.vrf.test", "red"]));
    assert_eq!((verdict.code, verdict.packets(Domain::Blue)), (0, 0), "{verdict}");
}

/// The same address and port in two VRFs: who comes through blue meets blue's listener.
fn a_server_listens_in_each_vrf() {
    let mut world = World::of_machine(Kind::Vrfs).expect("a world");
    let mut server = world.start(&user(["echo_server", "7007", "blue", "red"]));
    server.wait_for("ready");
    let mut told = String::from("ready\n");
    for vrf in ["blue", "red", "blue"] {
        // From the far end of this VRF's link.
        let client = format!("echo hello | nsenter -n -t $(pgrep -f 'vrfpeer {vrf}$') nc -N -w 60 198.51.100.2 7007");
        let output = Command::new("sh").args(["-c", &client]).output().expect("a client");
        assert_eq!(output.stdout, b"hello\n", "{vrf}: {output:?}");
        told += &format!("a client in {vrf}\n");
        server.wait_for(&told);
    }
    server.interrupt();
    let verdict = server.finish(&mut world);
    assert_eq!(verdict.packets(Domain::Default), 0, "{verdict}");
}

/// shim/tests/c/vrfs.c, as both users; it checks itself and makes no packets.
fn keeps_its_promises(program: &str) {
    let line = [program, "singles", "process", "threads", "forks", "signals", "stress"];
    let mut world = World::of_machine(Kind::Vrfs).expect("a world");
    for order in [root(line), user(line)] {
        let verdict = world.judge(&order);
        assert!(verdict.code == 0 && verdict.text().ends_with(" checks passed\n"), "{verdict}");
    }
}

fn promises_are_kept_in_programs_of_glibc() {
    keeps_its_promises("vrfs");
}

fn promises_are_kept_in_programs_of_musl() {
    keeps_its_promises("vrfs_musl");
}

/// The linker has put our socket() in the place of libc's: no code is changed at run time.
fn promises_are_kept_in_static_programs() {
    keeps_its_promises("vrfs_archive");
}

fn a_deleted_vrf_closes_the_process() {
    for program in ["vrfs", "vrfs_archive"] {
        let mut world = World::of_machine(Kind::Vrfs).expect("a world");
        let verdict = world.judge(&root([program, "deletion"]));
        assert_eq!((verdict.code, verdict.packets(Domain::Default)), (0, 0), "{verdict}");
    }
}

fn a_process_can_name_1024_vrfs_and_hears_of_it() {
    let mut world = World::of_machine(Kind::Vrfs).expect("a world");
    let verdict = world.judge(&root(["vrfs", "many_vrfs"]));
    assert!(verdict.code == 0 && verdict.text().ends_with(" checks passed\n"), "{verdict}");
}

fn before_linux_5_7_a_user_is_told_eperm() {
    let mut world = World::of_machine(Kind::Vrfs).expect("a world");
    for program in ["vrfs", "vrfs_musl", "vrfs_archive"] {
        let verdict = world.judge(&user(["confine", "old", program, "old_kernel"]));
        assert!(verdict.code == 0 && verdict.text().ends_with(" checks passed\n"), "{verdict}");
    }
}

/// The gate knows the library's calls by their cookie, whatever VRF they are for.
fn under_vrfrun_null_leads_back_to_its_vrf() {
    let mut world = World::of_machine(Kind::Vrfs).expect("a world");
    for mechanism in [&["-m", "preload", "--no-supervisor"][..], &["-m", "preload"]] {
        for program in ["vrfs", "vrfs_musl"] {
            let line = [&["vrfrun"], mechanism, &["blue", program, "under_vrfrun"]].concat();
            for order in [root(&line), user(&line)] {
                let verdict = world.judge(&order);
                assert_eq!(verdict.code, 0, "{verdict}");
            }
        }
    }
}

/// By its programs or its supervisor: what is in the VRF already is no failure, and what cannot be moved says why.
fn where_vrfrun_binds_first_the_library_agrees() {
    let mut world = World::of_machine(Kind::Vrfs).expect("a world");
    for mechanism in ["bpf", "seccomp"] {
        for user in ["root", "nobody"] {
            let verdict = world.judge(&root(["vrfrun", "-m", mechanism, "-u", user, "blue", "vrfs", "bound_before"]));
            assert!(verdict.code == 0 && verdict.text().ends_with(" checks passed\n"), "{mechanism} {user}: {verdict}");
        }
    }
}

/// Its caller could put the sockets of a privileged program where it likes.
fn a_set_uid_program_takes_no_order_from_its_callers_environment() {
    let mut world = World::of_machine(Kind::Vrfs).expect("a world");
    let program = Path::new("/usr/local/bin/set_uid"); // /tmp is mounted without set-uid
    fs::copy(world.bin().join("vrfs_archive"), program).expect("a copy");
    for (mode, code) in [(0o755, 1), (0o4755, 0)] {
        fs::set_permissions(program, Permissions::from_mode(mode)).expect("the mode");
        // Its first check is that sockets are unbound.
        let order = user([program.as_os_str(), "process".as_ref()]).env("VRFSHIM", "0000000000000000:red");
        let verdict = world.judge(&order);
        assert_eq!(verdict.code, code, "mode {mode:o}: {verdict}");
    }
}

fn python_moves_by_ctypes() {
    let script = "
import ctypes, os, socket
shim = ctypes.CDLL('libvrfshim.so.0', use_errno=True)
for vrf in b'blue', b'red':
    assert shim.vrf_set(vrf) == 0, os.strerror(ctypes.get_errno())
    print(socket.create_connection(('www.vrf.test', 7), 60).recv(64).decode().strip(), flush=True)
assert shim.vrf_set(b'nowhere') == -1
print(os.strerror(ctypes.get_errno()))";
    let mut world = World::of_machine(Kind::Vrfs).expect("a world");
    let bin = world.bin().to_owned();
    for order in [root(["python3", "-c", script]), user(["python3", "-c", script])] {
        let verdict = world.judge(&order.env("LD_LIBRARY_PATH", &bin));
        assert_eq!((verdict.code, verdict.text().as_str()), (0, "blue\nred\nNo such device\n"), "{verdict}");
        assert_eq!(verdict.packets(Domain::Default), 0, "{verdict}");
    }
}

fn go_asks_by_cgo() {
    let mut world = World::of_machine(Kind::Vrfs).expect("a world");
    for order in [root(["go_cgo", "blue", "red"]), user(["go_cgo", "blue", "red"])] {
        let verdict = world.judge(&order);
        assert_eq!((verdict.code, verdict.text().as_str()), (0, "blue: blue\nred: red\n"), "{verdict}");
        assert_eq!(verdict.packets(Domain::Default), 0, "{verdict}");
    }
}

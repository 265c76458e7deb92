//! `vrfsetup move` and inherited sockets of vrfrun where the port of a TCP socket is in use in the other domain: the kernel keeps
//! each in the list of ports that it was bound in, and Linux 7.2 panics over connections that share records of two lists.

use std::process::Command;

use super::guest_tests;
use super::moving::{start, world};
use super::vrfsetup;
use crate::harness::judge::{Order, root};
use crate::harness::wait;
use crate::harness::world::plan::OWN4;
use crate::harness::world::{Domain, World};

guest_tests! {
    a_listener_whose_port_is_in_use_there_stays,
    what_has_a_port_and_does_not_listen_yet_stays,
    such_sockets_are_not_inherited,
}

/// Greets by TCP at the port 4011, and closes first: the kernel then keeps what is left of the connection for a minute.
const GREETS: &str = "
import socket as S
s = S.create_server(('0.0.0.0', 4011)); print('up', flush=True)
while True: c = s.accept()[0]; c.sendall(b'hello'); c.close()
";
const ASKS: &str = "
import socket as S, sys
s = S.socket(); s.settimeout(60)
try: s.connect((sys.argv[1], int(sys.argv[2]))); print(s.recv(99).decode(), s.recv(1).decode())
except ConnectionRefusedError: print('nobody')
";
const IN_USE: &str = "its port is in use in blue";

/// Who is greeted at this port in the default domain and in blue.
#[track_caller]
fn greeted_at(world: &mut World, port: &str) -> [bool; 2] {
    [Domain::Default, Domain::Blue].map(|domain| {
        let words = world.at_peer(domain, &["python3", "-c", ASKS, OWN4, port]);
        let verdict = world.judge(&root(&words));
        assert_eq!(verdict.code, 0, "{verdict}");
        verdict.text().trim() == "hello"
    })
}

fn greeted(world: &mut World) -> [bool; 2] {
    greeted_at(world, "4011")
}

#[track_caller]
fn stays(world: &mut World, words: &str, why: &str) {
    let said = vrfsetup(world, 3, words).text();
    assert!(said.contains(&format!("stays: {why}")), "{said}");
}

fn in_blue(program: &str) -> Order {
    root(["vrfrun", "-m", "bpf", "blue", "python3", "-c", program])
}

/// What is left of connections by this port in blue.
fn left() -> bool {
    let ss = Command::new("ss").args(["-Htn", "state", "time-wait", "sport = :4011"]).output().expect("ss");
    String::from_utf8_lossy(&ss.stdout).contains("%blue:4011")
}

fn a_listener_whose_port_is_in_use_there_stays() {
    let mut world = world();
    let ours = start(&mut world, GREETS);
    let into = format!("move blue {}", ours.pid());
    let mut theirs = world.start(&in_blue(GREETS));
    theirs.wait_for("up");
    assert_eq!(greeted(&mut world), [true, true]);
    stays(&mut world, &into, IN_USE);
    drop(theirs);
    assert_eq!(greeted(&mut world), [true, false]);
    assert!(left());
    stays(&mut world, &into, IN_USE);
    assert_eq!(greeted(&mut world), [true, false]);
    // One comes back to what is left of its own connections.
    let other = start(&mut world, &GREETS.replace("4011", "4012"));
    for (to, greeted) in [("default", [true, false]), ("blue", [false, true]), ("default", [true, false])] {
        vrfsetup(&mut world, 0, &format!("move {to} {}", other.pid()));
        assert_eq!(greeted_at(&mut world, "4012"), greeted, "{to}");
    }
}

/// Where it listens afterwards, the kernel complains.
fn what_has_a_port_and_does_not_listen_yet_stays() {
    let mut world = world();
    let before = complaints();
    let later = GREETS.replace("s = S.create_server(('0.0.0.0', 4011)); print('up', flush=True)", LATER);
    let ours = start(&mut world, &later);
    let into = format!("move blue {}", ours.pid());
    stays(&mut world, &into, "it has a port, which stays in its domain, and does not listen yet");
    let signal = world.judge(&root(["kill", "-USR1", &ours.pid().to_string()]));
    assert_eq!(signal.code, 0, "{signal}");
    wait::until(|| greeted(&mut world), |greeted| *greeted == [true, false]);
    vrfsetup(&mut world, 0, &into);
    assert_eq!(greeted(&mut world), [false, true]);
    assert_eq!(complaints(), before);
}

const LATER: &str = "import signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
s = S.socket(); s.setsockopt(S.SOL_SOCKET, S.SO_REUSEADDR, 1); s.bind(('0.0.0.0', 4011)); print('up', flush=True)
signal.sigwait([signal.SIGUSR1]); s.listen(8)";

/// The kernel's, over a socket that listens in two domains.
fn complaints() -> usize {
    let log = Command::new("dmesg").output().expect("dmesg").stdout;
    String::from_utf8_lossy(&log).matches("WARNING").count()
}

/// Descriptor 30 listens at 4011 or only has the port.
const HANDS_OVER: &str = "
import os, socket as S, subprocess, sys
s = S.socket(); s.setsockopt(S.SOL_SOCKET, S.SO_REUSEADDR, 1); s.bind(('0.0.0.0', 4011))
if sys.argv[1] == 'listens': s.listen(8)
os.dup2(s.fileno(), 30)
sys.exit(subprocess.run(['vrfrun', *sys.argv[2:], 'blue', 'echo', 'ran'], pass_fds=[30]).returncode)
";

fn such_sockets_are_not_inherited() {
    let mut world = world();
    let before = complaints();
    let with = |world: &mut World, words: &[&str]| world.judge(&root([&["python3", "-c", HANDS_OVER], words].concat()));
    for mechanism in ["bpf", "preload", "seccomp"] {
        let words = ["listens", "-m", mechanism];
        let verdict = with(&mut world, &words);
        assert_eq!((verdict.code, verdict.text().as_str()), (0, "ran\n"), "{verdict}");
        let mut theirs = world.start(&in_blue(GREETS));
        theirs.wait_for("up");
        with(&mut world, &words).assert_says(125, "it is a listener whose port is in use there");
        drop(theirs);
        with(&mut world, &["waits", "-m", mechanism])
            .assert_says(125, "it is a TCP socket that has a port outside it and does not listen yet");
    }
    assert_eq!(complaints(), before);
}

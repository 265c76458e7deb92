//! `vrfsetup move` and inherited sockets of vrfrun where the port of a TCP socket is in use in the other domain: the kernel keeps
//! each in the list of ports that it was bound in, and Linux 7.2 panics over connections that share records of two lists.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

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
    what_is_bound_to_a_port_of_the_vrf_has_its_port_there,
    a_port_at_an_address_that_is_not_there_or_in_a_vrf_that_is_gone_is_kept,
    a_move_from_inside_a_vrf_sees_the_same_ports,
}

/// Greets by TCP at the port 4011, and closes first: the kernel keeps what is left of the connection for a minute.
pub(super) const GREETS: &str = "
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
/// Takes one connection, and then listens no more.
const KEEPS: &str = "
import socket as S, time
s = S.create_server(('0.0.0.0', 4011)); print('up', flush=True)
c = s.accept()[0]; s.close(); print('alone', flush=True); time.sleep(600)
";
const CONNECTS: &str = "
import socket as S, sys, time
s = S.create_connection((sys.argv[1], 4011)); time.sleep(600)
";

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

pub(super) fn inside(vrf: &str, program: &str) -> Order {
    root(["vrfrun", "-m", "bpf", vrf, "python3", "-c", program])
}

fn a_listener_whose_port_is_in_use_there_stays() {
    let mut world = world();
    let ours = start(&mut world, GREETS);
    let into = format!("move blue {}", ours.pid());
    let mut theirs = world.start(&inside("blue", KEEPS));
    theirs.wait_for("up");
    stays(&mut world, &into, "its port is in use in blue");
    let client = world.at_peer(Domain::Blue, &["python3", "-c", CONNECTS, OWN4]);
    let _client = world.start(&root(client));
    theirs.wait_for("alone");
    stays(&mut world, &into, "its port is in use in blue");
    assert_eq!(greeted(&mut world), [true, false]);
    // One comes back to what is left of its own connections.
    let program = GREETS.replace("4011", "4012");
    let other = start(&mut world, &program);
    for (to, greeted) in
        [("default", [true, false]), ("blue", [false, true]), ("default", [true, false]), ("blue", [false, true])]
    {
        vrfsetup(&mut world, 0, &format!("move {to} {}", other.pid()));
        assert_eq!(greeted_at(&mut world, "4012"), greeted, "{to}");
    }
    // And goes to no third domain where another listens.
    let mut reds = world.start(&inside("red", &program));
    reds.wait_for("up");
    stays(&mut world, &format!("move red {}", other.pid()), "its port is in use in red");
    assert_eq!(greeted_at(&mut world, "4012"), [false, true]);
}

/// Where it listens afterwards, the kernel complains.
fn what_has_a_port_and_does_not_listen_yet_stays() {
    let mut world = world();
    let mut log = log();
    let later = GREETS.replace("s = S.create_server(('0.0.0.0', 4011)); print('up', flush=True)", LATER);
    let ours = start(&mut world, &later);
    let into = format!("move blue {}", ours.pid());
    stays(&mut world, &into, "it has a port, which stays in its domain, and does not listen yet");
    let signal = world.judge(&root(["kill", "-USR1", &ours.pid().to_string()]));
    assert_eq!(signal.code, 0, "{signal}");
    wait::until(|| greeted(&mut world), |greeted| *greeted == [true, false]);
    vrfsetup(&mut world, 0, &into);
    assert_eq!(greeted(&mut world), [false, true]);
    assert!(!has_complaints(&mut log));
}

const LATER: &str = "import signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
s = S.socket(); s.setsockopt(S.SOL_SOCKET, S.SO_REUSEADDR, 1); s.bind(('0.0.0.0', 4011)); print('up', flush=True)
signal.sigwait([signal.SIGUSR1]); s.listen(8)";

/// The kernel's log from now on.
fn log() -> File {
    let mut log = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open("/dev/kmsg").expect("the log");
    log.seek(SeekFrom::End(0)).expect("its end");
    log
}

/// Whether the kernel has complained of a socket that listens in two domains.
fn has_complaints(log: &mut File) -> bool {
    let (mut text, mut record) = (Vec::new(), [0; 8192]);
    while let Ok(length) = log.read(&mut record) {
        text.extend_from_slice(&record[..length]);
    }
    String::from_utf8_lossy(&text).contains("inet_csk_get_port")
}

/// Descriptor 30 listens at 4011 or only has the port.
const HANDS_OVER: &str = "
import os, socket as S, subprocess, sys
s = S.socket(); s.setsockopt(S.SOL_SOCKET, S.SO_REUSEADDR, 1); s.bind(('0.0.0.0', 4011))
if sys.argv[1] == 'listens': s.listen(8)
os.dup2(s.fileno(), 30)
sys.exit(subprocess.run(['vrfrun', *sys.argv[2:], 'echo', 'ran'], pass_fds=[30]).returncode)
";

fn such_sockets_are_not_inherited() {
    let mut world = world();
    let mut log = log();
    let with = |world: &mut World, words: &[&str]| world.judge(&root([&["python3", "-c", HANDS_OVER], words].concat()));
    for mechanism in ["bpf", "preload", "seccomp"] {
        let words = ["listens", "-m", mechanism, "blue"];
        let verdict = with(&mut world, &words);
        assert_eq!((verdict.code, verdict.text().as_str()), (0, "ran\n"), "{verdict}");
        let mut theirs = world.start(&inside("blue", GREETS));
        theirs.wait_for("up");
        with(&mut world, &words).assert_says(125, "it is a listener whose port is in use there");
        drop(theirs);
        with(&mut world, &["waits", "-m", mechanism, "blue"])
            .assert_says(125, "it is a TCP socket that has a port outside it and does not listen yet");
    }
    assert!(!has_complaints(&mut log));
}

/// A connection of a socket at `blue0`: nothing that is bound to `blue` meets its port.
fn what_is_bound_to_a_port_of_the_vrf_has_its_port_there() {
    let mut world = world();
    let mut log = log();
    let ours = start(&mut world, GREETS);
    let into = format!("move blue {}", ours.pid());
    let mut theirs = world.start(&root(["vrfrun", "-m", "bpf", "--interface", "blue0", "python3", "-c", KEEPS]));
    theirs.wait_for("up");
    let client = world.at_peer(Domain::Blue, &["python3", "-c", CONNECTS, OWN4]);
    let client = world.start(&root(client));
    theirs.wait_for("alone");
    stays(&mut world, &into, "its port is in use in blue");
    drop(ours);
    let hands_over = |world: &mut World, program: &str, words: &[&str]| {
        world.judge(&root([&["python3", "-c", program][..], words].concat()))
    };
    // A plain user may not try a port below 1024, and looks at the kernel's list.
    let as_user = HANDS_OVER.replace("os.dup2", "os.setgid(65534); os.setuid(65534); os.dup2");
    for (program, words) in [
        (HANDS_OVER, ["listens", "-m", "bpf", "blue"].as_slice()),
        (HANDS_OVER, &["listens", "-m", "bpf", "--interface", "blue0"]),
    ] {
        hands_over(&mut world, program, words).assert_says(125, "it is a listener whose port is in use there");
    }
    drop((client, theirs));
    let why = "has a port outside it and does not listen";
    hands_over(&mut world, HANDS_OVER, &["waits", "-m", "bpf", "--interface", "blue0"]).assert_says(125, why);
    let verdict = hands_over(&mut world, &as_user.replace("4011", "80"), &["waits", "-m", "preload", "blue"]);
    // Before Linux 5.14 a plain user is refused for another reason.
    let said = String::from_utf8_lossy(&verdict.stderr);
    assert!(verdict.code == 125 && [why, "only root can tell"].iter().any(|why| said.contains(why)), "{verdict}");
    assert!(!has_complaints(&mut log));
}

const AFAR: &str = "s.setsockopt(S.SOL_IP, 15, 1); s.bind(('203.0.113.9', 4011))";

fn a_port_at_an_address_that_is_not_there_or_in_a_vrf_that_is_gone_is_kept() {
    let mut world = world();
    let mut log = log();
    let later = format!("import socket as S\n{LATER}; print('listens', flush=True); signal.pause()");
    let from_afar = later.replace("s.bind(('0.0.0.0', 4011))", AFAR);
    assert!(from_afar.contains(AFAR));
    let mut afar = start(&mut world, &from_afar);
    let why = "it has a port, which stays in its domain, and does not listen yet";
    stays(&mut world, &format!("move blue {}", afar.pid()), why);
    world.ip("link add gone type vrf table 4011");
    let mut left = world.start(&inside("gone", &later));
    left.wait_for("up");
    world.ip("link del gone");
    stays(&mut world, &format!("move default {}", left.pid()), why);
    kill(Pid::from_raw(afar.pid() as i32), Signal::SIGUSR1).expect("a signal");
    afar.wait_for("listens");
    assert!(!has_complaints(&mut log));
}

/// Programs of its own cgroup bind what it tries the port with.
fn a_move_from_inside_a_vrf_sees_the_same_ports() {
    let mut world = world();
    let mut ours = world.start(&inside("red", GREETS));
    ours.wait_for("up");
    let out = format!("move default {}", ours.pid());
    let mut theirs = start(&mut world, KEEPS);
    let client = world.at_peer(Domain::Default, &["python3", "-c", CONNECTS, OWN4]);
    let client = world.start(&root(client));
    theirs.wait_for("alone");
    for way in [&["-m", "bpf"][..], &["--strict"]] {
        let words = [&["vrfrun"], way, &["blue", "vrfsetup"], &out.split(' ').collect::<Vec<_>>()].concat();
        let verdict = world.judge(&root(&words));
        assert_eq!(verdict.code, 3, "{verdict}");
        assert!(verdict.text().contains("stays: its port is in use in default"), "{verdict}");
    }
    drop((client, theirs));
    let other = start(&mut world, &GREETS.replace("4011", "4012"));
    let into = format!("move red {}", other.pid());
    let words = [&["vrfrun", "--strict", "blue", "vrfsetup"], into.split(' ').collect::<Vec<_>>().as_slice()].concat();
    let verdict = world.judge(&root(&words));
    assert_eq!(verdict.code, 0, "{verdict}");
}

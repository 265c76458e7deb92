//! `vrfsetup move`: what runs already gets into a VRF and out of it, judged by who is answered, by packets and by ss(8).

mod programs;

use std::fs;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::guest_tests;
use super::{json, vrfsetup};
use crate::harness::judge::{Running, root, user};
use crate::harness::setting::Setting;
use crate::harness::wait;
use crate::harness::world::plan::{OWN4, OWN6, WEB4};
use crate::harness::world::{Domain, Kind, World};
use programs::{CLIENT, DAEMON, FORKS, HOLDER, ODD};

guest_tests! {
    listeners_and_datagram_sockets_move_and_connections_are_named,
    what_is_forked_meanwhile_comes_along needs [Once],
    of_two_moves_at_once_one_comes_last needs [Once],
    a_second_run_completes_what_was_killed,
    a_socket_that_was_made_in_the_vrf_leaves_it_with_the_last_process,
    what_cannot_be_moved_is_named needs [Supervisor],
}

const ALL: &str = "4001 4002 4003 4004 4005 ";

pub(super) fn world() -> World {
    let mut world = World::of_machine(Kind::Vrfs).expect("a world");
    vrfsetup(&mut world, 0, "rules fix");
    world
}

pub(super) fn start(world: &mut World, program: &str) -> Running {
    let mut daemon = world.start(&root(["python3", "-c", program]));
    daemon.wait_for("up");
    daemon
}

/// The ports that answer in each domain.
#[track_caller]
pub(super) fn answers(world: &mut World) -> [String; 3] {
    Domain::ALL.map(|domain| {
        let words = world.at_peer(domain, &["python3", "-c", CLIENT, OWN4, OWN6]);
        let verdict = world.judge(&root(&words));
        assert_eq!(verdict.code, 0, "{verdict}");
        verdict.text()
    })
}

/// In which domains what the daemon sends at this signal arrives.
fn sent(world: &mut World, daemon: &mut Running, signal: Signal) -> [bool; 3] {
    world.take().expect("tallies");
    let count = |daemon: &mut Running| String::from_utf8_lossy(&daemon.output()).matches("sent").count();
    let before = count(daemon);
    kill(Pid::from_raw(daemon.pid() as i32), signal).expect("a signal");
    while count(daemon) == before {
        sleep(Duration::from_millis(20));
    }
    sleep(Duration::from_millis(100)); // softirqs
    world.take().expect("tallies").map(|tally| tally.packets() > 0)
}

/// In which domains what a daemon sends without end arrives from now on: by as many packets as several of its processes and
/// sockets have sent.
pub(super) fn sends(world: &mut World) -> [bool; 3] {
    sleep(Duration::from_millis(300)); // softirqs
    world.take().expect("tallies");
    let mut all = [0; 3];
    let mut count = || {
        let more = world.take().expect("tallies").map(|tally| tally.packets());
        all.iter_mut().zip(more).for_each(|(all, more)| *all += more);
        all
    };
    wait::until(&mut count, |all| all.iter().sum::<u64>() >= 40).map(|packets| packets > 0)
}

/// By which domain.
const DEFAULT: [bool; 3] = [true, false, false];
const BLUE: [bool; 3] = [false, true, false];

/// What ss(8) shows of these ports: the devices.
fn devices() -> Vec<String> {
    let shown = Command::new("ss").args(["-Htuln", "sport >= :4001 and sport <= :4005"]).output().expect("ss");
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    let device = |line: &str| Some(line.split_whitespace().nth(4)?.rsplit_once(':')?.0.split_once('%')?.1.to_owned());
    shown.lines().map(|line| device(line).unwrap_or_default()).collect()
}

fn verdicts(report: &Value, verdict: &str) -> Vec<Value> {
    let is_it = |one: &&Value| one["verdict"] == verdict;
    report.as_array().expect("a list").iter().filter(is_it).cloned().collect()
}

fn listeners_and_datagram_sockets_move_and_connections_are_named() {
    let mut world = world();
    let _pings = Setting::everybody_may_ping();
    let mut daemon = start(&mut world, DAEMON);
    let pid = daemon.pid();
    assert_eq!(answers(&mut world), [ALL, "", ""]);
    let holder = world.at_peer(Domain::Default, &["python3", "-c", HOLDER, OWN4]);
    let mut holder = world.start(&root(&holder));
    holder.wait_for("on");

    let dry = json(&vrfsetup(&mut world, 3, &format!("move blue {pid} --dry-run -j")));
    assert_eq!((verdicts(&dry, "moves").len(), answers(&mut world)), (9, [ALL, "", ""].map(str::to_owned)), "{dry}");
    let moved = json(&vrfsetup(&mut world, 3, &format!("move blue {pid} -j")));
    assert_eq!(verdicts(&moved, "moved").len(), 9, "the process and eight sockets: {moved}");
    let named = verdicts(&moved, "stays");
    assert!(
        named.len() == 1 && named[0]["local"] == format!("{OWN4}:4001") && named[0]["from"] == "default",
        "{moved}"
    );
    assert_eq!(devices(), ["blue"; 5]);
    assert_eq!(answers(&mut world), ["", ALL, ""]);
    assert_eq!(vrfsetup(&mut world, 0, &format!("identify {pid}")).text(), "blue\n");

    // The connection goes on where it was, until somebody says otherwise.
    let told = holder.output().len();
    holder.wait_for(&".".repeat(told));
    let again = vrfsetup(&mut world, 3, &format!("move blue {pid}")).text();
    assert!(again.lines().count() == 1 && again.contains("--close-connections"), "{again}");
    let closed = vrfsetup(&mut world, 0, &format!("move blue {pid} --close-connections")).text();
    assert!(closed.contains(": closed"), "{closed}");
    assert!(holder.finish(&mut world).text().ends_with("Connection reset by peer\n"));
    assert_eq!(vrfsetup(&mut world, 0, &format!("move blue {pid}")).text(), "unchanged: nothing to do\n");
    assert_eq!(sent(&mut world, &mut daemon, Signal::SIGUSR1), BLUE);
    assert_eq!(sent(&mut world, &mut daemon, Signal::SIGUSR2), BLUE);

    vrfsetup(&mut world, 0, &format!("move red {pid}"));
    assert_eq!(answers(&mut world), ["", "", ALL]);
    vrfsetup(&mut world, 0, &format!("move default {pid}"));
    assert_eq!((devices(), answers(&mut world)), (vec![String::new(); 5], [ALL, "", ""].map(str::to_owned)));
    for signal in [Signal::SIGUSR1, Signal::SIGUSR2] {
        assert_eq!(sent(&mut world, &mut daemon, signal), DEFAULT);
    }
    assert_eq!(vrfsetup(&mut world, 0, &format!("identify {pid}")).text(), "\n");
}

fn what_is_forked_meanwhile_comes_along() {
    let mut world = world();
    let daemon = start(&mut world, FORKS);
    for (to, expected) in [("blue", BLUE), ("red", [false, false, true]), ("default", DEFAULT), ("blue", BLUE)] {
        vrfsetup(&mut world, 0, &format!("move {to} {}", daemon.pid()));
        assert_eq!(sends(&mut world), expected, "{to}");
    }
}

fn of_two_moves_at_once_one_comes_last() {
    let mut world = world();
    let _pings = Setting::everybody_may_ping();
    let mut daemon = start(&mut world, DAEMON);
    for _ in 0..3 {
        let moves = ["blue", "red"].map(|to| world.start(&root(["vrfsetup", "move", to, &daemon.pid().to_string()])));
        for mut one in moves {
            assert_eq!(one.finish(&mut world).code, 0);
        }
        let found = vrfsetup(&mut world, 0, &format!("identify {}", daemon.pid())).text();
        assert_eq!(devices(), [found.trim(); 5]);
        let expected = Domain::ALL.map(|domain| domain.name() == found.trim());
        for signal in [Signal::SIGUSR1, Signal::SIGUSR2] {
            assert_eq!(sent(&mut world, &mut daemon, signal), expected, "{found}");
        }
    }
}

/// Before which of these system calls, one run after the other: into the VRF and out of it.
const KILLS: [(&str, &[usize], &[usize]); 5] = [
    ("mkdir", &[2], &[]),
    ("setsockopt", &[1, 4, 8], &[1, 3, 3]),
    ("bpf", &[2, 20], &[2, 6]),
    ("write", &[2, 3, 4], &[1, 2, 3]),
    ("rmdir", &[], &[1]),
];

fn a_second_run_completes_what_was_killed() {
    let mut world = world();
    let _pings = Setting::everybody_may_ping();
    let daemon = start(&mut world, DAEMON);
    let pid = daemon.pid().to_string();
    for (call, into, out) in KILLS {
        for (to, from, device, at) in [("blue", "", "blue", into), ("default", "blue", "", out)] {
            for when in at {
                let inject = format!("inject={call}:signal=SIGKILL:when={when}");
                let killed = root(["strace", "-f", "-o", "/dev/null", "-e", &inject, "vrfsetup", "move", to, &pid]);
                let verdict = world.judge(&killed);
                assert_eq!(verdict.code, 137, "{to} {inject}: the kill never came: {verdict}");
                let between = devices();
                assert!(between.iter().all(|one| [device, from].contains(&one.as_str())), "{inject}: {between:?}");
            }
            vrfsetup(&mut world, 0, &format!("move {to} {pid}"));
            assert_eq!(devices(), [device; 5], "{to} {call}");
            assert_eq!(vrfsetup(&mut world, 0, &format!("move {to} {pid}")).text(), "unchanged: nothing to do\n");
        }
    }
    assert_eq!(answers(&mut world), [ALL, "", ""]);
}

fn a_socket_that_was_made_in_the_vrf_leaves_it_with_the_last_process() {
    let mut world = world();
    let _pings = Setting::everybody_may_ping();
    let mut daemon = world.start(&root(["vrfrun", "-m", "bpf", "blue", "python3", "-c", DAEMON]));
    daemon.wait_for("up");
    let mut other = world.start(&root(["vrfrun", "-m", "bpf", "blue", "sh", "-c", "echo in; sleep 600; :"]));
    other.wait_for("in");
    // Its programs would bind the sockets again: they stay, and work.
    let held = vrfsetup(&mut world, 3, &format!("move default {}", daemon.pid())).text();
    assert!(held.contains("made in a cgroup of that VRF that other processes are in"), "{held}");
    assert_eq!(answers(&mut world), ["", ALL, ""]);
    assert_eq!(sent(&mut world, &mut daemon, Signal::SIGUSR1), BLUE);
    assert_eq!(sent(&mut world, &mut daemon, Signal::SIGUSR2), DEFAULT);
    drop(other);
    vrfsetup(&mut world, 0, &format!("move default {}", daemon.pid()));
    assert_eq!(answers(&mut world), [ALL, "", ""]);
    assert_eq!(sent(&mut world, &mut daemon, Signal::SIGUSR1), DEFAULT);
}

fn what_cannot_be_moved_is_named() {
    let mut world = world();
    let odd = start(&mut world, ODD);
    let report = json(&vrfsetup(&mut world, 3, &format!("move blue {} -j", odd.pid())));
    let reasons: Vec<String> = verdicts(&report, "stays").iter().map(|one| one["reason"].to_string()).collect();
    for reason in ["another network namespace", "no VRF holds", "has bound it to 'eth0'"] {
        assert_eq!(reasons.iter().filter(|one| one.contains(reason)).count(), 1, "{reason}: {report}");
    }
    assert_eq!(verdicts(&report, "moved").len(), 1, "the process: {report}");

    let elsewhere = start(
        &mut world,
        "import ctypes, time; ctypes.CDLL(None).unshare(0x40000000)\nprint('up', flush=True); time.sleep(600)",
    );
    let filtered = world.start(&root(["vrfrun", "-m", "seccomp", "red", "sh", "-c", "sleep 600; :"]));
    let refused = vrfsetup(&mut world, 1, &format!("move blue {}", elsewhere.pid())).text();
    assert!(refused.contains("failed: it is in another network namespace"), "{refused}");
    while fs::read(format!("/proc/{}/comm", filtered.pid())).expect("a name") != b"sh\n" {
        sleep(Duration::from_millis(50));
    }
    let refused = vrfsetup(&mut world, 1, &format!("move blue {}", filtered.pid()));
    assert!(refused.text().contains("holds it in 'red'"), "{refused}");
    assert_eq!(vrfsetup(&mut world, 0, "move blue 4194303").text(), "process 4194303: gone\n");
    vrfsetup(&mut world, 1, "move nosuch 1").assert_says(1, "no interface 'nosuch'");
    vrfsetup(&mut world, 2, "move blue");
    let refused = world.judge(&user(["vrfsetup", "move", "blue", &odd.pid().to_string()]));
    refused.assert_says(1, "cannot move processes: only root can");
    assert_eq!(refused.error_text().lines().count(), 1, "{refused}");
    assert!(world.judge(&root(["curl", "-sS", &format!("http://{WEB4}/")])).code == 0);
}

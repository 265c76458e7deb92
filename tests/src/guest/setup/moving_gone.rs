//! `vrfsetup move` of processes that end meanwhile, or have ended in part: which of them is moved is judged by who is answered
//! and by packets.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::guest_tests;
use super::moving::{answers, sends, start, world};
use super::vrfsetup;
use crate::harness::judge::{Running, root};

guest_tests! {
    a_process_moves_whose_main_thread_has_ended,
    a_unit_whose_processes_have_all_ended_is_not_said_to_be_there,
    another_process_that_gets_the_number_meanwhile_stays needs [Once],
}

/// As a unit is between its end and its next start, when systemd has told its cgroup already.
fn a_unit_whose_processes_have_all_ended_is_not_said_to_be_there() {
    let mut world = world();
    let group = Path::new("/sys/fs/cgroup/vrftest-ended");
    fs::create_dir_all(group).expect("a cgroup");
    let systemctl = world.directory().join("systemctl");
    fs::write(&systemctl, "#!/bin/sh\necho /vrftest-ended\n").expect("a program");
    fs::set_permissions(&systemctl, fs::Permissions::from_mode(0o755)).expect("a program");
    let script = format!("PATH={}:$PATH; exec vrfsetup move blue --unit ended", world.directory().display());
    let verdict = world.judge(&root(["sh", "-c", &script]));
    fs::remove_dir(group).expect("nobody in it");
    verdict.assert_says(1, "no process of unit 'ended' runs any more; run it again");
    assert_eq!(verdict.text(), "");
}

/// Answers by UDP at 4004, and sends by one new socket after the other, each in a thread: the main one ends.
const LEADERLESS: &str = "
import ctypes, socket as S, threading, time
old = S.socket(S.AF_INET, S.SOCK_DGRAM); old.bind(('0.0.0.0', 4004))
def answer():
    while True: old.sendto(*old.recvfrom(99))
def send():
    while True: s = S.socket(S.AF_INET, S.SOCK_DGRAM); s.sendto(b'x', ('192.0.2.80', 7)); time.sleep(0.05)
for run in (answer, send): threading.Thread(target=run).start()
print('up', flush=True); ctypes.CDLL(None).syscall(60, 0)
";

fn a_process_moves_whose_main_thread_has_ended() {
    let mut world = world();
    let mut daemon = start(&mut world, LEADERLESS);
    let pid = daemon.pid();
    let stat = || fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
    daemon.wait_until("the end of its main thread", || stat().contains(") Z "));
    let has_pidfds_of_threads = has_pidfds_of_threads();
    let code = if has_pidfds_of_threads { 0 } else { 3 };
    for (to, identified, old, new) in [
        ("blue", "blue\n", ["", "4004 ", ""], [false, true, false]),
        ("default", "\n", ["4004 ", "", ""], [true, false, false]),
    ] {
        let moved = vrfsetup(&mut world, code, &format!("move {to} {pid}")).text();
        assert!(moved.contains(": moved: cgroup"), "{moved}");
        assert_eq!(vrfsetup(&mut world, 0, &format!("identify {pid}")).text(), identified);
        assert_eq!(sends(&mut world), new, "{to}");
        if has_pidfds_of_threads {
            assert_eq!(answers(&mut world), old);
            assert_eq!(vrfsetup(&mut world, 0, &format!("move {to} {pid}")).text(), "unchanged: nothing to do\n");
        } else {
            assert!(moved.contains("stays: its main thread has ended"), "{moved}");
            assert_eq!(answers(&mut world), ["4004 ", "", ""]);
        }
    }
}

/// PIDFD_THREAD is of Linux 6.9.
pub(super) fn has_pidfds_of_threads() -> bool {
    let program = "import ctypes, os; print(ctypes.CDLL(None).syscall(434, os.getpid(), os.O_EXCL))";
    let shown = Command::new("python3").args(["-c", program]).output().expect("python3");
    String::from_utf8_lossy(&shown.stdout).trim() != "-1"
}

/// A child answers by UDP at 4004. At SIGUSR1 it is killed, and another one gets its number and does the same.
const REUSED: &str = "
import ctypes, os, signal, socket as S, struct
def answer():
    s = S.socket(S.AF_INET, S.SOCK_DGRAM); s.bind(('0.0.0.0', 4004)); print('up', os.getpid(), flush=True)
    while True: s.sendto(*s.recvfrom(99))
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
first = os.fork()
if first == 0: answer()
signal.sigwait([signal.SIGUSR1])
os.kill(first, signal.SIGKILL); os.waitpid(first, 0)
number = ctypes.c_int(first)
clone = struct.pack('10Q', 0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, ctypes.addressof(number), 1)
second = ctypes.CDLL(None, use_errno=True).syscall(435, clone, len(clone))
assert second >= 0, os.strerror(ctypes.get_errno())
if second == 0: print('again', flush=True); answer()
os.waitpid(first, 0)
";

fn another_process_that_gets_the_number_meanwhile_stays() {
    let mut world = world();
    let mut parent = start(&mut world, REUSED);
    let output = String::from_utf8_lossy(&parent.output()).into_owned();
    let number = output.trim().strip_prefix("up ").expect("a number").to_owned();
    // It stops when it has made the cgroup, before anybody is in it; the first directory is the one below /run.
    let inject = "inject=mkdir:signal=SIGSTOP:when=2";
    let words = ["strace", "-f", "-o", "/dev/null", "-e", inject, "vrfsetup", "move", "blue", &number];
    let mut moving = world.start(&root(words));
    moving.wait_until("a cgroup", has_cgroup_of_blue);
    replace(&mut parent);
    moving.resume();
    let told = moving.finish(&mut world);
    told.assert_says(0, "");
    assert_eq!(told.text(), format!("process {number}: gone\n"));
    assert_eq!(vrfsetup(&mut world, 0, &format!("identify {number}")).text(), "\n");
    assert_eq!(answers(&mut world), ["4004 ", "", ""]);
    assert!(!has_cgroup_of_blue(), "an empty cgroup is left");
}

fn replace(parent: &mut Running) {
    kill(Pid::from_raw(parent.pid() as i32), Signal::SIGUSR1).expect("a signal");
    parent.wait_for("again\nup");
}

fn has_cgroup_of_blue() -> bool {
    let found = Command::new("find").args(["/sys/fs/cgroup", "-name", "vrfrun-blue-*"]).output().expect("find");
    !found.stdout.is_empty()
}

//! `vrfsetup move` of a process that has ended in part: where it is afterwards is judged by who is answered and by packets.

use std::fs;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use super::guest_tests;
use super::moving::{answers, start, world};
use super::vrfsetup;

guest_tests! {
    a_process_moves_whose_main_thread_has_ended,
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
    let daemon = start(&mut world, LEADERLESS);
    let pid = daemon.pid();
    while !fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process").contains(") Z ") {
        sleep(Duration::from_millis(20));
    }
    let has_pidfds_of_threads = has_pidfds_of_threads();
    let code = if has_pidfds_of_threads { 0 } else { 3 };
    for (to, identified, old, new) in [
        ("blue", "blue\n", ["", "4004 ", ""], [false, true, false]),
        ("default", "\n", ["4004 ", "", ""], [true, false, false]),
    ] {
        let moved = vrfsetup(&mut world, code, &format!("move {to} {pid}")).text();
        assert!(moved.contains(": moved: cgroup"), "{moved}");
        assert_eq!(vrfsetup(&mut world, 0, &format!("identify {pid}")).text(), identified);
        sleep(Duration::from_millis(300)); // softirqs
        world.take().expect("tallies");
        sleep(Duration::from_secs(2));
        assert_eq!(world.take().expect("tallies").map(|tally| tally.packets() > 0), new, "{to}");
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
fn has_pidfds_of_threads() -> bool {
    let program = "import ctypes, os; print(ctypes.CDLL(None).syscall(434, os.getpid(), os.O_EXCL))";
    let shown = Command::new("python3").args(["-c", program]).output().expect("python3");
    String::from_utf8_lossy(&shown.stdout).trim() != "-1"
}

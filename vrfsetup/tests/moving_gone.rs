//! `move` of processes that end meanwhile, or have ended in part. On this machine's kernel, which needs no VRF driver: a socket
//! whose device is gone is taken into the default domain.

mod namespace;

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use namespace::{Namespace, assert_says, text, wait_until};

/// Has a UDP socket that is bound to a device, in a thread; its main thread ends.
const LEADERLESS: &str = "
import ctypes, socket as S, threading, time
s = S.socket(S.AF_INET, S.SOCK_DGRAM); s.setsockopt(S.SOL_SOCKET, S.SO_BINDTODEVICE, b'going')
threading.Thread(target=time.sleep, args=(600,)).start()
print('up', flush=True); ctypes.CDLL(None).syscall(60, 0)
";

/// A child has such a socket. At a line of standard input it is killed, and another one gets its number and has one.
const REUSED: &str = "
import ctypes, os, signal, socket as S, struct, sys, time
def hold(device):
    s = S.socket(S.AF_INET, S.SOCK_DGRAM); s.bind(('127.0.0.1', 0)); s.setsockopt(S.SOL_SOCKET, S.SO_BINDTODEVICE, device)
    print(os.getpid(), flush=True); time.sleep(600)
first = os.fork()
if first == 0: hold(b'going')
input()
os.kill(first, signal.SIGKILL); os.waitpid(first, 0)
number = ctypes.c_int(first)
clone = struct.pack('10Q', 0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, ctypes.addressof(number), 1)
second = ctypes.CDLL(None, use_errno=True).syscall(435, clone, len(clone))
assert second >= 0, os.strerror(ctypes.get_errno())
if second == 0: hold(b'late')
input(); os.kill(first, signal.SIGKILL); os.waitpid(first, 0)
";

/// One that says a line when it is ready, and is killed with the value.
struct Python(Child);

impl Python {
    fn start(machine: &Namespace, program: &str) -> (Self, String) {
        let mut command = machine.command("python3");
        let child =
            command.args(["-c", program]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python3");
        let mut python = Self(child);
        let line = python.line();
        (python, line)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        let output = self.0.stdout.as_mut().expect("a pipe");
        BufReader::with_capacity(1, output).read_line(&mut line).expect("a line");
        line.trim().to_owned()
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn machine() -> Namespace {
    let machine = Namespace::new();
    machine.ip("link set lo up");
    machine.ip("link add going type veth peer name other");
    machine
}

#[test]
fn a_process_whose_main_thread_has_ended_is_not_taken_for_gone() {
    let machine = machine();
    let (python, _) = Python::start(&machine, LEADERLESS);
    let pid = python.0.id();
    let ended = || fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process").contains(") Z ");
    wait_until("the end of the main thread", ended);
    machine.ip("link del going");
    let moved = machine.vrfsetup(&format!("move default {pid}"));
    if !has_pidfds_of_threads() {
        assert_says(&moved, 3, "socket: stays: its main thread has ended");
        return;
    }
    assert_says(&moved, 0, ": udp UNCONN 0.0.0.0:0 in interface ");
    assert!(text(&moved).contains("which is gone: moved"), "{}", text(&moved));
    assert_says(&machine.vrfsetup(&format!("move default {pid}")), 0, "unchanged: nothing to do");
}

/// The kernel says so, not vrfsetup.
fn has_pidfds_of_threads() -> bool {
    let program = "import ctypes, os; print(ctypes.CDLL(None).syscall(434, os.getpid(), 0o200))";
    let shown = Command::new("python3").args(["-c", program]).output().expect("python3");
    let number: i32 = String::from_utf8_lossy(&shown.stdout).trim().parse().expect("a number");
    number >= 0
}

#[test]
fn another_process_that_has_got_the_number_is_left_alone() {
    let machine = machine();
    let (mut python, number) = Python::start(&machine, REUSED);
    // It stops with the process that it was told of, when it is about to look at its sockets.
    let log = std::env::temp_dir().join(format!("vrfsetup-{}-moving.log", std::process::id()));
    let mut strace = machine.command("strace");
    strace.args(["-f", "-e", "trace=pidfd_open", "-e", "inject=pidfd_open:signal=SIGSTOP:when=2", "-o"]).arg(&log);
    strace.args([env!("CARGO_BIN_EXE_vrfsetup"), "move", "default", &number]).stdout(Stdio::piped());
    let moving = strace.spawn().expect("strace");
    let logged = || fs::read_to_string(&log).unwrap_or_default();
    wait_until("the stop", || logged().contains("--- stopped by SIGSTOP ---"));
    // To the move, a device that was not there at first is one that is gone.
    machine.ip("link add late type veth peer name later");
    say(&mut python);
    assert_eq!(python.line(), number, "the number is not given again");
    let stopped = logged().split(' ').next().expect("a number").to_owned();
    Command::new("kill").args(["-CONT", &stopped]).status().expect("kill");
    let told = moving.wait_with_output().expect("strace");
    assert_says(&told, 0, "unchanged: nothing to do");
    fs::remove_file(&log).expect("the log");
    // The second one is moved once it is asked for.
    machine.ip("link del late");
    assert_says(&machine.vrfsetup(&format!("move default {number}")), 0, "which is gone: moved");
    say(&mut python);
    python.0.wait().expect("the end");
}

fn say(python: &mut Python) {
    use std::io::Write;
    writeln!(python.0.stdin.as_mut().expect("a pipe")).expect("a line");
}

//! Whose the ports of inherited listeners are besides: strangers' by SO_REUSEPORT, or root's alone.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::super::net_cls::release;
use super::world;
use crate::harness::judge::{Running, root, user};
use crate::harness::setting::Setting;
use crate::harness::world::plan::OWN4;
use crate::harness::world::{Domain, World};

/// Descriptors 30 and 31 share port 4713 by SO_REUSEPORT, as far as they are inherited; the parent keeps both. That 30 has no such
/// option any more does not take it out of the group.
const SHARED: &str = "
import os, socket as S, subprocess, sys
def listener():
    s = S.socket(); s.setsockopt(S.SOL_SOCKET, S.SO_REUSEPORT, 1); s.bind(('0.0.0.0', 4713)); s.listen(8); return s
for number, s in zip((30, 31), [listener() for _ in range(2)]): os.dup2(s.fileno(), number)
if 'cleared' in sys.argv: sys.argv.remove('cleared'); S.socket(fileno=os.dup(30)).setsockopt(S.SOL_SOCKET, S.SO_REUSEPORT, 0)
fds = [int(fd) for fd in sys.argv[1].split(',')]
sys.exit(subprocess.run(['vrfrun', *sys.argv[2:], 'blue', 'echo', 'ran'], pass_fds=fds).returncode)
";

/// The kernel would hand it connections of the default domain, and them those of the VRF.
pub fn a_listener_that_shares_its_port_with_strangers_is_refused() {
    let mut world = world();
    for mechanism in ["bpf", "preload", "seccomp"] {
        let mut with = |fds: &str, options: &[&str]| {
            world.judge(&root([&["python3", "-c", SHARED, fds, "-m", mechanism], options].concat()))
        };
        let what = "descriptor 30 into 'blue': it is a listener whose port may be shared (SO_REUSEPORT), which another";
        with("30", &[]).assert_says(125, what);
        with("30", &["cleared"]).assert_says(125, what);
        for (fds, options) in [("30,31", &[][..]), ("30", &["--keep-fds"])] {
            let verdict = with(fds, options);
            assert_eq!((verdict.code, verdict.text().as_str()), (0, "ran\n"), "{verdict}");
        }
    }
}

/// A plain user's listener at a port below `net.ipv4.ip_unprivileged_port_start`, which may have been lower when it was bound:
/// vrfrun cannot try whether the port is free in the VRF, and looks at the kernel's list of sockets.
pub fn a_listener_at_a_port_that_is_roots_alone_is_inherited_where_nobody_has_the_port() {
    let mut world = world();
    // What is left of connections keeps a port for a minute.
    for (mechanism, [free, in_use]) in [("preload", ["80", "81"]), ("seccomp", ["82", "83"])] {
        if release() < (5, 14) {
            assert_refused(&mut world, ["listens", free, mechanism], "before Linux 5.14 only root can tell");
            continue;
        }
        let mut theirs = world.start(&root(["vrfrun", "-m", "bpf", "blue", "python3", "-c", GREETS, in_use]));
        theirs.wait_for("greets");
        assert_refused(&mut world, ["listens", in_use, mechanism], "it is a listener whose port is in use there");
        let why = "it is a TCP socket that has a port outside it and does not listen yet";
        assert_refused(&mut world, ["waits", free, mechanism], why);
        let mut ours = handed_over(&mut world, ["listens", free, mechanism], &["python3", "-c", GREETS]);
        ours.wait_for("greets");
        let greeted = [Domain::Default, Domain::Blue].map(|domain| {
            let words = world.at_peer(domain, &["python3", "-c", ASKS, OWN4, free]);
            let verdict = world.judge(&root(&words));
            assert_eq!(verdict.code, 0, "{verdict}");
            verdict.text().trim() == "hello"
        });
        assert_eq!(greeted, [false, true], "{mechanism}");
    }
}

/// Descriptor 30 listens at a port, or only has it, and is handed over at a signal.
const HANDS_OVER: &str = "
import os, signal, socket, sys
how, port, *words = sys.argv[1:]
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
s = socket.socket(); s.bind(('0.0.0.0', int(port)))
if how == 'listens': s.listen(8)
os.dup2(s.fileno(), 30); print('up', flush=True)
signal.sigwait([signal.SIGUSR1]); signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1])
os.execvp('vrfrun', ['vrfrun', *words])
";
/// Greets whoever connects, and closes first.
const GREETS: &str = "
import socket, sys
s = socket.create_server(('0.0.0.0', int(sys.argv[1]))) if sys.argv[1:] else socket.socket(fileno=30)
print('greets', flush=True)
while True: c = s.accept()[0]; c.sendall(b'hello'); c.close()
";
const ASKS: &str = "
import socket, sys
s = socket.socket(); s.settimeout(60)
try: s.connect((sys.argv[1], int(sys.argv[2]))); print(s.recv(99).decode(), s.recv(1).decode())
except ConnectionRefusedError: print('nobody')
";
/// A port that nobody has.
const TRIES: &str = "import socket; socket.socket().bind(('0.0.0.0', 85))";

/// A user's program that hands its socket to vrfrun when such a port is root's alone again.
#[track_caller]
fn handed_over(world: &mut World, [how, port, mechanism]: [&str; 3], program: &[&str]) -> Running {
    let any_port = Setting::any_port();
    let words = ["python3", "-c", HANDS_OVER, how, port, "-m", mechanism, "blue"];
    let mut running = world.start(&user([&words, program].concat()));
    running.wait_for("up");
    drop(any_port);
    world.judge(&user(["python3", "-c", TRIES])).assert_says(1, "PermissionError");
    kill(Pid::from_raw(running.pid() as i32), Signal::SIGUSR1).expect("a signal");
    running
}

#[track_caller]
fn assert_refused(world: &mut World, what: [&str; 3], why: &str) {
    let verdict = handed_over(world, what, &["echo", "ran"]).finish(world);
    verdict.assert_says(125, why);
    assert_eq!(verdict.text(), "up\n", "{verdict}");
}

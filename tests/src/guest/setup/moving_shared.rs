//! `vrfsetup move` of listeners whose port several processes share by SO_REUSEPORT, judged by who is answered; of a process
//! whose cgroup has room for no other; and of what is no process.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::guest_tests;
use super::moving::{start, world};
use super::moving_gone::has_pidfds_of_threads;
use super::{json, vrfsetup};
use crate::harness::judge::root;
use crate::harness::world::plan::OWN4;
use crate::harness::world::{Domain, World};

guest_tests! {
    listeners_that_share_a_port_move_together_or_stay,
    one_that_cannot_leave_the_vrf_keeps_those_that_share_its_port,
    one_that_cannot_be_reached_keeps_those_that_share_its_port,
    threads_of_the_kernel_stay,
    a_cgroup_that_cannot_be_used_does_not_stay needs [Once],
}

/// Greets by TCP at 4001, and lets the client close first: of what is left of a connection its port is in use for a minute.
const SHARES: &str = "
import socket as S
s = S.socket(); s.setsockopt(S.SOL_SOCKET, S.SO_REUSEADDR, 1); s.setsockopt(S.SOL_SOCKET, S.SO_REUSEPORT, 1)
s.bind(('0.0.0.0', 4001)); s.listen(8); print('up', flush=True)
while True: c = s.accept()[0]; c.sendall(b'hello'); c.recv(1); c.close()
";

/// Sharing that was switched off since: the kernel goes on handing it connections, and it others'.
const CLEARED: &str = "s.listen(8); s.setsockopt(S.SOL_SOCKET, S.SO_REUSEPORT, 0)";

/// How often it is greeted. The kernel draws the listener by the client's port.
const ASKS: &str = "
import socket as S, sys
greeted = 0
for _ in range(12):
    s = S.socket(); s.settimeout(60)
    try: s.connect((sys.argv[1], 4001)); greeted += s.recv(99) == b'hello'
    except ConnectionRefusedError: pass
print(greeted)
";

/// In each domain.
#[track_caller]
fn greeted(world: &mut World) -> [String; 3] {
    Domain::ALL.map(|domain| {
        let words = world.at_peer(domain, &["python3", "-c", ASKS, OWN4]);
        let verdict = world.judge(&root(&words));
        assert_eq!(verdict.code, 0, "{verdict}");
        verdict.text().trim().to_owned()
    })
}

/// One of two would be handed the connections of the other one's domain, and answer them in its own.
fn listeners_that_share_a_port_move_together_or_stay() {
    let mut world = world();
    let cleared = SHARES.replace("s.listen(8)", CLEARED);
    let [one, other] = [SHARES, &cleared].map(|program| start(&mut world, program));
    let [one, other] = [one.pid(), other.pid()];
    for (to, from, before, after) in [
        ("blue", "default", ["12", "0", "0"], ["0", "12", "0"]),
        ("default", "blue", ["0", "12", "0"], ["12", "0", "0"]),
    ] {
        let stays = json(&vrfsetup(&mut world, 3, &format!("move {to} {one} -j")));
        let listener = stays.as_array().expect("verdicts").iter().find(|verdict| verdict["state"] == "LISTEN");
        let listener = listener.expect("a listener");
        assert_eq!((&listener["verdict"], &listener["from"]), (&"stays".into(), &from.into()), "{stays}");
        assert!(listener["reason"].to_string().contains(&format!("SO_REUSEPORT with process {other},")), "{stays}");
        assert_eq!(greeted(&mut world), before);
        vrfsetup(&mut world, 0, &format!("move {to} {one} {other}"));
        assert_eq!(greeted(&mut world), after);
    }
}

/// Both are made in the VRF, each below a cgroup of its own; another process holds that of the first one.
fn one_that_cannot_leave_the_vrf_keeps_those_that_share_its_port() {
    let mut world = world();
    let beside = Path::new("/sys/fs/cgroup/vrftest-beside");
    fs::create_dir_all(beside).expect("a cgroup");
    let inside = |words: &[&str]| root([&["vrfrun", "-m", "bpf", "blue"], words].concat());
    let mut holder = world.start(&inside(&["sh", "-c", "echo in; sleep 600; :"]));
    holder.wait_for("in");
    let mut one = world.start(&inside(&["python3", "-c", SHARES]));
    one.wait_for("up");
    let script = format!("echo 0 > {}/cgroup.procs; exec \"$@\"", beside.display());
    let words = ["sh", "-c", &script, "sh", "vrfrun", "-m", "bpf", "blue", "python3", "-c", SHARES];
    let mut other = world.start(&root(words));
    other.wait_for("up");
    let moved = format!("move default {} {}", one.pid(), other.pid());
    let stays = vrfsetup(&mut world, 3, &moved).text();
    assert!(stays.contains("made in a cgroup of that VRF that other processes are in"), "{stays}");
    assert!(stays.contains(&format!("SO_REUSEPORT with process {},", one.pid())), "{stays}");
    assert_eq!(greeted(&mut world), ["0", "12", "0"]);
    drop(holder);
    vrfsetup(&mut world, 0, &moved);
    assert_eq!(greeted(&mut world), ["12", "0", "0"]);
    drop((one, other));
    fs::remove_dir(beside).expect("nobody in it");
}

/// The main thread of one has ended: before Linux 6.9 nobody has a copy of its descriptors.
fn one_that_cannot_be_reached_keeps_those_that_share_its_port() {
    let mut world = world();
    let serve = "while True: c = s.accept()[0]; c.sendall(b'hello'); c.recv(1); c.close()\n";
    let leaderless = SHARES.replace(serve, "import ctypes; ctypes.CDLL(None).syscall(60, 0)\n").replace(
        "print('up', flush=True)",
        "
def serve():
    while True: c = s.accept()[0]; c.sendall(b'hello'); c.recv(1); c.close()
import threading; threading.Thread(target=serve).start(); print('up', flush=True)",
    );
    let one = start(&mut world, SHARES);
    let mut other = start(&mut world, &leaderless);
    let stat = format!("/proc/{}/stat", other.pid());
    other.wait_until("the end of its main thread", || fs::read_to_string(&stat).expect("a process").contains(") Z "));
    let (code, expected) = if has_pidfds_of_threads() { (0, ["0", "12", "0"]) } else { (3, ["12", "0", "0"]) };
    vrfsetup(&mut world, code, &format!("move blue {} {}", one.pid(), other.pid()));
    assert_eq!(greeted(&mut world), expected);
}

/// Nor do they get a cgroup. kthreadd is the parent of all others.
fn threads_of_the_kernel_stay() {
    let mut world = world();
    let names = || fs::read_dir("/sys/fs/cgroup").expect("cgroups").flatten().map(|entry| entry.file_name());
    let before: BTreeSet<_> = names().collect();
    let refused = vrfsetup(&mut world, 1, "move blue 2").text();
    assert_eq!(refused, "kthreadd[2]: failed: it is a thread of the kernel\n");
    assert_eq!(names().collect::<BTreeSet<_>>(), before);
}

/// A threaded one has no other below it that a process may be moved to.
fn a_cgroup_that_cannot_be_used_does_not_stay() {
    let mut world = world();
    let parent = Path::new("/sys/fs/cgroup/vrftest-threads");
    let below = parent.join("threads");
    fs::create_dir_all(&below).expect("cgroups");
    fs::write(below.join("cgroup.type"), "threaded").expect("a type");
    let daemon = start(&mut world, SHARES);
    fs::write(parent.join("cgroup.procs"), daemon.pid().to_string()).expect("a process in it");
    let refused = vrfsetup(&mut world, 1, &format!("move blue {}", daemon.pid())).text();
    let is_directory = |entry: &fs::DirEntry| entry.path().is_dir();
    let left: Vec<_> = fs::read_dir(parent).expect("a cgroup").flatten().filter(is_directory).collect();
    drop(daemon);
    assert!(refused.contains("failed: cannot use the cgroup '/vrftest-threads/vrfrun-blue-"), "{refused}");
    assert_eq!(left.len(), 1, "{left:?}");
    fs::remove_dir(&below).and_then(|()| fs::remove_dir(parent)).expect("nobody in it");
}

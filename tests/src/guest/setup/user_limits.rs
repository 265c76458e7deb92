//! `vrfsetup user`: whom it leaves alone, what it refuses, and what it cannot do.

use std::fs;

use super::user::{ASKS, BOB, as_alice, assert_answers, programs, with_alice, world};
use super::{guest_tests, vrfsetup};
use crate::harness::judge::{Order, Outcome, root, user};
use crate::harness::world::{Domain, World};

guest_tests! {
    others_and_other_network_namespaces_are_left_alone,
    what_cannot_be_is_refused_and_changes_nothing,
    who_cannot_see_the_root_of_cgroup2_is_not_told_that_there_are_no_users,
    a_caller_in_another_vrf_puts_a_user_into_this_one,
    where_the_trial_fails_nothing_is_changed,
    datagram_sockets_of_others_are_bound_and_stream_sockets_denied,
    what_the_manual_calls_open_is_open,
    a_prefix_that_another_domain_shares_is_out_of_reach,
    names_are_resolved_as_the_machine_does,
}

fn others_and_other_network_namespaces_are_left_alone() {
    let mut users = with_alice();
    let world = &mut users.0;
    assert_answers(world, &root(ASKS), Domain::Default);
    assert_answers(world, &root([BOB, ASKS].concat()), Domain::Default);
    // Whom the programs' table of last bits does not tell from her.
    let like_alice = [&["setpriv", "--reuid=2024", "--regid=2024", "--clear-groups"], ASKS].concat();
    assert_answers(world, &root(like_alice), Domain::Default);
    let here = "python3 -c \"
import socket
a, b = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
a.bind(('127.0.0.1', 7001)); b.connect(('127.0.0.1', 7001)); b.send(b'x'); assert a.recv(1) == b'x'
b.sendto(b'y', ('127.0.0.1', 7001)); assert a.recv(1) == b'y'
print('untouched', b.getsockopt(socket.SOL_SOCKET, 25, 16)[:1])\"";
    // Root brings her there; and she makes one herself.
    let brought = format!("ip link set lo up; setpriv --reuid=1000 --regid=1000 --clear-groups {here}");
    let made = format!("ip link set lo up; {here}");
    for order in [root(["unshare", "-n", "sh", "-c", &brought]), as_alice(&["unshare", "-Urn", "sh", "-c", &made])] {
        let verdict = world.judge(&order);
        assert_eq!(verdict.text(), "untouched b''\n", "{order:?}\n{verdict}");
    }
}

fn what_cannot_be_is_refused_and_changes_nothing() {
    let mut users = world();
    let world = &mut users.0;
    let before = programs(world);
    vrfsetup(world, 1, "user nobody-of-this-name blue").assert_says(1, "no user 'nobody-of-this-name'");
    vrfsetup(world, 1, "user user nosuch").assert_says(1, "no interface 'nosuch': No such device");
    vrfsetup(world, 1, "user user eth0").assert_says(1, "'eth0' exists and is not a VRF");
    vrfsetup(world, 2, "user root blue").assert_says(2, "root's sockets");
    vrfsetup(world, 2, "user user").assert_says(2, "say which VRF 'user' is to be in");
    let elsewhere = root([
        "unshare",
        "-n",
        "sh",
        "-c",
        "ip link add blue type vrf table 10; vrfsetup user user blue; told=$?
        rm /run/vrfsetup/netns-$(stat -Lc %i /proc/self/ns/net)-*; exit $told",
    ]);
    world.judge(&elsewhere).assert_says(2, "the machine's own network namespace only");
    for words in [&["vrfsetup", "user", "1001", "blue"][..], &["vrfsetup", "user"]] {
        let verdict = world.judge(&user(words));
        verdict.assert_says(1, "Operation not permitted");
    }
    assert_eq!((programs(world), vrfsetup(world, 0, "user").text().as_str()), (before, ""));
}

/// In a cgroup namespace of a container's, and where it is not mounted.
fn who_cannot_see_the_root_of_cgroup2_is_not_told_that_there_are_no_users() {
    let mut users = with_alice();
    let world = &mut users.0;
    let unmount = "umount -l $(awk '/ - cgroup2 / { print $5; exit }' /proc/self/mountinfo) && exec \"$@\"";
    for way in [&["unshare", "--cgroup"][..], &["unshare", "-m", "sh", "-c", unmount, "sh"]] {
        for words in ["user", "user -j", "user --remove user", "user --refresh", "user 1001 blue"] {
            let words = ["vrfsetup"].into_iter().chain(words.split(' '));
            let verdict = world.judge(&root(way.iter().copied().chain(words)));
            verdict.assert_says(1, "cannot read the root of cgroup2");
        }
    }
    assert_answers(world, &as_alice(ASKS), Domain::Blue);
}

/// Root's own login is in another VRF: that is nothing to the user's sockets, nor to the proof.
fn a_caller_in_another_vrf_puts_a_user_into_this_one() {
    let mut users = world();
    let world = &mut users.0;
    let inside = root(["ip", "vrf", "exec", "red", "vrfsetup", "user", "user", "blue"]);
    let verdict = world.judge(&inside);
    assert_eq!(verdict.code, 0, "{verdict}");
    assert_answers(world, &as_alice(ASKS), Domain::Blue);
}

/// A program of another's that binds her first; and a root cgroup that the trial may not join, asked from one that is bound.
fn where_the_trial_fails_nothing_is_changed() {
    let mut users = world();
    let world = &mut users.0;
    let before = programs(world);
    let red = world.ip_json("link show red")[0]["ifindex"].to_string();
    let verdict = world.judge(&root(["python3", "-c", BINDS_FIRST, &red, "vrfsetup", "user", "user", "blue"]));
    verdict.assert_says(1, "nothing is changed: sockets made here are not bound to VRF 'blue'");
    assert_eq!((programs(world), vrfsetup(world, 0, "user").text().as_str()), (before, ""));
    let script = "mount -o remount,bind,ro $(awk '/ - cgroup2 / { print $5; exit }' /proc/self/mountinfo)
        exec vrfsetup user user blue";
    let verdict = world.judge(&root(["ip", "vrf", "exec", "blue", "unshare", "-m", "sh", "-c", script]));
    verdict.assert_says(1, "nothing is changed: cannot move processes: the root of cgroup2: Read-only file system");
    assert_eq!((programs(world), vrfsetup(world, 0, "user").text().as_str()), (before, ""));
    assert_answers(world, &as_alice(ASKS), Domain::Default);
}

/// Binds each new socket of user 1000's to the device of this number, by a program on the root cgroup, while a command runs.
const BINDS_FIRST: &str = "
import ctypes, os, struct, subprocess, sys
device, command = int(sys.argv[1]), sys.argv[2:]
def bpf(order, attr):
    attr = ctypes.create_string_buffer(attr, 128)
    made = ctypes.CDLL(None, use_errno=True).syscall(321, order, attr, 128)
    assert made >= 0, os.strerror(ctypes.get_errno())
    return made
def insn(code, dst=0, src=0, off=0, imm=0): return struct.pack('BBhi', code, src << 4 | dst, off, imm)
text = ctypes.create_string_buffer(b''.join([
    insn(0xbf, 6, 1), insn(0x85, imm=15), insn(0xbc, 0, 0), insn(0x55, 0, off=2, imm=1000),
    insn(0xb7, 2, imm=device), insn(0x63, 6, 2), insn(0xb7, 0, imm=1), insn(0x95)]))
licence = ctypes.create_string_buffer(b'GPL')
program = bpf(5, struct.pack('IIQQ', 9, 8, ctypes.addressof(text), ctypes.addressof(licence)))
root = os.open([line.split()[4] for line in open('/proc/self/mountinfo') if ' - cgroup2 ' in line][0], os.O_RDONLY)
bpf(8, struct.pack('IIII', root, program, 2, 2))
try: told = subprocess.run(command).returncode
finally: bpf(9, struct.pack('IIII', root, program, 2, 0))
sys.exit(told)";

/// A stream socket may be AF_SMC's own, which hangs when it is bound.
fn datagram_sockets_of_others_are_bound_and_stream_sockets_denied() {
    let mut users = with_alice();
    let handed_over = "
import os, socket
listener, client, datagrams = socket.socket(), socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
os.setresuid(1000, 1000, 1000)
def tries(call, *words):
    try: call(*words); print('done')
    except OSError as error: print(error.strerror)
tries(listener.bind, ('', 7003)); tries(client.connect, ('192.0.2.80', 7)); tries(datagrams.connect, ('192.0.2.80', 7))
datagrams.send(b'x')
print(datagrams.getsockopt(socket.SOL_SOCKET, 25, 16).rstrip(bytes(1)))";
    let verdict = users.0.judge(&root(["python3", "-c", handed_over]));
    let told = "Operation not permitted\nOperation not permitted\ndone\nb'blue'\n";
    assert_eq!((verdict.outcome, verdict.text().as_str()), (Outcome::Blue, told), "{verdict}");
}

/// Tells when one of these gets better, so that the manual does too.
fn what_the_manual_calls_open_is_open() {
    let mut users = with_alice();
    let world = &mut users.0;
    // A subordinate user id, and a set-user-ID program of hers that another user starts.
    for ids in [["--reuid=100000", "--regid=100000"], ["--ruid=1001", "--euid=1000"]] {
        let words = [&["setpriv"][..], &ids, &["--clear-groups"], ASKS].concat();
        assert_answers(world, &root(words), Domain::Default);
    }
    let verdict = world.judge(&as_alice(&["on_use", "udp4", "join", "wait"]));
    assert_eq!(verdict.outcome, Outcome::Leak, "the report of a join\n{verdict}");
}

/// It leads out of the VRF, as anything else that would.
fn a_prefix_that_another_domain_shares_is_out_of_reach() {
    let mut users = with_alice();
    let world = &mut users.0;
    world.ip("route add 203.0.113.0/24 via 198.51.100.1 dev red0 table 20");
    vrfsetup(world, 0, "leak blue red 203.0.113.0/24");
    let sends = "
import socket, sys
mine = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
if len(sys.argv) > 1: mine.setsockopt(socket.SOL_SOCKET, 25, b'blue')
try: mine.sendto(b'x', ('203.0.113.9', 7))
except OSError as error: print(error.strerror)";
    let verdict = world.judge(&root(["python3", "-c", sends, "blue"]));
    assert!(verdict.packets(Domain::Red) > 0, "the judge\n{verdict}");
    let verdict = world.judge(&as_alice(&["python3", "-c", sends]));
    assert_eq!((verdict.outcome, verdict.text().as_str()), (Outcome::Closed, "Operation not permitted\n"), "{verdict}");
    vrfsetup(world, 0, "leak blue red 203.0.113.0/24 --remove");
}

/// /etc/vrf and nscd's socket, gone with this value.
struct Names;

impl Drop for Names {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all("/etc/vrf");
        let _ = fs::remove_dir_all("/run/nscd");
    }
}

/// The files of the VRF are not a user's, and whoever puts one there is told.
fn names_are_resolved_as_the_machine_does() {
    let mut users = world();
    let world = &mut users.0;
    let _names = Names;
    fs::create_dir_all("/etc/vrf/blue").expect("a directory");
    fs::write("/etc/vrf/blue/resolv.conf", "nameserver 203.0.113.99\n").expect("a file");
    let verdict = vrfsetup(world, 0, "user user blue");
    assert!(verdict.text().contains("/etc/vrf/blue is for programs of vrfrun"), "{verdict}");
    let read = |world: &mut World, order: &Order| world.judge(order).text();
    let (alice, machine) = (as_alice(&["cat", "/etc/resolv.conf"]), root(["cat", "/etc/resolv.conf"]));
    assert_eq!(read(world, &alice), read(world, &machine));
    // Her own vrfrun for the same VRF finds her sockets there, and puts the files in place.
    let by_vrfrun = read(world, &as_alice(&["vrfrun", "blue", "cat", "/etc/resolv.conf"]));
    assert_eq!(by_vrfrun, "nameserver 203.0.113.99\n");
    world.replace("/etc/resolv.conf", b"nameserver 127.0.0.53\n").expect("a file over resolv.conf");
    let verdict = vrfsetup(world, 0, "user user red");
    assert!(verdict.text().contains("names may not be resolved in 'red': the name server 127.0.0.53"), "{verdict}");
    fs::create_dir_all("/run/nscd").expect("a directory");
    fs::write("/run/nscd/socket", "").expect("a file");
    let verdict = vrfsetup(world, 0, "user user blue");
    assert!(verdict.text().contains("names may not be resolved in 'blue': nscd"), "{verdict}");
}

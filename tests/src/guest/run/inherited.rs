//! What real VRFs make of inherited sockets, and of tables and rules that only look sealed: judged by the packets.

mod port;

use super::guest_tests;
use super::ways;
use crate::harness::judge::{Outcome, root};
use crate::harness::world::plan::OWN4;
use crate::harness::world::{Domain, Kind, World};
use port::{
    a_listener_at_a_port_that_is_roots_alone_is_inherited_where_nobody_has_the_port,
    a_listener_that_shares_its_port_with_strangers_is_refused,
};

guest_tests! {
    what_waits_at_a_listener_is_not_taken_into_the_vrf,
    a_socket_of_another_network_namespace_is_refused,
    a_socket_with_others_inside_or_with_many_peers_is_refused,
    a_listener_that_shares_its_port_with_strangers_is_refused,
    a_listener_at_a_port_that_is_roots_alone_is_inherited_where_nobody_has_the_port,
    a_datagram_socket_that_lost_its_device_sends_in_the_vrf needs [Supervisor],
    throw_routes_are_gaps,
    a_vrf_rule_that_suppresses_routes_is_a_gap,
    a_default_by_a_gateway_alone_is_a_gap,
    a_seal_by_rule_holds_whatever_the_table_has,
    a_large_table_is_judged_as_a_small_one,
}

fn world() -> World {
    World::of_machine(Kind::Vrfs).expect("a world")
}

/// A listener as descriptor 30, at which a client from the default domain waits. The program says where its first client is.
const ACTIVATION: &str = "
import os, select, shlex, socket, subprocess, sys
listener = socket.create_server(('0.0.0.0', 4711)); os.dup2(listener.fileno(), 30)
for client in sys.argv[1:3]: subprocess.Popen(shlex.split(client), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
assert select.select([listener], [], [], 60)[0], 'nobody came'
program = \"\"\"
import select, socket
listener = socket.socket(fileno=30)
listener.settimeout(60); c = listener.accept()[0]
print(c.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16).split(bytes(1))[0].decode() or 'outside')
c.sendall(b'hello')
\"\"\"
os.execvp('vrfrun', ['vrfrun', *sys.argv[3:], 'blue', 'python3', '-c', program])
";
/// Connects once, and stays until the other end closes.
const OUTSIDE: &str = "exec 3<>/dev/tcp/198.51.100.2/4711; cat <&3";
/// Connects as soon as it can: not before the listener is in its VRF.
const INSIDE: &str = "until exec 3<>/dev/tcp/198.51.100.2/4711 && [ $(head -c 5 <&3) = hello ]; do sleep 0.2; done";

fn what_waits_at_a_listener_is_not_taken_into_the_vrf() {
    let mut world = world();
    assert!(OUTSIDE.contains(OWN4));
    let client = |domain, script| world.at_peer(domain, &["bash", "-c", &format!("'{script}'")]).join(" ");
    let (outside, inside) = (client(Domain::Default, OUTSIDE), client(Domain::Blue, INSIDE));
    let run = |second: &str, options: &[&str]| {
        root([&["python3", "-c", ACTIVATION, outside.as_str(), second], options].concat())
    };
    for mechanism in ["bpf", "preload", "seccomp"] {
        let verdict = world.judge(&run(&inside, &["-m", mechanism]));
        assert_eq!((verdict.code, verdict.text().as_str()), (0, "blue\n"), "{verdict}");
        // Of the VRF's, each that comes between the bind and the count is closed as well, and tries again.
        let said = verdict.error_text();
        let count = said.split_once("closed ").and_then(|(_, rest)| rest.split(' ').next()?.parse::<u32>().ok());
        assert!(count > Some(0) && said.contains(" that waited at descriptor 30"), "{verdict}");
    }
    // The judge itself: left as it is, the listener gives the program the one from outside.
    let verdict = world.judge(&run(&outside, &["-m", "bpf", "--keep-fds"]));
    assert_eq!((verdict.code, verdict.text().as_str()), (0, "outside\n"), "{verdict}");
}

/// With a `blue` of the same index there; before 5.14 root is told by another call.
const FOREIGN: &str = "
import ctypes, os, socket, subprocess, sys
own = os.open('/proc/self/ns/net', os.O_RDONLY); index = socket.if_nametoindex('blue')
assert ctypes.CDLL(None).unshare(0x40000000) == 0
subprocess.run(['ip', 'link', 'add', 'blue', 'index', str(index), 'type', 'vrf', 'table', '10'], check=True)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.setsockopt(socket.SOL_SOCKET, 25, b'blue')
os.dup2(s.fileno(), 30); assert ctypes.CDLL(None).setns(own, 0) == 0; os.close(own); s.close()
os.execvp('vrfrun', ['vrfrun', *sys.argv[1:], 'blue', 'echo', 'ran'])
";

fn a_socket_of_another_network_namespace_is_refused() {
    let mut world = world();
    for mechanism in ["bpf", "preload", "seccomp"] {
        let verdict = world.judge(&root(["python3", "-c", FOREIGN, "-m", mechanism]));
        verdict.assert_says(125, "descriptor 30 into 'blue': it is a socket of another network namespace");
        assert_eq!(verdict.text(), "");
    }
    let own = FOREIGN.replace("unshare(0x40000000)", "getpid() * 0").replace("subprocess.run", "(lambda *a, **b: 0)");
    let verdict = world.judge(&root(["python3", "-c", &own, "-m", "bpf"]));
    assert_eq!((verdict.code, verdict.text().as_str()), (0, "ran\n"), "{verdict}");
}

/// Descriptor 30 is an SCTP socket for many peers, with one or none of them, or for one, or one of SMC, which may be bound.
const MANY: &str = "
import os, socket, subprocess, sys
def alone(): return socket.socket(socket.AF_INET, socket.SOCK_SEQPACKET, 132),
def peer():
    s, c = *alone(), socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132)
    s.bind(('127.0.0.1', 4712)); s.listen(1); c.connect(('127.0.0.1', 4712)); return s, c
def one(): return socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132),
def smc(): return socket.socket(43, socket.SOCK_STREAM),
def bound(): s, = smc(); s.setsockopt(socket.SOL_SOCKET, 25, b'blue'); return s,
try: sockets = globals()[sys.argv[1]]()
except OSError as error: print(error.strerror); sys.exit(9)
os.dup2(sockets[0].fileno(), 30)
sys.exit(subprocess.run(['vrfrun', *sys.argv[2:], 'blue', 'echo', 'ran'], pass_fds=[30]).returncode)
";

fn a_socket_with_others_inside_or_with_many_peers_is_refused() {
    let mut world = world();
    for mechanism in ["bpf", "preload", "seccomp"] {
        let mut with = |kind: &str| world.judge(&root(["python3", "-c", MANY, kind, "-m", mechanism]));
        let alone = with("alone");
        assert_eq!((alone.code, alone.text().as_str()), (0, "ran\n"), "{alone}");
        with("peer").assert_says(125, "descriptor 30 into 'blue': it is an SCTP socket with associations outside it");
        with("one").assert_says(125, "it is a socket of IP protocol 132, which may be connecting outside it");
        for kind in ["smc", "bound"] {
            let verdict = with(kind);
            // Not every kernel has SMC.
            if verdict.code != 9 {
                verdict.assert_says(125, "descriptor 30 into 'blue': it is an SMC socket");
            }
        }
    }
}

/// UDP and raw sockets of both families as descriptors from 30 on, unbound and bound. The program takes what binding they have
/// by a call that no shim sees, and sends by each.
const DATAGRAMS: &str = "
import os, socket, sys
fd = 30
for family in socket.AF_INET, socket.AF_INET6:
    for kind in socket.SOCK_DGRAM, socket.SOCK_RAW:
        for device in '', 'blue':
            s = socket.socket(family, kind, 253 if kind == socket.SOCK_RAW else 0)
            if device: s.setsockopt(socket.SOL_SOCKET, 25, device.encode())
            os.dup2(s.fileno(), fd); fd += 1
program = \"\"\"
import ctypes, os, socket
call = 42 if os.uname().machine == 'x86_64' else 203
for fd in range(30, 38):
    s = socket.socket(fileno=fd)
    to = ('192.0.2.80' if s.family == socket.AF_INET else '2001:db8::80', 7 if s.type == socket.SOCK_DGRAM else 0)
    s.connect(to); assert ctypes.CDLL(None).syscall(call, fd, bytes(16), 16) == 0
    print(s.getsockopt(socket.SOL_SOCKET, 25, 16).split(bytes(1))[0].decode() or '-', end=' ')
    s.sendto(b'hello', to)
\"\"\"
os.execvp('vrfrun', ['vrfrun', *sys.argv[1:], 'blue', 'python3', '-c', program])
";

fn a_datagram_socket_that_lost_its_device_sends_in_the_vrf() {
    let mut world = world();
    for mechanism in ["bpf", "preload", "seccomp"] {
        let verdict = world.judge(&root(["python3", "-c", DATAGRAMS, "-m", mechanism]));
        assert_eq!(
            (verdict.code, verdict.text().as_str(), verdict.outcome),
            (0, "- - - - - - - - ", Outcome::Blue),
            "{verdict}"
        );
        assert!(verdict.packets(Domain::Blue) >= 8, "{verdict}");
    }
    // The judge itself: left as they are, each of them leaves.
    let verdict = world.judge(&root(["python3", "-c", DATAGRAMS, "-m", "bpf", "--keep-fds"]));
    assert_eq!((verdict.code, verdict.outcome), (0, Outcome::Leak), "{verdict}");
    assert!(verdict.packets(Domain::Default) >= 8, "{verdict}");
}

/// Each way warns, `--strict` refuses, `--explain --strict` knows it. What is asked for leaves or not, as it is expected.
#[track_caller]
fn is_gap(world: &mut World, words: &str, web: &str, expected: Outcome) {
    // What leaks shows with its first packet, and a datagram waits for no answer.
    let send = format!("echo >/dev/udp/{web}/7");
    for (at, way) in ways::ALL.into_iter().enumerate() {
        let verdict = world.judge(&way.order(&["bash", "-c", &send]));
        assert!(verdict.error_text().contains(words), "{words}: {verdict}");
        assert!(verdict.error_text().contains("hint: vrfsetup rules fix"), "{verdict}");
        // The first is `bpf`, which drops what leaves by another device.
        let is_dropped = at == 0 && expected == Outcome::Leak;
        assert_eq!(verdict.outcome, if is_dropped { Outcome::Closed } else { expected }, "{verdict}");
    }
    let strict = world.judge(&root(["vrfrun", "--strict", "blue", "true"]));
    strict.assert_says(125, words);
    let explained = world.judge(&root(["vrfrun", "--explain", "--strict", "blue"]));
    assert_eq!(explained.code, 125, "{explained}");
    assert!(explained.text().contains("vrfrun would run nothing and exit 125"), "{explained}");
    assert!(explained.text().contains("\n--strict: packets of VRF 'blue' can leave"), "{explained}");
}

const WEB4: &str = "192.0.2.80";
const WEB6: &str = "2001:db8::80";

fn throw_routes_are_gaps() {
    let mut world = world();
    is_sealed(&mut world);
    world.ip("route add throw 192.0.2.0/24 table 10");
    is_gap(&mut world, "IPv4: what misses table 10 falls through to table main", WEB4, Outcome::Leak);
    world.ip("route del throw 192.0.2.0/24 table 10");
    world.ip("-6 route add throw 2001:db8::/64 table 10");
    is_gap(&mut world, "IPv6: what misses table 10 falls through to table main", WEB6, Outcome::Leak);
    world.ip("-6 route del throw 2001:db8::/64 table 10");
    // Before the default by the gateway, and so before the seal.
    world.ip("route add throw default table 10 metric 7");
    world.ip("route flush table 10 type unicast root default");
    is_gap(&mut world, "IPv4: what misses table 10", WEB4, Outcome::Leak);
    // Behind the seal nothing gets to it.
    world.ip("route flush table 10 type throw");
    world.ip("route add throw default table 10 metric 4278198273");
    is_sealed(&mut world);
    world.ip("route flush table 10 type throw");
}

/// Neither a warning nor a refusal.
#[track_caller]
fn is_sealed(world: &mut World) {
    for way in ways::ALL {
        let verdict = world.judge(&way.order(&["true"]));
        assert_eq!((verdict.code, verdict.error_text().as_str()), (0, ""), "{verdict}");
    }
    let verdict = world.judge(&root(["vrfrun", "--strict", "blue", "true"]));
    assert_eq!((verdict.code, verdict.error_text().as_str()), (0, ""), "{verdict}");
}

fn a_vrf_rule_that_suppresses_routes_is_a_gap() {
    let mut world = world();
    for (family, web) in [("-4", WEB4), ("-6", WEB6)] {
        world.ip(&format!("{family} rule add pref 999 l3mdev suppress_prefixlength 0"));
        world.ip(&format!("{family} rule del pref 1000"));
        is_gap(&mut world, "rule 999 (l3mdev) suppresses routes, which fall through to table main", web, Outcome::Leak);
        // A rule is a seal for these too.
        world.ip(&format!("{family} rule add pref 1001 l3mdev unreachable"));
        is_sealed(&mut world);
        world.ip(&format!("{family} rule add pref 1000 l3mdev protocol kernel"));
        world.ip(&format!("{family} rule del pref 999"));
        world.ip(&format!("{family} rule del pref 1001"));
    }
}

/// The default goes with its link, and then the packets leave by main.
fn a_default_by_a_gateway_alone_is_a_gap() {
    let mut world = world();
    world.ip("route del unreachable default table 10 metric 4278198272");
    is_gap(&mut world, "IPv4: what misses table 10 falls through to table main", WEB4, Outcome::Blue);
    world.ip("route flush table 10 type unicast root default");
    is_gap(&mut world, "IPv4: what misses table 10 falls through to table main", WEB4, Outcome::Leak);
    world.ip("route add blackhole default table 10");
    is_sealed(&mut world);
    world.ip("route replace prohibit default table 10");
    is_sealed(&mut world);
}

fn a_seal_by_rule_holds_whatever_the_table_has() {
    let mut world = world();
    for family in ["-4", "-6"] {
        world.ip(&format!("{family} rule add pref 2000 l3mdev unreachable"));
    }
    world.ip("route add throw 192.0.2.0/24 table 10");
    is_sealed(&mut world);
    for way in ways::ALL {
        world.judge(&way.order(&["curl", "-sS", WEB4])).assert_closed();
    }
}

/// IPv6 shows a table's default after all others.
fn a_large_table_is_judged_as_a_small_one() {
    let mut world = world();
    let routes = "for n in $(seq 1000); do echo route add 2001:db8:$n::/64 dev blue0 table 10
        echo route add 10.$((n / 250)).$((n % 250)).0/24 dev blue0 table 10; done | ip -batch -";
    let added = world.judge(&root(["bash", "-c", routes]));
    assert_eq!(added.code, 0, "{added}");
    is_sealed(&mut world);
    world.ip("-6 route add throw 2001:db8::/64 table 10");
    is_gap(&mut world, "IPv6: what misses table 10 falls through to table main", WEB6, Outcome::Leak);
    world.ip("-6 route del throw 2001:db8::/64 table 10");
    world.ip("-6 route del unreachable default table 10 metric 4278198272");
    is_gap(&mut world, "IPv6: what misses table 10 falls through to table main", WEB6, Outcome::Blue);
}

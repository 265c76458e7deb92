//! Sockets that lose their device, or send past it, under `bpf`: with and without `--strict` each of these ways is blue or
//! closed. `ip vrf exec`, which binds only when a socket is made, is the judge's own judge: there they leak.

use super::guest_tests;
use crate::harness::judge::{Order, Outcome, Verdict, root};
use crate::harness::world::{Domain, Kind, World};

guest_tests! {
    no_ipv4_datagram_gets_out,
    no_ipv6_datagram_gets_out,
    no_raw_packet_gets_out,
    no_ping_gets_out,
    a_udp_socket_that_lost_its_device_connects_in_the_vrf,
    a_udp_socket_that_lost_its_device_sends_in_the_vrf needs [MptcpBind],
    mptcp_and_its_listeners_are_in_the_vrf needs [MptcpBind],
    mptcp_is_never_outside_the_vrf,
    smc_is_denied,
    multicast_by_a_port_of_the_vrf_is_blue,
    a_join_without_an_interface_is_reported_by_the_vrfs_port,
    a_join_on_a_foreign_interface_is_denied,
    a_program_that_asks_for_a_device_has_it_unless_strict,
    strict_takes_no_socket_from_outside,
    a_child_in_a_network_namespace_of_its_own_is_not_bound,
    programs_are_attached_once,
    mptcp_below_ip_vrf_exec_is_not_believed needs [MptcpBind],
    a_cgroup_that_is_called_like_ours_stays,
}

const BPF: &[&str] = &["vrfrun", "-m", "bpf", "blue"];
const STRICT: &[&str] = &["vrfrun", "--strict", "blue"];
const IP_VRF_EXEC: &[&str] = &["ip", "vrf", "exec", "blue"];

/// A world whose foreign interface has a link-local address, which it gives none by itself.
fn world() -> World {
    let world = World::of_machine(Kind::Vrfs).expect("a world");
    world.ip("addr add fe80::2/64 dev eth0 nodad");
    world
}

fn order(before: &[&str], moves: &str) -> Order {
    root(before.iter().copied().chain(["on_use"]).chain(moves.split(' ')))
}

/// What the program did, and that no packet left the VRF.
fn held(world: &mut World, before: &[&str], moves: &str) -> Verdict {
    let verdict = world.judge(&order(before, moves));
    assert_eq!(verdict.code, 0, "{before:?} {moves}\n{verdict}");
    assert_ne!(verdict.outcome, Outcome::Leak, "{before:?} {moves}\n{verdict}");
    verdict
}

/// Each of these leaks under `ip vrf exec`, and none under any form of `bpf`.
fn each_is_held(world: &mut World, all: &[&str]) {
    let script = all.iter().map(|moves| format!("on_use {moves}")).collect::<Vec<_>>().join("; ");
    let mut judge = |before: &[&str]| world.judge(&root([before, &["sh", "-c", &script]].concat()));
    let verdict = judge(IP_VRF_EXEC);
    let outside = verdict.packets(Domain::Default) + verdict.packets(Domain::Red);
    assert!(outside >= all.len() as u64, "the judge: {all:?}\n{verdict}");
    for before in [BPF, STRICT] {
        let verdict = judge(before);
        assert_eq!(verdict.text().matches("bound ").count(), all.len(), "{before:?}\n{verdict}");
        assert_ne!(verdict.outcome, Outcome::Leak, "{before:?} {all:?}\n{verdict}");
    }
}

fn no_ipv4_datagram_gets_out() {
    let mut world = world();
    each_is_held(
        &mut world,
        &[
            "udp4 connect unspec sendto sendto",
            "udp4 connect unspec connect send",
            "udp4 connect unspec bind sendto",
            "udp4 multicast",
            "udp4 by-foreign multicast",
            "udp4 connect-multicast send",
            "udp4 broadcast",
            "udp4 pktinfo",
        ],
    );
}

fn no_ipv6_datagram_gets_out() {
    let mut world = world();
    each_is_held(
        &mut world,
        &[
            "udp6 connect unspec sendto sendto",
            "udp6 connect unspec connect send",
            "udp6 connect unspec multicast",
            "udp6 connect unspec connect-scope send",
            "udp6 bind-scope sendto scope",
            "udp6 scope",
        ],
    );
    // The kernel itself refuses these on a socket of a VRF.
    for moves in ["udp6 connect-scope send", "udp6 by-foreign multicast", "udp6 pktinfo"] {
        held(&mut world, BPF, moves);
    }
}

fn no_raw_packet_gets_out() {
    let mut world = world();
    each_is_held(
        &mut world,
        &[
            "raw4 connect unspec sendto",
            "raw4 connect unspec connect send",
            "raw4 multicast",
            "raw4 broadcast",
            "raw4 pktinfo",
            "raw6 connect unspec sendto",
            "raw6 connect unspec connect-scope send",
            "raw6 bind-scope scope",
            "raw6 scope",
        ],
    );
}

fn no_ping_gets_out() {
    let mut world = world();
    let range = "/proc/sys/net/ipv4/ping_group_range";
    let before = std::fs::read(range).expect("who may ping");
    std::fs::write(range, "0 2147483647").expect("ping sockets for everybody");
    let all = [
        "ping4 connect unspec sendto",
        "ping4 connect unspec connect send",
        "ping4 multicast",
        "ping6 connect unspec sendto",
    ];
    each_is_held(&mut world, &all);
    for moves in all {
        let words = ["vrfrun", "-m", "bpf", "-u", "1000:1000", "blue", "on_use"].into_iter().chain(moves.split(' '));
        let verdict = world.judge(&root(words));
        assert_ne!(verdict.outcome, Outcome::Leak, "{moves}\n{verdict}");
    }
    std::fs::write(range, before).expect("as it was");
}

fn a_udp_socket_that_lost_its_device_connects_in_the_vrf() {
    let mut world = world();
    for before in [BPF, STRICT] {
        for kind in ["udp4", "udp6"] {
            let verdict = held(&mut world, before, &format!("{kind} connect unspec connect send answer"));
            assert_eq!(verdict.text(), "answer blue\nbound blue\n", "{verdict}");
        }
    }
}

fn a_udp_socket_that_lost_its_device_sends_in_the_vrf() {
    let mut world = world();
    for before in [BPF, STRICT] {
        for kind in ["udp4", "udp6"] {
            // The first datagram finds the socket unbound; it is denied, the next one is blue.
            let verdict = held(&mut world, before, &format!("{kind} connect unspec sendto sendto answer"));
            assert_eq!(verdict.text(), "sendto EPERM\nanswer blue\nbound blue\n", "{verdict}");
        }
    }
}

fn mptcp_and_its_listeners_are_in_the_vrf() {
    let mut world = world();
    for kind in ["mptcp4", "mptcp6"] {
        for before in [BPF, STRICT] {
            let verdict = held(&mut world, before, &format!("{kind} connect answer"));
            assert_eq!((verdict.outcome, &*verdict.text()), (Outcome::Blue, "answer blue\nbound blue\n"), "{verdict}");
        }
        let listens = format!("{kind} bind listen is-port-taken");
        assert_eq!(held(&mut world, BPF, &listens).text(), "is-port-taken EADDRINUSE\nbound blue\n");
        // The judge: a listener whose inner socket is outside leaves the port of the VRF free.
        assert_eq!(world.judge(&order(IP_VRF_EXEC, &listens)).text(), "bound blue\n");
    }
}

fn mptcp_is_never_outside_the_vrf() {
    let mut world = world();
    for moves in ["mptcp4 connect", "mptcp6 connect"] {
        held(&mut world, BPF, moves);
    }
}

fn smc_is_denied() {
    let mut world = world();
    for moves in ["smc4 connect", "smc6 connect", "smc4 bind listen wait"] {
        let verdict = held(&mut world, BPF, moves);
        assert_eq!(verdict.outcome, Outcome::Closed, "{verdict}");
    }
}

fn multicast_by_a_port_of_the_vrf_is_blue() {
    let mut world = world();
    for before in [BPF, STRICT] {
        let verdict = held(&mut world, before, "udp4 by-port multicast");
        assert_eq!((verdict.outcome, &*verdict.text()), (Outcome::Blue, "bound blue\n"), "{verdict}");
    }
}

fn a_join_without_an_interface_is_reported_by_the_vrfs_port() {
    let mut world = world();
    let joins = ["join", "join-short", "join-group"];
    for join in joins {
        let verdict = held(&mut world, BPF, &format!("udp4 {join} members wait"));
        let expected = (Outcome::Blue, "member by blue0\nbound blue\n");
        assert_eq!((verdict.outcome, &*verdict.text()), expected, "{join}\n{verdict}");
        // The reports of IPv6 are no packets of the program to the judge; the kernel's list names the interface.
        if join != "join-short" {
            let moves = format!("udp6 {join} members");
            assert_eq!(held(&mut world, BPF, &moves).text(), "member by blue0\nbound blue\n", "{join}");
        }
    }
    assert_eq!(held(&mut world, BPF, "udp4 join-source wait").text(), "join-source EPERM\nbound blue\n");
    // The judge, last: what it leaves is reported a moment later.
    for join in joins {
        let verdict = world.judge(&order(IP_VRF_EXEC, &format!("udp4 {join} wait")));
        assert_eq!(verdict.outcome, Outcome::Leak, "{join}\n{verdict}");
    }
}

fn a_join_on_a_foreign_interface_is_denied() {
    let mut world = world();
    for kind in ["udp4", "udp6"] {
        let verdict = held(&mut world, BPF, &format!("{kind} join-foreign join-port members wait"));
        assert_eq!(verdict.text(), "join-foreign EPERM\nmember by blue0\nbound blue\n", "{verdict}");
    }
}

fn a_program_that_asks_for_a_device_has_it_unless_strict() {
    let mut world = world();
    // Root's own wish, without --strict; and a user's, whose socket is unbound.
    let verdict = world.judge(&order(BPF, "udp4 rebind sendto"));
    assert_eq!((verdict.outcome, &*verdict.text()), (Outcome::Leak, "bound red\n"), "{verdict}");
    for moves in
        ["udp4 rebind", "udp4 connect unspec rebind", "raw4 connect unspec rebind", "udp6 connect unspec rebind"]
    {
        let verdict = held(&mut world, STRICT, &format!("{moves} own sendto sendto"));
        assert!(verdict.text().starts_with("rebind EPERM\n"), "{moves}\n{verdict}");
        assert!(verdict.text().ends_with("bound blue\n"), "{moves}\n{verdict}");
    }
}

fn strict_takes_no_socket_from_outside() {
    let mut world = world();
    let hand_over = |how: &str, options: &str| {
        let script = format!(
            "import os, socket, sys\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n{how}\n\
             os.dup2(s.fileno(), 9)\nos.execvp('vrfrun', 'vrfrun {options} blue true'.split())"
        );
        root(["python3", "-c", &script])
    };
    let bound = "s.setsockopt(socket.SOL_SOCKET, 25, b'blue')";
    for how in ["", bound] {
        world.judge(&hand_over(how, "-m bpf")).assert_says(0, "");
        world.judge(&hand_over(how, "--strict")).assert_says(125, "cannot take descriptor 9 into 'blue'");
    }
}

fn a_child_in_a_network_namespace_of_its_own_is_not_bound() {
    let mut world = world();
    // A server and a client that know nothing of the VRF, and sockets that lose what device they have.
    let script = "ip link set lo up
        python3 -c \"
import socket, threading
s = socket.create_server(('127.0.0.1', 7000)); t = threading.Thread(target=lambda: s.accept()[0].sendall(b'x')); t.start()
c = socket.create_connection(('127.0.0.1', 7000)); assert c.recv(1) == b'x'; t.join()
u = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); u.bind(('::1', 7001)); u.sendto(b'y', ('::1', 7001)); assert u.recv(1) == b'y'
m = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); m.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton('224.9.9.9') + socket.inet_aton('127.0.0.1'))
print('all well', c.getsockopt(socket.SOL_SOCKET, 25, 16)[:1], u.getsockopt(socket.SOL_SOCKET, 25, 16)[:1])\"
        ping -qc1 -W5 127.0.0.1 >/dev/null && ping -qc1 -W5 ::1 >/dev/null && echo pings
        ip link add one type veth peer name two; ip addr add fe80::1/64 dev one nodad; ip addr add fe80::2/64 dev two nodad
        ip link set one up; ip link set two up
        ping -qc1 -W5 fe80::2%one >/dev/null && echo finds neighbours";
    for before in [BPF, STRICT] {
        let verdict = world.judge(&root([before, &["unshare", "-n", "sh", "-c", script]].concat()));
        assert_eq!(verdict.text(), "all well b'' b''\npings\nfinds neighbours\n", "{verdict}");
    }
}

fn programs_are_attached_once() {
    let mut world = world();
    // bpf(2) is asked about what is there, and does not load or attach anything.
    let script = "vrfrun -m bpf blue sleep 5 & sleep 1
        strace -f -e trace=bpf -o calls vrfrun -m bpf blue true; kill $!
        grep -c PROG_LOAD calls; grep -c PROG_ATTACH calls; grep -c PROG_QUERY calls";
    let directory = world.directory().to_owned();
    let verdict = world.judge(&root(["sh", "-c", &format!("cd {}; {script}", directory.display())]));
    let text = verdict.text();
    let counts: Vec<&str> = text.lines().collect();
    assert_eq!(counts[..2], ["0", "0"], "{verdict}");
    assert_ne!(counts[2], "0", "{verdict}");
}

fn mptcp_below_ip_vrf_exec_is_not_believed() {
    let mut world = world();
    let below = |words: &str| root(["ip", "vrf", "exec", "blue", "sh", "-c", words]);
    let verdict = world.judge(&below("on_use mptcp4 connect"));
    assert_eq!(verdict.outcome, Outcome::Leak, "the judge\n{verdict}");
    let verdict = world.judge(&below("vrfrun -v blue on_use mptcp4 connect answer"));
    assert_eq!((verdict.outcome, &*verdict.text()), (Outcome::Blue, "answer blue\nbound blue\n"), "{verdict}");
    verdict.assert_says(0, "mechanism=bpf");
    let verdict = world.judge(&below("vrfrun -m seccomp blue on_use mptcp4 connect"));
    verdict.assert_says(125, "not those inside MPTCP");
}

fn a_cgroup_that_is_called_like_ours_stays() {
    let mut world = world();
    // One that is only called alike, and one with our very name that belongs to somebody else.
    let script = "cd $(findmnt -rnt cgroup2 -o TARGET | head -1)$(sed -n s/^0:://p /proc/self/cgroup)
        name=vrfrun-blue-$(cat /sys/class/net/blue/ifindex)-$(stat -Lc %i /proc/self/ns/net)
        mkdir vrfrun-tests vrfrun-red-99-1234567 $name; chown 1000 $name vrfrun-red-99-1234567
        vrfrun -m bpf blue true; echo $?
        rmdir $name && vrfrun -m bpf blue true; echo $?
        rmdir vrfrun-tests vrfrun-red-99-1234567 && echo both stayed";
    let verdict = world.judge(&root(["sh", "-c", script]));
    assert_eq!(verdict.text(), "125\n0\nboth stayed\n", "{verdict}");
    assert!(verdict.error_text().contains("belongs to another user"), "{verdict}");
}

//! Sockets that lose their device, or send past it, under `bpf`: with and without `--strict` each of these ways is blue or
//! closed. `ip vrf exec`, which binds only when a socket is made, is the judge's own judge: there they leak.

use super::guest_tests;
use crate::harness::judge::{Order, Outcome, Verdict, root};
use crate::harness::setting::Setting;
use crate::harness::world::{Domain, Kind, World};

guest_tests! {
    no_ipv4_datagram_gets_out,
    no_ipv6_datagram_gets_out,
    no_raw_packet_gets_out,
    no_ping_gets_out,
    no_association_gets_out,
    a_udp_socket_that_lost_its_device_connects_in_the_vrf,
    a_udp_socket_that_lost_its_device_sends_in_the_vrf needs [MptcpBind],
    mptcp_and_its_listeners_are_in_the_vrf needs [MptcpBind],
    mptcp_is_never_outside_the_vrf,
    smc_is_denied,
    multicast_by_a_port_of_the_vrf_is_blue,
    a_join_without_an_interface_is_reported_by_the_vrfs_port,
    a_join_on_a_foreign_interface_is_denied,
    a_program_that_asks_for_a_device_has_it_unless_strict,
    what_a_32_bit_program_asks_for_is_not_seen_and_nothing_of_it_leaves,
    a_route_that_leaks_is_not_taken,
    strict_takes_no_socket_from_outside,
}

pub(super) const BPF: &[&str] = &["vrfrun", "-m", "bpf", "blue"];
pub(super) const STRICT: &[&str] = &["vrfrun", "--strict", "blue"];
const IP_VRF_EXEC: &[&str] = &["ip", "vrf", "exec", "blue"];

/// A world whose foreign interface has a link-local address, which it gives none by itself.
pub(super) fn world() -> World {
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
            "udp6 own bind-scope sendto scope",
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
            "raw6 own bind-scope scope",
        ],
    );
}

fn no_ping_gets_out() {
    let mut world = world();
    let _everybody = Setting::everybody_may_ping();
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
}

/// SCTP takes the scope of its peer's address for the way there, whatever its socket is bound to.
fn no_association_gets_out() {
    let mut world = world();
    world.ip("neigh add fe80::9 lladdr 02:00:00:00:00:09 dev eth0");
    each_is_held(&mut world, &["sctp6 neighbour", "sctp6 own neighbour"]);
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
    // As one that answers for an address, it is a member of the group where neighbours ask for that.
    let anycasts = held(&mut world, BPF, "udp6 join-anycast anycasts");
    assert_eq!(anycasts.text(), "anycast by blue0\nbound blue\n", "{anycasts}");
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

/// The kernel asks no program of a cgroup about the setsockopt(2) of a 32-bit program: the socket is bound elsewhere, without
/// a tag; and a join is the kernel's to report.
fn what_a_32_bit_program_asks_for_is_not_seen_and_nothing_of_it_leaves() {
    let mut world = world();
    for before in [BPF, STRICT] {
        for kind in ["udp4", "udp6", "raw4", "raw6"] {
            let verdict = world.judge(&root([before, &["on_use_i386", kind, "rebind", "sendto"]].concat()));
            let expected = (Outcome::Closed, "sendto EPERM\nbound red\n");
            assert_eq!((verdict.outcome, &*verdict.text()), expected, "{before:?} {kind}\n{verdict}");
        }
    }
    // Last, for the kernel reports a join whenever it likes.
    for before in [BPF, STRICT] {
        let verdict = world.judge(&root([before, &["on_use_i386", "udp4", "join", "members"]].concat()));
        assert_eq!(verdict.text(), "member by eth0\nbound blue\n", "{before:?}\n{verdict}");
    }
}

/// `vrfsetup leak`: the VRF's own table leads to another interface, and without BPF a socket follows it.
fn a_route_that_leaks_is_not_taken() {
    let mut world = world();
    world.ip("route add 192.0.2.80/32 via 198.51.100.1 dev eth0 table 10");
    for before in [IP_VRF_EXEC, &["vrfrun", "-m", "preload", "blue"]] {
        let verdict = world.judge(&order(before, "udp4 sendto"));
        assert_eq!((verdict.outcome, &*verdict.text()), (Outcome::Leak, "bound blue\n"), "{before:?}\n{verdict}");
    }
    assert_eq!(held(&mut world, BPF, "udp4 sendto").text(), "sendto EPERM\nbound blue\n");
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

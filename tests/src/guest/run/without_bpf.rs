//! Sockets that lose their device, or send past it, without BPF: the options that the shim and the supervisor give them
//! keep them in the VRF, and what belongs to the caller is the caller's. `ip vrf exec` is the judge's own judge.

use std::fs;

use super::guest_tests;
use crate::harness::judge::{Order, Outcome, Verdict, root, user};
use crate::harness::setting::Setting;
use crate::harness::world::{Kind, World};

guest_tests! {
    a_udp_socket_that_lost_its_device_sends_in_the_vrf needs [Supervisor],
    a_udp_socket_that_lost_its_device_is_connected_in_the_vrf_by_the_shim,
    an_ipv6_socket_that_lost_its_device_sends_in_the_vrf needs [Supervisor],
    an_ipv6_socket_that_lost_its_device_past_the_shim_sends_in_the_vrf needs [Supervisor],
    multicast_is_the_vrfs needs [Supervisor],
    a_ping_socket_that_lost_its_device_sends_in_the_vrf needs [Supervisor],
    a_raw_socket_that_lost_its_device_sends_in_the_vrf needs [Supervisor],
    mptcp_is_tcp_in_the_vrf needs [Supervisor],
    smc_is_tcp_in_the_vrf needs [Supervisor],
    ping_has_its_socket_and_may_name_the_vrf needs [Supervisor],
    a_rule_by_user_sees_the_caller needs [Supervisor],
}

const IP_VRF_EXEC: &[&str] = &["ip", "vrf", "exec", "blue"];
const MECHANISMS: [&str; 2] = ["preload", "seccomp"];

fn world() -> World {
    World::of_machine(Kind::Vrfs).expect("a world")
}

fn judge(world: &mut World, order: fn(Vec<&str>) -> Order, mechanism: &str, moves: &str) -> Verdict {
    world.judge(&order(["vrfrun", "-m", mechanism, "blue", "on_use"].into_iter().chain(moves.split(' ')).collect()))
}

fn as_root(words: Vec<&str>) -> Order {
    root(words)
}

fn as_user(words: Vec<&str>) -> Order {
    user(words)
}

/// It leaks under `ip vrf exec`, and is blue under these.
fn is_blue(world: &mut World, orders: &[fn(Vec<&str>) -> Order], mechanisms: &[&str], moves: &str) {
    let verdict = world.judge(&root([IP_VRF_EXEC, &["on_use"], &moves.split(' ').collect::<Vec<_>>()].concat()));
    // By the default domain, or by whichever has the multicast route.
    assert_eq!(verdict.outcome, Outcome::Leak, "the judge: {moves}\n{verdict}");
    for (order, mechanism) in orders.iter().flat_map(|order| mechanisms.iter().map(move |one| (order, one))) {
        let verdict = judge(world, *order, mechanism, moves);
        assert_eq!((verdict.code, verdict.outcome), (0, Outcome::Blue), "{mechanism}: {moves}\n{verdict}");
    }
}

fn a_udp_socket_that_lost_its_device_sends_in_the_vrf() {
    is_blue(&mut world(), &[as_root, as_user], &MECHANISMS, "udp4 connect unspec sendto sendto");
}

/// Without it, Linux 5.10 looks the route of a connected socket up in the default domain.
fn a_udp_socket_that_lost_its_device_is_connected_in_the_vrf_by_the_shim() {
    is_blue(&mut world(), &[as_root, as_user], &["preload"], "udp4 connect unspec connect send");
    is_blue(&mut world(), &[as_root, as_user], &["preload"], "udp6 connect unspec connect send");
}

fn an_ipv6_socket_that_lost_its_device_sends_in_the_vrf() {
    let mut world = world();
    for moves in ["udp6 connect unspec sendto sendto", "udp6 connect unspec connect send"] {
        is_blue(&mut world, &[as_root, as_user], &MECHANISMS, moves);
    }
}

/// The shim does not see a call that the program makes itself; and an IPv6 socket sends IPv4 and multicast by other options.
fn an_ipv6_socket_that_lost_its_device_past_the_shim_sends_in_the_vrf() {
    let mut world = world();
    for moves in ["udp6 connect unspec-call mapped", "udp6 connect unspec-call sendto"] {
        is_blue(&mut world, &[as_root, as_user], &MECHANISMS, moves);
    }
    // The VRF has no route for this group.
    for mechanism in MECHANISMS {
        let verdict = judge(&mut world, as_user, mechanism, "udp6 connect unspec-call multicast");
        assert_eq!(verdict.outcome, Outcome::Closed, "{mechanism}\n{verdict}");
    }
}

fn multicast_is_the_vrfs() {
    let mut world = world();
    for moves in ["udp4 multicast", "udp4 connect-multicast send", "udp4 connect unspec multicast"] {
        is_blue(&mut world, &[as_root, as_user], &MECHANISMS, moves);
    }
}

fn a_ping_socket_that_lost_its_device_sends_in_the_vrf() {
    let mut world = world();
    let _everybody = Setting::everybody_may_ping();
    for moves in ["ping4 connect unspec sendto", "ping6 connect unspec sendto"] {
        is_blue(&mut world, &[as_root, as_user], &MECHANISMS, moves);
    }
}

fn a_raw_socket_that_lost_its_device_sends_in_the_vrf() {
    let mut world = world();
    for moves in ["raw4 connect unspec sendto", "raw6 connect unspec sendto", "raw4 multicast"] {
        is_blue(&mut world, &[as_root], &MECHANISMS, moves);
    }
}

fn mptcp_is_tcp_in_the_vrf() {
    let mut world = world();
    for mechanism in MECHANISMS {
        let verdict = judge(&mut world, as_user, mechanism, "mptcp4 connect answer");
        assert_eq!((verdict.text().contains("answer blue"), verdict.outcome), (true, Outcome::Blue), "{verdict}");
    }
}

/// Its inner socket is bound where connect(2) is called, and not where sendto(2) connects.
fn smc_is_tcp_in_the_vrf() {
    let mut world = world();
    for moves in ["smc4 fastopen answer", "smc6 fastopen answer", "smc4 connect answer"] {
        for mechanism in MECHANISMS {
            let verdict = judge(&mut world, as_user, mechanism, moves);
            assert_eq!((verdict.code, verdict.outcome), (0, Outcome::Blue), "{mechanism}: {moves}\n{verdict}");
        }
    }
}

fn ping_has_its_socket_and_may_name_the_vrf() {
    let mut world = world();
    // A copy has no capabilities, as Debian 12's ping has: for such a file the loader ignores LD_PRELOAD.
    let copy = world.directory().join("ping");
    fs::copy("/usr/bin/ping", &copy).expect("ping");
    let copy = copy.display().to_string();
    let everybody = Setting::everybody_may_ping();
    for order in [as_root, as_user] {
        for target in [&["-4", "192.0.2.80"], &["-6", "2001:db8::80"]] {
            for mechanism in MECHANISMS {
                let words = ["vrfrun", "-m", mechanism, "blue", &copy, "-I", "blue", "-c1", "-W60"];
                let verdict = world.judge(&order(words.into_iter().chain(*target).collect()));
                assert_eq!((verdict.code, verdict.outcome), (0, Outcome::Blue), "{target:?}\n{verdict}");
            }
        }
    }
    // Where nobody may have a ping socket, root has its raw one, and who root has become has none.
    drop(everybody);
    let _nobody = Setting::ping_groups("1 0");
    let ping = ["vrfrun", "-m", "seccomp", "blue", "ping", "-c1", "-W60", "192.0.2.80"];
    let verdict = world.judge(&root(ping));
    assert_eq!((verdict.code, verdict.outcome), (0, Outcome::Blue), "{verdict}");
    let plain = ["setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups", "--bounding-set=-all"];
    let verdict = world.judge(&root([&ping[..4], &plain, &ping[4..]].concat()));
    assert_eq!((verdict.code == 0, verdict.outcome), (false, Outcome::Closed), "{verdict}");
}

/// A rule of iptables or nft by the socket's user: the supervisor's must not stand for the caller's. Rules of the routing
/// policy go by the same user, and need no package.
fn a_rule_by_user_sees_the_caller() {
    let mut world = world();
    world.ip("rule add pref 10 uidrange 1000-1000 prohibit");
    let send = ["vrfrun", "-m", "seccomp", "blue"];
    let moves = ["on_use", "udp4", "sendto"];
    let plain = ["setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups"];
    let verdict = world.judge(&root([&send[..], &moves].concat()));
    assert_eq!(verdict.outcome, Outcome::Blue, "{verdict}");
    let verdict = world.judge(&root([&send[..], &plain, &moves].concat()));
    assert_eq!(verdict.outcome, Outcome::Closed, "{verdict}");
}

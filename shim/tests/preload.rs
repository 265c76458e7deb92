//! The preloaded object in real programs, glibc's and musl's, on this kernel: a veth stands in for the VRF device.

mod namespace;
mod product;

use namespace::DEVICES;
use product::{compile, shared_object, source};
use std::path::PathBuf;

const ORDER: (&str, &str) = ("VRFSHIM", "0123456789abcdef:blue");

/// The same program for both libcs.
fn probes() -> [PathBuf; 2] {
    [("cc", "probe"), ("musl-gcc", "probe-musl")]
        .map(|(compiler, name)| compile(compiler, &source("probe.c"), name, &["-pthread"]))
}

/// `probe WAYS…` under the object, with this in its environment.
fn probe(program: &PathBuf, order: Option<(&str, &str)>, ways: &str) -> String {
    let mut command = namespace::command(DEVICES, "env");
    command.arg(format!("LD_PRELOAD={}", shared_object().display()));
    command.args(order.map(|(name, value)| format!("{name}={value}"))).arg(program).args(ways.split(' '));
    namespace::stdout(&mut command)
}

fn bare(program: &PathBuf, ways: &str) -> String {
    namespace::stdout(namespace::command(DEVICES, program).args(ways.split(' ')))
}

#[test]
fn every_way_to_make_an_inet_socket_is_bound() {
    let ways = "socket inet6 __socket syscall thread signal noenviron";
    let bound = ways.split(' ').map(|way| format!("{way} blue\n")).collect::<String>();
    let unbound = bound.replace("blue", "-");
    for program in probes() {
        assert_eq!(probe(&program, Some(ORDER), ways), bound, "{program:?}");
        assert_eq!(bare(&program, ways), unbound, "{program:?}: the judge itself");
    }
}

#[test]
fn forked_children_are_bound_and_so_is_what_runs_in_atfork() {
    for program in probes() {
        assert_eq!(probe(&program, Some(ORDER), "fork vfork"), "atfork blue\nfork blue\nvfork blue\n", "{program:?}");
    }
}

#[test]
fn other_families_and_wrong_arguments_get_the_kernels_own_answer() {
    let ways = "unix netlink badfamily badtype badprotocol";
    for program in probes() {
        assert_eq!(probe(&program, Some(ORDER), ways), bare(&program, ways), "{program:?}");
    }
}

#[test]
fn errno_stays_as_it_was_when_a_call_succeeds() {
    for program in probes() {
        assert_eq!(probe(&program, Some(ORDER), "errno"), "errno 77\n", "{program:?}");
    }
}

#[test]
fn a_missing_device_fails_each_call_and_leaves_no_descriptor_open() {
    let order = ("VRFSHIM", "0123456789abcdef:nowhere");
    for program in probes() {
        let said = probe(&program, Some(order), "socket inet6 syscall unix descriptors");
        let none = "No such device\n";
        assert_eq!(said, format!("socket {none}inet6 {none}syscall {none}unix -\ndescriptors 0\n"), "{program:?}");
    }
}

#[test]
fn preloaded_without_an_order_or_with_a_broken_one_no_inet_socket_is_made() {
    for order in [None, Some(("VRFSHIM", "")), Some(("VRFSHIM", "blue")), Some(("VRFSHIM", "0123456789ABCDEF:blue"))] {
        for program in probes() {
            let said = probe(&program, order, "socket syscall unix thread").replace("unreachable", "is unreachable");
            let said = said.replace("is is", "is"); // musl and glibc word it differently
            let closed = "Network is unreachable\n";
            assert_eq!(said, format!("socket {closed}syscall {closed}unix -\nthread {closed}"), "{order:?}");
        }
    }
}

#[test]
fn the_cookie_is_wiped_from_its_register_even_when_the_call_fails() {
    for program in probes() {
        let said = probe(&program, Some(ORDER), "register");
        assert!(said.starts_with("register ") && !said.contains(&ORDER.1[..16]), "{program:?}: {said}");
    }
}

/// What `setsockopt(SO_BINDTODEVICE)` says to a program without capabilities.
fn rebinding(way: &str) -> String {
    let [program, _] = probes();
    let mut command = namespace::unprivileged(DEVICES, "env");
    command.arg(format!("LD_PRELOAD={}", shared_object().display())).arg(format!("VRFSHIM={}", ORDER.1));
    namespace::stdout(command.arg(program).arg(way))
}

#[test]
fn asking_for_the_device_that_is_already_bound_succeeds_without_privileges() {
    assert_eq!(rebinding("bind=blue"), "bind Success\nbind Success\nbound blue\n");
}

#[test]
fn asking_for_another_device_gets_the_kernels_answer() {
    assert_eq!(rebinding("bind=red"), "bind Operation not permitted\nbind Operation not permitted\nbound blue\n");
    let none = "bind No such device\n";
    assert_eq!(rebinding("bind=blue2"), format!("{none}{none}bound blue\n"));
}

#[test]
fn asking_by_index_is_the_same() {
    // far is 2, blue is 3, away is 4, red is 5: ip makes the peer first.
    assert_eq!(rebinding("index=3"), "index Success\n");
    assert_eq!(rebinding("index=5"), "index Operation not permitted\n");
}

#[test]
fn python_is_bound() {
    let script = "import socket; print(socket.socket().getsockopt(socket.SOL_SOCKET, 25, 16))";
    let mut command = namespace::command(DEVICES, "env");
    command.arg(format!("LD_PRELOAD={}", shared_object().display())).arg(format!("VRFSHIM={}", ORDER.1));
    assert_eq!(namespace::stdout(command.args(["/usr/bin/python3", "-c", script])), "b'blue\\x00'\n");
}

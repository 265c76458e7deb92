//! Sockets that few programs have, and what becomes of a socket after it was made: in the VRF or denied by each mechanism, or, of
//! a family that no VRF holds, outside as SECURITY.md says.

use super::bind_on_use::{BPF, STRICT, world};
use super::guest_tests;
use super::ways;
use crate::harness::judge::{Outcome, root};
use crate::harness::world::World;

guest_tests! {
    an_sctp_socket_that_a_32_bit_program_unbinds_sends_nothing,
    an_association_has_the_device_of_its_socket,
    a_udp_lite_socket_that_lost_its_device_stays_in_the_vrf,
    what_stands_between_a_socket_and_its_stream_changes_no_device,
    families_that_no_vrf_holds_are_as_without_a_mechanism,
    a_udp_socket_without_its_device_receives_by_any_domain,
    a_join_by_an_address_is_reported_where_the_address_is,
    a_supervised_socket_is_of_the_supervisors_cgroup needs [Supervisor],
}

const IP_VRF_EXEC: &[&str] = &["ip", "vrf", "exec", "blue"];

/// What goes to these leaves at once, by any domain.
fn neighbours_are_known(world: &World) {
    for device in ["eth0", "blue0"] {
        for address in ["198.51.100.9", "fe80::9"] {
            world.ip(&format!("neigh add {address} lladdr 02:00:00:00:00:09 dev {device}"));
        }
    }
}

/// No program of the cgroup is asked (`what_a_32_bit_program_asks_for_is_not_seen_and_nothing_of_it_leaves`), and without a device
/// an SCTP socket for several peers looks like one that the kernel has made for a network namespace.
fn an_sctp_socket_that_a_32_bit_program_unbinds_sends_nothing() {
    let mut world = world();
    neighbours_are_known(&world);
    for kind in ["sctp4", "sctp6"] {
        let moves = [kind, "unbind", "neighbour", "pause"];
        let judge = world.judge(&root([IP_VRF_EXEC, &["on_use_i386"], &moves].concat()));
        assert_eq!((judge.outcome, &*judge.text()), (Outcome::Leak, "bound -\n"), "the judge: {judge}");
        for before in [BPF, STRICT] {
            let verdict = world.judge(&root([before, &["on_use_i386"], &moves].concat()));
            assert_eq!((verdict.outcome, &*verdict.text()), (Outcome::Closed, "bound -\n"), "{before:?} {verdict}");
        }
    }
}

/// One with two addresses of its peer, by a socket for several peers; and one that has left it (SCTP_SOCKOPT_PEELOFF), which the
/// kernel makes within a getsockopt(2).
fn an_association_has_the_device_of_its_socket() {
    let mut world = world();
    neighbours_are_known(&world);
    let moves = ["on_use", "sctp4", "nonblock", "connectx", "peeloff", "pause"];
    let judge = world.judge(&ways::NONE.order(&moves));
    assert_eq!((judge.outcome, &*judge.text()), (Outcome::Leak, "bound -\n"), "the judge: {judge}");
    for way in ways::ALL {
        let verdict = world.judge(&way.order(&moves));
        assert_eq!((verdict.outcome, &*verdict.text()), (Outcome::Blue, "bound blue\n"), "{way:?} {verdict}");
    }
}

/// Its connect(2) asks no program of the cgroup. Newer kernels have no UDP-Lite any more.
fn a_udp_lite_socket_that_lost_its_device_stays_in_the_vrf() {
    let mut world = world();
    // On Linux 5.10 one that connects again is open under `seccomp`, as one of UDP is.
    let (again, unconnected) = ("connect unspec connect send", "connect unspec sendto sendto");
    for (moves, ways) in [(again, &ways::ALL), (unconnected, &ways::ALL), (unconnected, &ways::ROOTS)] {
        for kind in ["udplite4", "udplite6"] {
            let words: Vec<&str> = ["on_use", kind].into_iter().chain(moves.split(' ')).collect();
            let judge = world.judge(&ways::IP_VRF_EXEC.order(&words));
            let is_none = judge.text() == "socket EPROTONOSUPPORT\n";
            assert_eq!(judge.outcome == Outcome::Leak, !is_none, "the judge: {moves}\n{judge}");
            for way in ways {
                let verdict = world.judge(&way.order(&words));
                let is_denied = verdict.outcome == Outcome::Closed && verdict.text().contains(" EPERM\n");
                let is_held = if is_none {
                    verdict.text() == judge.text()
                } else {
                    is_denied || verdict.outcome == Outcome::Blue
                };
                assert!(is_held, "{way:?} {moves}\n{verdict}");
            }
        }
    }
}

/// TLS and SMC in the kernel, a connection that is made without a packet, a page that is sent without a copy.
fn what_stands_between_a_socket_and_its_stream_changes_no_device() {
    let mut world = world();
    for moves in ["connect ulp-tls send", "connect ulp-smc send", "ulp-smc connect", "repair send", "connect zerocopy"]
    {
        let words: Vec<&str> = ["on_use", "tcp4"].into_iter().chain(moves.split(' ')).collect();
        let judge = world.judge(&ways::NONE.order(&words));
        assert_eq!(judge.outcome, Outcome::Leak, "the judge: {moves}\n{judge}");
        for way in ways::ALL {
            let verdict = world.judge(&way.order(&words));
            assert_ne!(verdict.outcome, Outcome::Leak, "{way:?} {moves}\n{verdict}");
            assert!(verdict.text().ends_with("bound blue\n"), "{way:?} {moves}\n{verdict}");
        }
    }
}

/// Makes a socket of each of these families, tells its family, and sends a packet by the default domain past all
/// sockets of IP. SOCK_PACKET makes one of AF_PACKET whatever family is named.
const OTHERS: &str = "import socket, struct
def make(*numbers):
    try: made = socket.socket(*numbers)
    except OSError as error: return print(*numbers, 'errno', error.errno)
    print(*numbers, 'family', made.getsockopt(1, 39))
    return made
for numbers in (2, 10, 768), (44, 3, 0), (40, 1, 0), (30, 2, 0), (30, 4, 0), (24, 1, 0): make(*numbers)
packet = struct.pack('!BBHHHBBH4s4s', 69, 0, 20, 1, 0, 9, 253, 0, socket.inet_aton('198.51.100.2'), socket.inet_aton('192.0.2.80'))
make(17, 3, 0).sendto(bytes([255] * 6 + [2, 0, 0, 0, 0, 9, 8, 0]) + packet, ('eth0', 0))
";

fn families_that_no_vrf_holds_are_as_without_a_mechanism() {
    let mut world = world();
    let order = ["python3", "-c", OTHERS];
    let without = world.judge(&ways::NONE.order(&order));
    assert_eq!((without.code, without.outcome), (0, Outcome::Leak), "{without}");
    assert!(without.text().contains("17 3 0 family 17\n"), "{without}");
    assert!(without.text().contains("2 10 768 family 17\n"), "{without}");
    for way in ways::ROOTS {
        let verdict = world.judge(&way.order(&order));
        assert_eq!((verdict.code, verdict.outcome), (0, Outcome::Leak), "{way:?} {verdict}");
        assert_eq!(verdict.text(), without.text(), "{way:?} {verdict}");
    }
}

fn a_join_by_an_address_is_reported_where_the_address_is() {
    let mut world = world();
    world.ip("addr add 203.0.113.7/32 dev eth0");
    for way in ways::ROOTS {
        let verdict = world.judge(&way.order(&["on_use", "udp4", "join-address", "members", "wait"]));
        assert_eq!(verdict.text(), "member by eth0\nbound blue\n", "{way:?} {verdict}");
        assert_eq!(verdict.outcome, Outcome::Leak, "{way:?} {verdict}");
    }
}

/// It makes a listener in a cgroup of its own, into which it has gone after the start.
const LISTENS: &str = "cd $(findmnt -rnft cgroup2 -o TARGET); mkdir -p vrftest; echo 0 >vrftest/cgroup.procs
    python3 -c 'import socket, subprocess
made = socket.create_server((\"0.0.0.0\", 7003))
print(subprocess.run([\"ss\", \"-Htln\", \"--cgroup\", \"sport = 7003\"], capture_output=True, text=True).stdout)'";

fn a_supervised_socket_is_of_the_supervisors_cgroup() {
    let mut world = world();
    for (mechanism, is_own) in [("preload", true), ("seccomp", false)] {
        let verdict = world.judge(&root(["vrfrun", "-m", mechanism, "blue", "sh", "-c", LISTENS]));
        assert!(verdict.code == 0 && verdict.text().contains("0.0.0.0%blue:7003"), "{mechanism} {verdict}");
        assert_eq!(verdict.text().contains("cgroup:/vrftest"), is_own, "{mechanism} {verdict}");
        assert!(verdict.text().contains("cgroup:/"), "{mechanism} {verdict}");
        let _ = std::fs::remove_dir("/sys/fs/cgroup/vrftest");
    }
}

/// A UDP socket at port 7005 that was connected, and with a word for its argument is no more; it tells what it receives.
const RECEIVES: &str = "import ctypes, socket, sys
made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); made.bind(('0.0.0.0', 7005))
if len(sys.argv) > 1:
    made.connect(('192.0.2.80', 7)); ctypes.CDLL(None).connect(made.fileno(), bytes(16), 16)
print('ready', flush=True)
print(made.recv(9).decode(), flush=True)";

/// A datagram to it by the default domain, which is refused where nobody there has the port.
const SENDS: &str = "import socket
made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); made.connect(('127.0.0.1', 7005)); made.send(b'outside')
made.settimeout(WAIT)
try: made.recv(1)
except OSError as error: print(type(error).__name__)";

/// It sends by the VRF or not at all, and hears all domains until it is bound again.
fn a_udp_socket_without_its_device_receives_by_any_domain() {
    let mut world = world();
    let refused = SENDS.replace("WAIT", "None");
    let [bpf, preload, seccomp] = ways::ROOTS;
    for (way, words) in [(bpf, &[][..]), (preload, &["unspec"]), (seccomp, &[])] {
        let mut receiver = world.start(&way.order(&[&["python3", "-c", RECEIVES], words].concat()));
        receiver.wait_for("ready");
        let sender = world.judge(&root(["python3", "-c", &refused]));
        assert_eq!(sender.text(), "ConnectionRefusedError\n", "{way:?} {sender}");
        receiver.terminate();
        receiver.finish(&mut world);
    }
    let unanswered = SENDS.replace("WAIT", "0.01");
    for way in [bpf, seccomp] {
        let mut receiver = world.start(&way.order(&["python3", "-c", RECEIVES, "unspec"]));
        receiver.wait_for("ready");
        world.judge(&root(["python3", "-c", &unanswered]));
        let receiver = receiver.finish(&mut world);
        assert_eq!(receiver.text(), "ready\noutside\n", "{way:?} {receiver}");
    }
}

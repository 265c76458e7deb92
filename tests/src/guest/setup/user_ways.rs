//! `vrfsetup user`: what a user's program can do to a socket once it has one. Each of these ways leaks without the command, and
//! is blue or closed with it, exactly as it says here.

use super::guest_tests;
use super::user::{ALICE, Users, as_alice, world};
use super::vrfsetup;
use crate::harness::judge::{Order, Outcome, Verdict, root};
use crate::harness::setting::Setting;
use crate::harness::world::{Domain, World};

guest_tests! {
    no_datagram_of_a_user_leaves_by_another_device,
    no_packet_of_a_users_raw_socket_leaves_by_another_device,
    no_ping_of_a_user_leaves_by_another_device,
    a_user_namespace_and_a_second_user_open_nothing,
    mptcp_of_a_user_is_refused needs [MptcpBind],
}

/// As alice, with the right to make raw sockets and to bind any socket anywhere: what a program of hers with file capabilities
/// has.
const CAPABLE: &[&str] =
    &["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "--inh-caps=+net_raw", "--ambient-caps=+net_raw"];

/// A world whose foreign interface has a link-local address, which it gives none by itself.
fn scoped() -> Users {
    let users = world();
    users.0.ip("addr add fe80::2/64 dev eth0 nodad");
    users
}

fn order(before: &[&str], moves: &str) -> Order {
    root(before.iter().copied().chain(["on_use"]).chain(moves.split(' ')))
}

/// What each of these moves leaves outside, and with the user in blue nothing: the outcome beside it.
fn each_is(users: &mut Users, before: &[&str], all: &[(&str, Outcome)]) {
    let world = &mut users.0;
    for (moves, _) in all {
        let verdict = world.judge(&order(before, moves));
        assert!(outside(&verdict) > 0, "the judge: {moves}\n{verdict}");
    }
    vrfsetup(world, 0, "user user blue");
    for (moves, outcome) in all {
        let verdict = world.judge(&order(before, moves));
        assert_eq!((verdict.code, verdict.outcome), (0, *outcome), "{moves}\n{verdict}");
        assert!(verdict.text().contains("bound "), "{moves}\n{verdict}");
    }
}

fn outside(verdict: &Verdict) -> u64 {
    verdict.packets(Domain::Default) + verdict.packets(Domain::Red)
}

fn no_datagram_of_a_user_leaves_by_another_device() {
    use Outcome::{Blue, Closed};
    let moves = [
        // Another device, once the socket has none: by its name, and by a scope.
        ("udp4 connect unspec rebind sendto", Closed),
        ("udp6 connect unspec rebind sendto", Closed),
        ("udp4 connect unspec rebind connect send", Closed),
        ("udp6 connect unspec connect-scope send", Closed),
        ("udp6 bind-scope scope", Closed),
        ("udp6 scope", Closed),
        // Another device for one packet, and packets that the kernel routes without the socket's.
        ("udp4 pktinfo", Closed),
        ("udp6 pktinfo", Closed),
        ("udp4 multicast", Closed),
        ("udp4 connect-multicast send", Closed),
        ("udp4 by-foreign multicast", Closed),
        ("udp4 broadcast", Closed),
        // What loses its device has it again.
        ("udp4 connect unspec connect send", Blue),
        ("udp6 connect unspec connect send", Blue),
    ];
    let mut users = scoped();
    each_is(&mut users, ALICE, &moves);
    // Multicast by the VRF's own port is no way out.
    let verdict = users.0.judge(&as_alice(&["on_use", "udp4", "by-port", "multicast"]));
    assert_eq!(verdict.outcome, Blue, "{verdict}");
    // Nor does a capability open any of them, which binds a bound socket elsewhere.
    for moves in ["udp4 rebind sendto", "udp4 connect unspec rebind sendto", "udp6 rebind sendto", "udp4 pktinfo"] {
        let verdict = users.0.judge(&order(CAPABLE, moves));
        assert_eq!(verdict.outcome, Closed, "{moves}\n{verdict}");
    }
}

fn no_packet_of_a_users_raw_socket_leaves_by_another_device() {
    use Outcome::{Blue, Closed};
    let moves = [
        ("raw4 sendto", Blue),
        ("raw4 connect unspec sendto", Closed),
        ("raw4 rebind sendto", Closed),
        ("raw4 multicast", Closed),
        ("raw4 broadcast", Closed),
        ("raw4 pktinfo", Closed),
        ("raw6 sendto", Blue),
        ("raw6 connect unspec sendto", Closed),
        ("raw6 rebind sendto", Closed),
        ("raw6 bind-scope scope", Closed),
        ("raw6 scope", Closed),
    ];
    each_is(&mut scoped(), CAPABLE, &moves);
}

fn no_ping_of_a_user_leaves_by_another_device() {
    let mut users = scoped();
    let _groups = Setting::everybody_may_ping();
    let moves = [
        ("ping4 sendto", Outcome::Blue),
        ("ping4 connect unspec sendto", Outcome::Closed),
        ("ping4 connect unspec rebind sendto", Outcome::Closed),
        ("ping4 multicast", Outcome::Closed),
        ("ping6 connect unspec sendto", Outcome::Closed),
        ("ping6 connect unspec rebind sendto", Outcome::Closed),
    ];
    each_is(&mut users, ALICE, &moves);
}

/// Real user ids are those of the first user namespace, and a tag is the socket's, whoever has it.
fn a_user_namespace_and_a_second_user_open_nothing() {
    let mut users = scoped();
    let world = &mut users.0;
    vrfsetup(world, 0, "user user blue");
    let in_namespace = |world: &mut World, moves: &str| {
        let words = [&["unshare", "-Ur", "on_use"][..], &moves.split(' ').collect::<Vec<_>>()].concat();
        world.judge(&as_alice(&words))
    };
    for moves in ["udp4 sendto", "tcp4 connect", "udp6 connect unspec connect send"] {
        let verdict = in_namespace(world, moves);
        assert_eq!(verdict.outcome, Outcome::Blue, "{moves}\n{verdict}");
    }
    for moves in ["udp4 connect unspec rebind sendto", "udp6 scope", "udp4 pktinfo", "udp6 pktinfo", "udp4 broadcast"] {
        let verdict = in_namespace(world, moves);
        assert_eq!(verdict.outcome, Outcome::Closed, "{moves}\n{verdict}");
    }
    // A second user who is handed the socket, and whose own are in no VRF.
    let hand_over = "
import ctypes, os, socket
made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
if os.fork() == 0:
    os.setuid(1001)
    made.connect(('192.0.2.80', 7))
    ctypes.CDLL(None).connect(made.fileno(), bytes(16), 16)
    made.setsockopt(socket.SOL_SOCKET, 25, b'red')
    try: made.sendto(b'x', ('192.0.2.80', 7))
    except OSError as error: print(error.strerror, flush=True)
    os._exit(0)
os.wait()";
    let words = ["setpriv", "--ruid=1000", "--clear-groups", "python3", "-c", hand_over];
    let verdict = world.judge(&root(words));
    assert_eq!((verdict.outcome, verdict.text().as_str()), (Outcome::Closed, "Operation not permitted\n"), "{verdict}");
}

/// Its further subflows are the kernel's own.
fn mptcp_of_a_user_is_refused() {
    let mut users = world();
    vrfsetup(&mut users.0, 0, "user user blue");
    for moves in ["mptcp4 connect", "mptcp6 bind listen"] {
        let verdict = users.0.judge(&order(ALICE, moves));
        assert_eq!((verdict.outcome, verdict.text().as_str()), (Outcome::Closed, "socket EPERM\n"), "{verdict}");
    }
    let verdict = users.0.judge(&root(["on_use", "mptcp4", "connect", "answer"]));
    assert_eq!(verdict.packets(Domain::Blue), 0, "of others it is as it was\n{verdict}");
    assert!(verdict.text().contains("answer default"), "{verdict}");
}

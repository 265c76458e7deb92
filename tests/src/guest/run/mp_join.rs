//! The second path of an MPTCP connection (MP_JOIN), which the kernel opens by itself, with a socket that no program made:
//! under `bpf` it is in the VRF or refused, under a filter there is no MPTCP. The peers count who asked to join.

use std::io;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::guest_tests;
use crate::harness::judge::{Outcome, Verdict, root};
use crate::harness::world::{Domain, Kind, World};

guest_tests! {
    a_path_from_an_address_of_both_domains_is_the_vrfs needs [MptcpBind],
    a_path_by_a_foreign_interface_is_refused needs [MptcpBind],
    a_path_that_the_server_asks_for_is_the_vrfs needs [MptcpBind],
}

const BPF: [&[&str]; 2] = [&["vrfrun", "-m", "bpf", "blue"], &["vrfrun", "--strict", "blue"]];
const FILTERED: [&[&str]; 2] = [&["vrfrun", "-m", "preload", "blue"], &["vrfrun", "-m", "seccomp", "blue"]];

/// A server of MPTCP beside each peer, which greets with the domain's name and keeps its connections; ends with this value.
struct Servers(Vec<Child>);

impl Servers {
    fn start(world: &World) -> Self {
        let servers = Domain::ALL.map(|domain| {
            let script = format!(
                "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)\n\
                 s.bind(('', 8)); s.listen(9); kept = []\n\
                 while True: kept.append(s.accept()[0]); kept[-1].sendall(b'{}\\n')",
                domain.name()
            );
            at_peer(world, domain, &["ip", "mptcp", "limits", "set", "subflows", "2"]);
            spawn(&world.at_peer(domain, &["python3", "-c", &script]))
        });
        let servers = Self(servers.into_iter().collect::<io::Result<_>>().expect("a server of MPTCP"));
        while !world.peers().into_iter().all(listens) {
            std::thread::sleep(Duration::from_millis(50));
        }
        servers
    }
}

/// Whether there is a listener at port 8 in this process's network namespace.
fn listens(peer: u32) -> bool {
    let table = std::fs::read_to_string(format!("/proc/{peer}/net/tcp")).unwrap_or_default();
    table.lines().any(|line| line.contains(":0008 00000000:0000 0A "))
}

impl Drop for Servers {
    fn drop(&mut self) {
        for server in &mut self.0 {
            // One that has ended already is as good as killed.
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

fn spawn(words: &[String]) -> io::Result<Child> {
    Command::new(&words[0]).args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::null()).spawn()
}

fn at_peer(world: &World, domain: Domain, words: &[&str]) {
    let status = spawn(&world.at_peer(domain, words)).and_then(|mut child| child.wait());
    assert!(status.is_ok_and(|status| status.success()), "{words:?} at {}", domain.name());
}

/// How many requests to join a connection have reached this domain's peer so far.
fn joins(world: &World, domain: Domain) -> u64 {
    let path = format!("/proc/{}/net/netstat", world.peers()[domain as usize]);
    let text = std::fs::read_to_string(&path).expect(&path);
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("MPTcpExt: ")).map(|line| line.split(' '));
    let (names, mut numbers) = (lines.next().expect("names"), lines.next().expect("numbers"));
    let at = names.into_iter().position(|name| name == "MPJoinSynRx").expect("a counter of requests to join");
    numbers.nth(at).and_then(|number| number.parse().ok()).expect("a number")
}

/// A world with MPTCP servers, whose machine has this endpoint for a second path.
fn world(endpoint: &str) -> (World, Servers) {
    // In a network namespace of its own, with which its limits and endpoints go.
    let world = World::new(Kind::Vrfs).expect("a world");
    world.ip("mptcp limits set subflows 2 add_addr_accepted 2");
    // An address that both domains have, so that an unbound socket finds it as well as a bound one.
    world.ip("addr add 198.51.100.3/24 dev eth0");
    world.ip("addr add 198.51.100.3/24 dev blue0");
    if !endpoint.is_empty() {
        world.ip(&format!("mptcp endpoint add {endpoint}"));
    }
    let servers = Servers::start(&world);
    (world, servers)
}

/// What the program did, and how many asked to join in each domain meanwhile.
fn connected(world: &mut World, before: &[&str], first: &[&str]) -> (Verdict, [u64; 3]) {
    let earlier = Domain::ALL.map(|domain| joins(world, domain));
    let words = [before, &["on_use", "mptcp4"], first, &["connect-mptcp", "answer", "pause"]].concat();
    let verdict = world.judge(&root(words));
    assert!(verdict.text().contains("answer blue\n"), "{before:?}\n{verdict}");
    let later = Domain::ALL.map(|domain| joins(world, domain));
    (verdict, std::array::from_fn(|at| later[at] - earlier[at]))
}

/// A program that binds its own MPTCP socket leaks its second path by the default domain: the judge's own judge. Under no
/// mechanism does anything leave blue; `blue_joins` of them are asked for there under `bpf`.
fn is_held(world: &mut World, blue_joins: std::ops::RangeInclusive<u64>) {
    let (verdict, joined) = connected(world, &[], &["own"]);
    assert!(verdict.outcome == Outcome::Leak && joined[0] > 0, "the judge: {joined:?}\n{verdict}");
    for before in BPF {
        let (verdict, joined) = connected(world, before, &[]);
        assert_eq!((verdict.outcome, joined[0], joined[2]), (Outcome::Blue, 0, 0), "{before:?}\n{verdict}");
        assert!(blue_joins.contains(&joined[1]), "{before:?}: {joined:?}\n{verdict}");
    }
    for before in FILTERED {
        let (verdict, joined) = connected(world, before, &[]);
        assert_eq!((verdict.outcome, joined), (Outcome::Blue, [0; 3]), "{before:?}\n{verdict}");
    }
}

fn a_path_from_an_address_of_both_domains_is_the_vrfs() {
    let (mut world, _servers) = world("198.51.100.3 subflow");
    is_held(&mut world, 1..=1);
}

fn a_path_by_a_foreign_interface_is_refused() {
    let (mut world, _servers) = world("198.51.100.3 dev eth0 subflow");
    is_held(&mut world, 0..=0);
}

fn a_path_that_the_server_asks_for_is_the_vrfs() {
    let (mut world, _servers) = world("");
    for domain in Domain::ALL {
        at_peer(&world, domain, &["ip", "mptcp", "endpoint", "add", "192.0.2.53", "signal"]);
    }
    is_held(&mut world, 1..=1);
}

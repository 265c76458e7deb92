//! Random programs (`tests/programs/sequences.c`) under the oracle inside the kernel (`oracle.c`): no packet of theirs leaves
//! by a foreign link, whatever their sockets went through. The peers count as well.
//!
//! One seed is one program. A few of them run here; `vrfguest sequences` runs as many as one likes, and a single one again.

use std::io;
use std::time::Duration;

use super::guest_tests;
use crate::harness::judge::{Outcome, Verdict, root};
use crate::harness::kernels::{self, Feature};
use crate::harness::world::{Domain, Kind, World};

guest_tests! {
    the_oracle_flags_what_is_outside,
    under_bpf,
    under_strict,
    of_a_user_under_preload,
    of_a_user_under_seccomp needs [Supervisor],
    of_root_under_seccomp needs [Supervisor],
}

/// A way into the VRF.
struct Way {
    name: &'static str,
    /// The moves that are left open to the program: a word of its own.
    moves: &'static str,
    before: &'static [&'static str],
    program: &'static str,
}

const AS_USER: [&str; 5] = ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "--"];

const BPF: Way = Way { name: "bpf", moves: "all", before: &["vrfrun", "-m", "bpf", "blue"], program: "sequences" };
const STRICT: Way =
    Way { name: "strict", moves: "strict", before: &["vrfrun", "--strict", "blue"], program: "sequences" };
const PRELOAD: Way = Way {
    name: "preload",
    moves: "filter",
    before: &[AS_USER[0], AS_USER[1], AS_USER[2], AS_USER[3], AS_USER[4], "vrfrun", "-m", "preload", "blue"],
    program: "sequences",
};
const SECCOMP: Way = Way {
    name: "seccomp",
    moves: "filter",
    before: &[AS_USER[0], AS_USER[1], AS_USER[2], AS_USER[3], AS_USER[4], "vrfrun", "-m", "seccomp", "blue"],
    program: "sequences_static",
};
const SECCOMP_ROOT: Way = Way {
    name: "seccomp-root",
    moves: "filter",
    before: &["vrfrun", "-m", "seccomp", "blue"],
    program: "sequences_static",
};

const WAYS: [Way; 5] = [BPF, STRICT, PRELOAD, SECCOMP, SECCOMP_ROOT];

/// Five ways on four kernels: 500 in a whole run of the tests.
const COUNT: u64 = 25;
/// Each way has its own.
const FIRST: u64 = 1000;

/// For as many as run at a time, in an emulated machine on a busy host.
const LIMIT: Duration = Duration::from_secs(800);

/// A world whose foreign link has a link-local address, which it gives none by itself.
fn world() -> World {
    let world = World::of_machine(Kind::Vrfs).expect("a world");
    world.ip("addr add fe80::2/64 dev eth0 nodad");
    world
}

/// Linux 5.10 lets a reconnected UDP socket out; MPTCP's inner sockets are of the same releases.
fn moves_of(way: &Way) -> &'static str {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let is_old = kernels::of_release(&release).is_some_and(|kernel| !kernel.works.contains(&Feature::MptcpBind));
    if way.moves == "filter" && is_old { "filter-old" } else { way.moves }
}

fn watch(world: &mut World, before: &[&str], program: &[&str], first: u64, count: u64) -> Verdict {
    let (first, count) = (first.to_string(), count.to_string());
    let words = [&["oracle", &first, &count], before, program].concat();
    world.judge(&root(words).within(LIMIT))
}

fn hold(world: &mut World, way: &Way, first: u64, count: u64) -> Verdict {
    watch(world, way.before, &[way.program, moves_of(way)], first, count)
}

fn none_gets_out(way: &Way) {
    let at = WAYS.iter().position(|other| other.name == way.name).unwrap_or_default() as u64;
    let verdict = hold(&mut world(), way, FIRST * (at + 1), COUNT);
    assert_eq!((verdict.code, verdict.outcome), (0, Outcome::Blue), "{}: {verdict}", way.name);
}

/// The judge: it sees what a program does that nothing binds, and what `ip vrf exec` does not hold.
fn the_oracle_flags_what_is_outside() {
    for before in [&[][..], &["ip", "vrf", "exec", "blue"]] {
        let verdict = watch(&mut world(), before, &["sequences", "all"], FIRST, 4 * COUNT);
        assert_eq!((verdict.code, verdict.outcome), (1, Outcome::Leak), "{before:?}: {verdict}");
        assert!(verdict.text().contains(" packets by link "), "{before:?}: {verdict}");
    }
}

fn under_bpf() {
    none_gets_out(&BPF);
}

fn under_strict() {
    none_gets_out(&STRICT);
}

fn of_a_user_under_preload() {
    none_gets_out(&PRELOAD);
}

fn of_a_user_under_seccomp() {
    none_gets_out(&SECCOMP);
}

fn of_root_under_seccomp() {
    none_gets_out(&SECCOMP_ROOT);
}

/// So many at a time: the host takes a machine that says nothing for long for one that hangs.
const CHUNK: u64 = 250;

/// `WAY|all FIRST COUNT`: so many sequences by one way, or by all of them together; the seeds are named.
///
/// # Errors
/// When a packet got out, with the seed that did it; when the words are others.
pub fn by_hand(words: &[String]) -> io::Result<()> {
    let usage = || io::Error::other(format!("usage: sequences all|{} FIRST COUNT", WAYS.map(|way| way.name).join("|")));
    let [name, numbers @ ..] = words else { return Err(usage()) };
    let numbers: Vec<u64> = numbers.iter().map_while(|word| word.parse().ok()).collect();
    let ways: Vec<&Way> = WAYS.iter().filter(|way| name == "all" || way.name == name).collect();
    let ([first, count], false) = (&numbers[..], ways.is_empty()) else { return Err(usage()) };
    let each = count.div_ceil(ways.len() as u64);
    ways.iter().zip((*first..).step_by(each.max(1) as usize)).try_for_each(|(way, first)| in_chunks(way, first, each))
}

fn in_chunks(way: &Way, first: u64, count: u64) -> io::Result<()> {
    let mut world = world();
    for begin in (first..first + count).step_by(CHUNK as usize) {
        let size = CHUNK.min(first + count - begin);
        println!("{}: {size} sequences from seed {begin} on", way.name);
        let verdict = hold(&mut world, way, begin, size);
        if verdict.code != 0 || verdict.packets(Domain::Default) + verdict.packets(Domain::Red) != 0 {
            return Err(io::Error::other(format!("{}: {verdict}", way.name)));
        }
    }
    Ok(())
}

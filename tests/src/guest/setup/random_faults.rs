//! A change made by chance, with a fault at one of its calls, both by chance too: it is whole or not at all, as `ip -j`,
//! nft(8), wg(8) and the files in /run tell. More than a usual run has, or one again: `tools/vm debian_6_12 --run env
//! CHANGES=100 SEED=7 vrfguest run random_faults::NAME`.

use std::path::Path;
use std::process::Command;

use super::faults::{faulty, text, vrfsetup_idle};
use super::guest_tests;
use super::random_worlds::{Chance, SEED, furnish, number};
use super::tunnels::faults::marked_rules;
use super::tunnels::scene::{here, tables};
use super::{assert_same, state, vrfsetup};
use crate::harness::vm::plan::DIRECTORY;
use crate::harness::world::{Kind, World};

guest_tests! {
    a_random_change_with_a_random_fault_is_whole_or_not_at_all needs [Once],
}

/// Without `CHANGES`, and for each of them.
const CHANGES: u64 = 8;
const FAULTS: usize = 3;
const VRFS: u64 = 2;
const SPARE: &str = "spare0";

fn a_random_change_with_a_random_fault_is_whole_or_not_at_all() {
    let first = number("SEED").unwrap_or(SEED);
    let (mut made, mut met) = (0, 0);
    for seed in first..first + number("CHANGES").unwrap_or(CHANGES) {
        println!("SEED={seed}");
        let (does_something, faults) = one_change(&mut Chance::of(seed));
        made += usize::from(does_something);
        met += faults;
    }
    assert!(made > 0 && met > 0, "{made} of these changes do anything, and they met {met} faults");
}

/// Whether it is one that this world allows, and that does something; and how many faults it has met.
fn one_change(chance: &mut Chance) -> (bool, usize) {
    let mut world = World::new(Kind::Bare).expect("a world");
    // The kernel makes the l3mdev rules with the first VRF and keeps them.
    world.ip("link add first type vrf table 9");
    world.ip("link del first");
    let mut ports = Vec::new();
    for vrf in 0..VRFS {
        vrfsetup(&mut world, 0, &format!("add v{vrf} --table {}", 100 + vrf));
    }
    for vrf in 0..VRFS {
        for port in 0..1 + chance.below(2) {
            furnish(&world, chance, vrf, port, VRFS);
            ports.push(format!("p{vrf}x{port}"));
        }
    }
    world.ip(&format!("link add {SPARE} type dummy"));
    world.ip(&format!("link set {SPARE} addrgenmode none up"));
    world.ip(&format!("addr add 203.0.113.1/24 dev {SPARE}"));
    world.ip(&format!("addr add 2001:db8:77::1/64 dev {SPARE} nodad"));
    world.ip("route add 203.0.112.0/24 via 203.0.113.254 proto static");
    furnish_tunnels(&mut world, chance);
    let words = change(&world, chance, &ports);
    println!("vrfsetup {words}");
    let before = all(&world);
    let (code, calls) = counted(&world, &words);
    let whole = all(&world);
    let does_something = whole != before;
    assert!(code == Some(0) || !does_something, "refused, and made: {words}");
    if !does_something {
        return (false, 0);
    }
    vrfsetup(&mut world, 0, "rollback");
    assert_same(&before, &all(&world));
    let mut met = 0;
    for _ in 0..FAULTS {
        let fault = fault(chance, &calls);
        let output = faulty(&fault, &words);
        let said = text(&output);
        if said.contains("nothing is changed") {
            assert_same(&before, &all(&world));
        }
        let next = text(&vrfsetup_idle());
        let now = all(&world);
        println!("{fault}: {said}{next}");
        met += usize::from(!output.status.success());
        assert!(!said.contains("could not be undone") && !next.contains("could not be undone"));
        if now == whole {
            vrfsetup(&mut world, 0, "rollback");
        }
        assert_same(&before, &all(&world));
    }
    (true, met)
}

const CALLS: [&str; 7] = ["sendto", "write", "openat", "rename", "unlink", "clone3", "wait4"];

/// Makes the change; the code that it ends with, and how often it makes each of CALLS.
fn counted(world: &World, words: &str) -> (Option<i32>, [u64; CALLS.len()]) {
    let log = world.directory().join("calls");
    let mut strace = Command::new("strace");
    strace.args(["-qq", "-e", &format!("trace={}", CALLS.join(",")), "-o"]).arg(&log);
    let ended = strace.arg(format!("{DIRECTORY}/vrfsetup")).args(words.split(' ')).output().expect("strace");
    let log = std::fs::read_to_string(log).expect("strace's log");
    let count = |call: &str| log.lines().filter(|line| line.starts_with(&format!("{call}("))).count() as u64;
    (ended.status.code(), CALLS.map(count))
}

/// Tunnels of both ways in which an outside is put into a VRF, and conntrack zones; in some worlds already there.
fn furnish_tunnels(world: &mut World, chance: &mut Chance) {
    world.ip("link add gre1 type gre local 192.0.2.1 remote 192.0.2.80");
    world.ip("link add wg0 type wireguard");
    let key = world.directory().join("key");
    std::fs::write(&key, here("wg genkey")).expect("a key");
    here(&format!("wg set wg0 private-key {} listen-port 51820", key.display()));
    world.ip("link set wg0 up");
    for words in ["tunnel gre1 --in v0", "tunnel wg0 --in v0", "zones on"] {
        if chance.below(3) == 0 {
            println!("first: vrfsetup {words}");
            vrfsetup(world, 0, words);
        }
    }
}

/// All that a change of here can touch.
fn all(world: &World) -> String {
    // A table that is replaced is the last.
    let tables = tables();
    let mut tables: Vec<&str> = tables.split("\ntable ").collect();
    tables.sort_unstable();
    let forwards = here("cat /proc/sys/net/ipv4/ip_forward");
    let mut files = String::new();
    collect(Path::new("/run/vrfsetup"), &mut files);
    let marks = here("wg show all fwmark") + "\n" + &marked_rules();
    format!("{}{}\n{marks}\n{forwards}\n{files}", state(world), tables.join("\n"))
}

/// The files with their texts, without those that only tell of the last change.
fn collect(directory: &Path, into: &mut String) {
    let mut paths: Vec<_> =
        std::fs::read_dir(directory).into_iter().flatten().flatten().map(|file| file.path()).collect();
    paths.sort();
    for path in paths {
        match path.extension().and_then(|kind| kind.to_str()) {
            Some("lock" | "last") => {}
            _ if path.is_dir() => collect(&path, into),
            _ => *into += &format!("{}: {:?}\n", path.display(), std::fs::read_to_string(&path)),
        }
    }
}

/// A command line of any changing verb.
fn change(world: &World, chance: &mut Chance, ports: &[String]) -> String {
    let names: Vec<&str> = ports.iter().map(String::as_str).collect();
    let port = chance.one_of(&names);
    let vrf = format!("v{}", chance.below(VRFS));
    match chance.below(14) {
        0 => format!("add new --port {SPARE}"),
        1 => format!("add new --port {port} --port {SPARE} --unreachable rule"),
        2 => format!("attach {vrf} {SPARE} {port}"),
        3 => format!("detach {port}"),
        4 => format!("del {vrf}"),
        5 => format!("leak default {vrf} 203.0.112.0/24 10.0.0.0/24"),
        6 => "rules fix".to_owned(),
        7 => "rules undo".to_owned(),
        8 => chance.one_of(&["zones on", "zones off"]).to_owned(),
        9 => format!("tunnel gre1 --in {vrf}"),
        10 => format!("tunnel wg0 --in {vrf}"),
        11 => format!("tunnel {} --remove", chance.one_of(&["gre1", "wg0"])),
        12 => format!("add violet --emulate --port {SPARE}"),
        // With --each a refusal costs its part only, and the others are made.
        _ => {
            let path = world.directory().join("changed.toml");
            let declared = format!(
                "[rules]\nfix = true\n[sysctl]\n\"net.ipv4.ip_forward\" = 1\n[vrf.new]\ntable = 300\n\
                 ports = [\"{SPARE}\", \"{port}\"]\naddresses = [\"203.0.113.9/24 dev {SPARE}\"]\n\
                 routes = [\"default via 203.0.113.254\", \"blackhole 198.51.0.0/16\"]\n"
            );
            std::fs::write(&path, declared).expect("a file");
            format!("apply {} {}", path.display(), chance.one_of(&["--prune", "--force", "--progress never"]))
        }
    }
}

/// As strace(1) wants it: also where nft is started and waited for. A journal that cannot be put away in the end is no
/// refusal, so renames and the like are killed only.
fn fault(chance: &mut Chance, calls: &[u64; CALLS.len()]) -> String {
    let made: Vec<(&str, u64)> = CALLS.into_iter().zip(*calls).filter(|(_, count)| *count > 0).collect();
    // Half of them at a message.
    let (call, count) = made[if chance.below(2) == 0 { 0 } else { chance.below(made.len() as u64) as usize }];
    let signal = format!("signal={}", chance.one_of(&["SIGINT", "SIGTERM", "SIGHUP"]));
    let faults: &[&str] = match call {
        "sendto" => &["error=EPERM", "signal=SIGKILL", &signal],
        "clone3" => &["error=EAGAIN", "signal=SIGKILL"],
        "wait4" => &["signal=SIGKILL", &signal],
        _ => &["signal=SIGKILL"],
    };
    format!("{call}:{}:when={}", chance.one_of(faults), 1 + chance.below(count))
}

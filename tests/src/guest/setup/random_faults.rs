//! A change made by chance, with a fault at one of its calls, both by chance too: it is whole or not at all, as `ip -j`
//! tells. More than a usual run has, or one again: `tools/vm debian_6_12 --run env CHANGES=100 SEED=7 vrfguest run
//! random_faults::NAME`.

use super::guest_tests;
use super::random_worlds::{Chance, SEED, furnish, number};
use super::transactions::{faulty, text, vrfsetup_idle};
use super::{assert_same, state, vrfsetup};
use crate::harness::judge::root;
use crate::harness::world::{Kind, World};

guest_tests! {
    a_random_change_with_a_random_fault_is_whole_or_not_at_all needs [Once],
}

/// Without `CHANGES`, and for each of them.
const CHANGES: u64 = 6;
const FAULTS: usize = 4;
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
    let words = change(&world, chance, &ports);
    println!("vrfsetup {words}");
    let before = state(&world);
    let code = world.judge(&root(["vrfsetup"].into_iter().chain(words.split(' ')))).code;
    let whole = state(&world);
    let does_something = whole != before;
    assert!(code == 0 || !does_something, "refused, and made: {words}");
    undo(&mut world, does_something);
    assert_same(&before, &state(&world));
    let mut met = 0;
    for _ in 0..FAULTS {
        let fault = fault(chance);
        let output = faulty(&fault, &words);
        let said = text(&output);
        let next = text(&vrfsetup_idle());
        let now = state(&world);
        println!("{fault}: {said}{next}");
        met += usize::from(!output.status.success());
        assert!(!said.contains("could not be undone") && !next.contains("could not be undone"));
        undo(&mut world, does_something && now == whole);
        assert_same(&before, &state(&world));
    }
    (does_something, met)
}

fn undo(world: &mut World, is_made: bool) {
    if is_made {
        vrfsetup(world, 0, "rollback");
    }
}

/// A command line of any changing verb.
fn change(world: &World, chance: &mut Chance, ports: &[String]) -> String {
    let names: Vec<&str> = ports.iter().map(String::as_str).collect();
    let port = chance.one_of(&names);
    let vrf = format!("v{}", chance.below(VRFS));
    match chance.below(9) {
        0 => format!("add new --port {SPARE}"),
        1 => format!("add new --port {port} --port {SPARE} --unreachable rule"),
        2 => format!("attach {vrf} {SPARE} {port}"),
        3 => format!("detach {port}"),
        4 => format!("del {vrf}"),
        5 => format!("leak default {vrf} 203.0.112.0/24 10.0.0.0/24"),
        6 => "rules fix".to_owned(),
        7 => "rules undo".to_owned(),
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

/// As strace(1) wants it. A journal that cannot be put away in the end is no refusal, so renames are killed only.
fn fault(chance: &mut Chance) -> String {
    let at = 1 + chance.below(40);
    match chance.below(4) {
        0 => format!("sendto:error=EPERM:when={at}"),
        1 => format!("{}:signal=SIGKILL:when={}", chance.one_of(&["write", "openat", "rename", "unlink"]), 1 + at % 12),
        2 => format!("sendto:signal=SIGKILL:when={at}"),
        _ => format!("sendto:signal={}:when={at}", chance.one_of(&["SIGINT", "SIGTERM", "SIGHUP"])),
    }
}

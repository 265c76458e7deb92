//! What comes between, and two at once: a tunnel is in its VRF or where it was, with all that belongs to it.

use std::process::Output;

use super::super::faults::{FIRST, Fault, MANY, faulty, text, vrfsetup_idle};
use super::super::{assert_same, json, nothing_to_do, state, vrfsetup};
use super::scene::{here, tables};
use crate::harness::judge::root;
use crate::harness::world::{Kind, World};

/// Interfaces of WireGuard in no VRF, which send nothing.
fn world(names: &[&str]) -> World {
    let world = World::new(Kind::Vrfs).expect("a world");
    let key = world.directory().join("key");
    std::fs::write(&key, here("wg genkey")).expect("a key");
    for (name, port) in names.iter().zip(51820..) {
        world.ip(&format!("link add {name} type wireguard"));
        here(&format!("wg set {name} private-key {} listen-port {port}", key.display()));
        world.ip(&format!("link set {name} up"));
    }
    world
}

/// All that a tunnel changes.
fn all(world: &World) -> String {
    let (marks, gre) = (here("wg show all fwmark"), here("ip -d link show type gre"));
    format!("{}{marks}\n{}\n{gre}\n{}", state(world), tables(), marked_rules())
}

/// The rules of tunnels in their order, which the state does not tell: what stops a mark must come behind what leads it.
pub fn marked_rules() -> String {
    let rules = here("ip -4 rule") + "\n" + &here("ip -6 rule");
    rules.lines().filter(|line| line.contains("fwmark")).collect::<Vec<_>>().join("\n")
}

/// By this command and the one that undoes it: at each message, and where nft is started, waited for and given its script.
fn whole_or_not_at_all(fault: Fault) {
    let calls: &[&str] = match fault {
        Fault::Refusal => &["sendto", "clone3"],
        Fault::Kill => &["sendto", "clone3", "wait4", "rename"],
        Fault::Signal => &["sendto", "wait4"],
    };
    of_tunnel(world(&["wg0"]), "wg0", fault, calls);
}

/// The same of any two commands that undo each other, by what takes nft.
pub fn of_both(world: World, commands: [&str; 2], fault: Fault) {
    let calls: &[&str] = match fault {
        Fault::Refusal => &["clone3"],
        Fault::Kill => &["clone3", "wait4", "rename"],
        Fault::Signal => &["wait4"],
    };
    of(world, commands, fault, calls);
}

/// Of a tunnel that names its VRF, which takes no nft.
fn whole_or_not_at_all_without_nft(fault: Fault) {
    let world = World::new(Kind::Vrfs).expect("a world");
    here("ip link add gre1 type gre local 198.51.100.2 remote 192.0.2.80 dev eth0");
    let calls: &[&str] = if fault == Fault::Kill { &["sendto", "rename"] } else { &["sendto"] };
    of_tunnel(world, "gre1", fault, calls);
}

fn of_tunnel(world: World, name: &str, fault: Fault, calls: &[&str]) {
    of(world, [&format!("tunnel {name} --in blue"), &format!("tunnel {name} --remove")], fault, calls);
}

fn of(mut world: World, [into, back]: [&str; 2], fault: Fault, calls: &[&str]) {
    let out = all(&world);
    vrfsetup(&mut world, 0, into);
    let within = all(&world);
    assert_ne!(out, within);
    vrfsetup(&mut world, 0, back);
    assert_same(&out, &all(&world));
    for (words, before, after) in [(into, &out, &within), (back, &within, &out)] {
        let mut halfway = Vec::new();
        for call in calls {
            let mut met = 0;
            // The first messages only ask what is there.
            for at in if *call == "sendto" { FIRST } else { 1 }..MANY {
                let output = faulty(&format!("{call}:{}:when={at}", fault.injected("EPERM", at)), words);
                let next = if fault == Fault::Kill { text(&vrfsetup_idle()) } else { String::new() };
                met += usize::from(met_halfway(fault, &output, &next));
                let said = format!("{words}, {call} {at}: {}{next}", text(&output));
                assert!(!said.contains("could not be undone"), "{said}");
                let now = all(&world);
                // Killed when all was done, but for its last words.
                if output.status.success() || (fault == Fault::Kill && now == *after) {
                    assert_same(after, &now);
                    vrfsetup(&mut world, 0, "rollback");
                    if output.status.success() {
                        break;
                    }
                }
                if now != *after && now != *before {
                    println!("{said}");
                }
                assert_same(before, &all(&world));
            }
            halfway.push((call, met));
        }
        let enough = |(call, met): &(&&str, usize)| *met > if **call == "sendto" { 2 } else { 0 };
        assert!(halfway.iter().all(enough), "{words}: met halfway {halfway:?} times only");
        vrfsetup(&mut world, 0, words);
        nothing_to_do(&mut world, words);
        assert_same(after, &all(&world));
    }
}

fn met_halfway(fault: Fault, output: &Output, next: &str) -> bool {
    match fault {
        Fault::Kill => next.contains("is rolled back"),
        _ => text(output).contains("nothing is changed"),
    }
}

pub fn a_tunnel_refused_anywhere_changes_nothing() {
    whole_or_not_at_all(Fault::Refusal);
}

pub fn a_tunnel_killed_anywhere_is_undone_by_the_next_run() {
    whole_or_not_at_all(Fault::Kill);
}

pub fn a_tunnel_ended_anywhere_by_a_signal_changes_nothing() {
    whole_or_not_at_all(Fault::Signal);
}

pub fn one_that_names_its_vrf_is_there_or_where_it_was_whatever_comes_between() {
    for fault in [Fault::Refusal, Fault::Kill, Fault::Signal] {
        whole_or_not_at_all_without_nft(fault);
    }
}

/// What stops its packets where the VRF has no way for them is never lost.
pub fn one_that_changes_its_vrf_is_in_either_whatever_comes_between() {
    let mut world = world(&["wg0"]);
    vrfsetup(&mut world, 0, "tunnel wg0 --in red");
    of(world, ["tunnel wg0 --in blue", "tunnel wg0 --in red"], Fault::Kill, &["sendto"]);
}

pub fn two_tunnels_at_once_end_as_one_after_the_other() {
    let mut world = world(&["wg0", "wg1"]);
    let before = all(&world);
    let mut run = |pair: [&str; 2]| {
        let mut both = pair.map(|words| world.start(&root(["vrfsetup"].into_iter().chain(words.split(' ')))));
        let said = both.each_mut().map(|one| one.finish(&mut world));
        assert!(said.iter().all(|verdict| verdict.code == 0), "{} {}", said[0], said[1]);
        let listed = json(&vrfsetup(&mut world, 0, "-j tunnel"));
        let of = |entry: &serde_json::Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
        let entries: Vec<[String; 3]> = listed
            .as_array()
            .into_iter()
            .flatten()
            .map(|entry| {
                assert_eq!(entry["differs"], false, "{listed}");
                ["tunnel", "vrf", "fwmark"].map(|key| of(entry, key))
            })
            .collect();
        for [tunnel, _, mark] in &entries {
            assert_eq!(here(&format!("wg show {tunnel} fwmark")), *mark);
        }
        entries
    };
    let two = run(["tunnel wg0 --in blue", "tunnel wg1 --in red"]);
    let places: Vec<[&str; 2]> = two.iter().map(|[tunnel, vrf, _]| [tunnel.as_str(), vrf.as_str()]).collect();
    assert_eq!(places, [["wg0", "blue"], ["wg1", "red"]]);
    assert_ne!(two[0][2], two[1][2]);
    // Whoever comes last has it.
    let one = run(["tunnel wg0 --in red", "tunnel wg1 --remove"]);
    assert!(matches!(&one[..], [[tunnel, vrf, _]] if tunnel == "wg0" && vrf == "red"), "{one:?}");
    let one = run(["tunnel wg0 --in blue", "tunnel wg0 --in red"]);
    assert!(matches!(&one[..], [[tunnel, vrf, _]] if tunnel == "wg0" && ["blue", "red"].contains(&vrf.as_str())));
    let none = run(["tunnel wg0 --remove", "tunnel wg0 --remove"]);
    assert!(none.is_empty(), "{none:?}");
    assert_same(&before, &all(&world));
}

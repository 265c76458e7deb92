//! ifupdown2: beside VRFs that are vrfsetup's, and with VRFs of its own, whose rules it has its own idea of.

use std::fs;
use std::time::Duration;

use super::beside::{assert_untouched, run, sealed};
use super::guest_tests;
use super::machine::{Machine, machine};
use crate::guest::setup::rules::{FIXED, assert_vrf_holds, rules, while_own_addresses_answer};
use crate::guest::setup::{json, vrfsetup};
use crate::harness::world::Kind;

guest_tests! {
    what_vrfsetup_has_made_stays,
    a_vrf_of_its_own_loses_a_rule_and_is_told,
    a_vrf_of_its_own_holds_by_a_line_in_its_file,
}

/// It sees to lo too, also by `ifreload` where the file does not name it: then 127.0.0.1 is gone for a moment.
const LOOPBACK: &str = "auto lo\niface lo inet loopback\n\n";
const FILE: &str = "/etc/network/interfaces";
/// Its names of tables, which it writes with its first VRF.
const NAMES: &str = "/etc/iproute2/rt_tables.d/ifupdown2_vrf_map.conf";

/// An interface of its own. Of one that it knows it removes addresses, and the VRF, that its file does not name.
fn more(address: &str) -> Vec<u8> {
    format!("{LOOPBACK}auto more0\niface more0\n    link-type dummy\n    address {address}\n").into_bytes()
}

fn what_vrfsetup_has_made_stays() {
    let mut world = sealed();
    world.replace(FILE, &more("203.0.113.50/24")).expect("the file");
    while_own_addresses_answer(&mut world, |world| {
        run(world, "ifup -a");
        assert_untouched(world, "ifup");
        fs::write(FILE, more("203.0.113.51/24")).expect("the file");
        run(world, "ifreload -a");
        assert!(world.ip_json("addr show dev more0").to_string().contains("203.0.113.51"));
        assert_untouched(world, "ifreload");
    });
    assert_vrf_holds(&mut world, "ifupdown2");
    for family in ["-4", "-6"] {
        assert_eq!(rules(&world, family), FIXED, "{family}");
    }
}

/// blue and its port as ifupdown2 makes them, with this line more for blue. With its first VRF it deletes the local rule
/// before it adds another.
fn of_its_own(line: &str) -> Machine {
    let mut world = machine(Kind::Bare);
    let port = "    address 198.51.100.2/24\n    address 2001:db8:1::2/64\n    gateway 198.51.100.1\n    gateway 2001:db8:1::1\n";
    let file = format!(
        "{LOOPBACK}auto blue\niface blue\n    vrf-table 1001\n{line}\nauto blue0\niface blue0\n    vrf blue\n{port}"
    );
    world.replace(FILE, file.as_bytes()).expect("the file");
    world
}

/// Where the local rule is at 0 it means to move that away, and removes the first rule at 0 instead. It has no setting.
fn a_vrf_of_its_own_loses_a_rule_and_is_told() {
    let mut world = of_its_own("");
    run(&mut world, "ifup -a");
    while_own_addresses_answer(&mut world, |world| {
        vrfsetup(world, 0, "add blue");
        vrfsetup(world, 0, "rules fix");
        assert_eq!(rules(world, "-4")[..3], FIXED[..3]);
        run(world, "ifreload -a");
    });
    assert_eq!(rules(&world, "-4")[..2], FIXED[1..3]);
    let findings = json(&vrfsetup(&mut world, 3, "doctor -j"));
    let cut_off = findings.as_array().into_iter().flatten().filter(|one| one["finding"] == "unreachable-rule-first");
    assert_eq!(cut_off.count(), 2, "{findings}");
    while_own_addresses_answer(&mut world, |world| drop(vrfsetup(world, 0, "rules fix")));
    for family in ["-4", "-6"] {
        assert_eq!(rules(&world, family)[..3], FIXED[..3], "{family}");
    }
    assert_vrf_holds(&mut world, "ifupdown2");
    fs::remove_file(NAMES).expect("its names");
}

fn a_vrf_of_its_own_holds_by_a_line_in_its_file() {
    let mut world = of_its_own("    post-up vrfsetup add blue && vrfsetup rules fix\n");
    run(&mut world, "ifup -a");
    while_own_addresses_answer(&mut world, |world| {
        for words in ["ifreload -a", "ifreload -a", "ifreload -a", "ifup -a"] {
            run(world, words);
            std::thread::sleep(Duration::from_millis(300));
            for family in ["-4", "-6"] {
                assert_eq!(rules(world, family)[..3], FIXED[..3], "{family} after {words}");
            }
        }
    });
    assert_vrf_holds(&mut world, "ifupdown2");
    fs::remove_file(NAMES).expect("its names");
}

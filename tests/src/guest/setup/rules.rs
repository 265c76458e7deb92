//! `vrfsetup rules fix` and `undo`, on rules as the kernel made them, as a hand left them, and beside
//! a VPN's; local delivery is watched throughout.

use super::guest_tests;
use crate::harness::judge::{Running, Verdict, root};
use crate::harness::world::plan::{OWN4, OWN6};
use crate::harness::world::{Kind, World};

guest_tests! {
    fix_twice_and_undo,
    fix_restores_rules_that_were_changed_by_hand,
    fix_keeps_local_delivery_beside_a_vpn,
    fix_refuses_beside_a_rule_that_comes_before_the_vrfs,
    rules_by_name_stand_beside_those_for_all,
}

const LOCAL_FIRST: &[&str] = &["0: lookup local", "1000: l3mdev"];
const FIXED: &[&str] = &["1000: l3mdev", "2000: l3mdev unreachable", "32765: lookup local"];

fn world() -> World {
    World::new(Kind::Vrfs).expect("a world")
}

/// The rules of one family in short, without those for main and default that every system has.
fn rules(world: &World, family: &str) -> Vec<String> {
    let rules = world.ip_json(&format!("{family} rule show"));
    let short = |rule: &serde_json::Value| {
        let text = |key: &str| rule.get(key).and_then(serde_json::Value::as_str);
        let mut line = format!("{}:", rule["priority"]);
        if rule.get("l3mdev").is_some() {
            line += " l3mdev";
        }
        if let Some(table) = text("table") {
            line += &format!(" lookup {table}");
        }
        if let Some(action) = text("action") {
            line += &format!(" {action}");
        }
        line
    };
    let all = rules.as_array().expect("a list").iter().map(short);
    all.filter(|line| !line.ends_with("lookup main") && !line.ends_with("lookup default")).collect()
}

#[track_caller]
fn assert_rules(world: &World, expected: &[&str]) {
    for family in ["-4", "-6"] {
        assert_eq!(rules(world, family), expected, "ip {family} rule show");
    }
}

#[track_caller]
fn vrfsetup(world: &mut World, words: &[&str]) -> Verdict {
    world.judge(&root(["vrfsetup"].iter().chain(words)))
}

/// Pings 127.0.0.1, ::1 and the machine's own addresses while `change` runs; not one may be lost.
fn while_local_delivery_holds(world: &mut World, change: impl FnOnce(&mut World)) {
    let targets = ["127.0.0.1", "::1", OWN4, OWN6];
    let mut pings: Vec<Running> = targets
        .iter()
        .map(|target| world.start(&root(["ping", "-n", "-q", "-i", "0.05", "-W", "5", target])))
        .collect();
    change(world);
    for (ping, target) in pings.iter_mut().zip(targets) {
        ping.interrupt();
        let verdict = ping.finish(world);
        assert!(verdict.text().contains(" 0% packet loss"), "{target}: {verdict}");
    }
}

fn fix_twice_and_undo() {
    let mut world = world();
    assert_rules(&world, LOCAL_FIRST);
    while_local_delivery_holds(&mut world, |world| {
        assert_eq!(vrfsetup(world, &["rules", "check"]).code, 3);
        let verdict = vrfsetup(world, &["rules", "fix"]);
        assert_eq!(verdict.code, 0, "{verdict}");
        assert_rules(world, FIXED);
        assert_eq!(vrfsetup(world, &["rules", "check"]).code, 0);
        let verdict = vrfsetup(world, &["rules", "fix"]);
        assert_eq!(verdict.code, 0, "{verdict}");
        assert!(verdict.text().contains("unchanged") || verdict.text().contains("nothing to do"), "{verdict}");
        assert_rules(world, FIXED);
        let verdict = vrfsetup(world, &["rules", "undo"]);
        assert_eq!(verdict.code, 0, "{verdict}");
        assert_rules(world, LOCAL_FIRST);
    });
}

fn fix_restores_rules_that_were_changed_by_hand() {
    let mut world = world();
    for family in ["-4", "-6"] {
        world.ip(&format!("{family} rule add pref 500 lookup local"));
        world.ip(&format!("{family} rule del pref 0"));
        world.ip(&format!("{family} rule del pref 1000"));
    }
    while_local_delivery_holds(&mut world, |world| {
        let verdict = vrfsetup(world, &["rules", "fix"]);
        assert_eq!(verdict.code, 0, "{verdict}");
    });
    assert_rules(&world, FIXED);
}

/// A VPN's catch-all (Tailscale's exit node has it at 5270) would swallow local traffic if the rule
/// for local came last.
fn fix_keeps_local_delivery_beside_a_vpn() {
    let mut world = world();
    world.ip("-4 route add default via 198.51.100.1 dev eth0 table 52");
    world.ip("-6 route add default via 2001:db8:1::1 dev eth0 table 52");
    for family in ["-4", "-6"] {
        world.ip(&format!("{family} rule add pref 5270 lookup 52"));
    }
    while_local_delivery_holds(&mut world, |world| {
        let verdict = vrfsetup(world, &["rules", "fix"]);
        assert_eq!(verdict.code, 0, "{verdict}");
        let said = verdict.text() + &verdict.error_text();
        assert!(said.contains("5270"), "it does not say why local is not last\n{verdict}");
        assert_rules(world, &["1000: l3mdev", "2000: l3mdev unreachable", "2001: lookup local", "5270: lookup 52"]);
    });
    let verdict = vrfsetup(&mut world, &["rules", "undo"]);
    assert_eq!(verdict.code, 0, "{verdict}");
    assert_rules(&world, &["0: lookup local", "1000: l3mdev", "5270: lookup 52"]);
}

fn fix_refuses_beside_a_rule_that_comes_before_the_vrfs() {
    let mut world = world();
    for family in ["-4", "-6"] {
        world.ip(&format!("{family} rule add pref 100 lookup 52"));
    }
    let before = ["0: lookup local", "100: lookup 52", "1000: l3mdev"];
    vrfsetup(&mut world, &["rules", "fix"]).assert_says(1, "100");
    assert_rules(&world, &before);
}

/// As a kernel before 4.8 needs them, whose rules know no l3mdev. By them alone later ones (5.10 and 6.12 were seen to)
/// send a VRF's packets into the default domain: the l3mdev rules stay.
fn rules_by_name_stand_beside_those_for_all() {
    let mut world = world();
    while_local_delivery_holds(&mut world, |world| {
        let verdict = vrfsetup(world, &["rules", "fix", "--legacy"]);
        assert_eq!(verdict.code, 0, "{verdict}");
    });
    let lookups = ["1000: lookup 10", "1000: lookup 10", "1000: lookup 20", "1000: lookup 20"];
    let stops = ["2000: unreachable"; 4];
    let expected = [&["1000: l3mdev"][..], &lookups, &["2000: l3mdev unreachable"], &stops, &["32765: lookup local"]];
    assert_rules(&world, &expected.concat());
    let verdict = vrfsetup(&mut world, &["rules", "fix", "--legacy"]);
    assert!(verdict.text().contains("unchanged") || verdict.text().contains("nothing to do"), "{verdict}");
    let curl = |url, seconds| root(["vrfrun", "-m", "preload", "blue", "curl", "-sS", "-m", seconds, url]);
    for url in ["http://192.0.2.80/", "http://[2001:db8::80]/"] {
        world.judge(&curl(url, "10")).assert_blue();
    }
    // What the table lacks goes nowhere.
    world.ip("-4 route flush table 10 exact default");
    world.judge(&curl("http://192.0.2.80/", "3")).assert_closed();
    assert_eq!(vrfsetup(&mut world, &["rules", "undo"]).code, 0);
    assert_rules(&world, LOCAL_FIRST);
}

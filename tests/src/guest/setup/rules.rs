//! `vrfsetup rules fix` and `undo`, on rules as the kernel made them, as a hand left them, and beside
//! a VPN's; local delivery is watched throughout.

use super::guest_tests;
use crate::harness::judge::{Running, Verdict, root};
use crate::harness::world::plan::{OWN4, OWN6};
use crate::harness::world::{Kind, World};

guest_tests! {
    fix_twice_and_undo,
    fix_restores_rules_that_were_changed_by_hand,
    what_wg_quick_adds_comes_behind_whoever_comes_first needs [Once],
    what_tailscale_adds_comes_behind_whoever_comes_first needs [Once],
    what_netbird_adds_comes_behind_whoever_comes_first needs [Once],
    what_pbrd_adds_comes_behind_whoever_comes_first needs [Once],
    the_layout_of_an_earlier_version_is_moved,
    fix_refuses_beside_a_rule_that_it_cannot_come_before,
    rules_by_name_stand_beside_those_for_all,
}

const LOCAL_FIRST: &[&str] = &["0: lookup local", "1000: l3mdev"];
/// The rules as `rules fix` makes them.
pub const FIXED: &[&str] = &["0: l3mdev", "0: l3mdev unreachable", "0: lookup local", "1000: l3mdev"];

fn world() -> World {
    World::new(Kind::Vrfs).expect("a world")
}

/// The rules of one family in short, without those for main and default that every system has.
pub fn rules(world: &World, family: &str) -> Vec<String> {
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
pub fn while_local_delivery_holds(world: &mut World, change: impl FnOnce(&mut World)) {
    while_these_answer(world, &["127.0.0.1", "::1", OWN4, OWN6], change);
}

/// The same by the addresses of eth0 alone.
pub fn while_own_addresses_answer(world: &mut World, change: impl FnOnce(&mut World)) {
    while_these_answer(world, &[OWN4, OWN6], change);
}

fn while_these_answer(world: &mut World, targets: &[&str], change: impl FnOnce(&mut World)) {
    let mut pings: Vec<Running> =
        targets.iter().map(|target| world.start(&root(["ping", "-n", "-i", "0.05", target]))).collect();
    // One that the change is over for before it has begun would say nothing.
    pings.iter_mut().for_each(|ping| ping.wait_for(" icmp_seq="));
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
    assert_rules(&world, &FIXED[..3]);
}

/// They have no preference: the kernel gives them that before the second rule's, or 0.
fn what_wg_quick_adds_comes_behind_whoever_comes_first() {
    come_behind(&["not fwmark 0xca6c lookup 51820", "lookup main suppress_prefixlength 0"]);
}

/// With an exit node.
fn what_tailscale_adds_comes_behind_whoever_comes_first() {
    come_behind(&[
        "pref 5210 fwmark 0x80000/0xff0000 lookup main",
        "pref 5230 fwmark 0x80000/0xff0000 lookup default",
        "pref 5250 fwmark 0x80000/0xff0000 unreachable",
        "pref 5270 lookup 52",
    ]);
}

fn what_netbird_adds_comes_behind_whoever_comes_first() {
    come_behind(&["pref 100 lookup main suppress_prefixlength 0", "pref 110 not fwmark 0x1bd00 lookup 7120"]);
}

/// The policy-based routing of FRR.
fn what_pbrd_adds_comes_behind_whoever_comes_first() {
    come_behind(&["pref 301 iif eth0 lookup 10000"]);
}

/// Each of these tables leads out of the machine by the default domain.
fn add_their_routes(world: &World) {
    for table in [51820, 52, 7120, 10000] {
        world.ip(&format!("-4 route replace default via 198.51.100.1 dev eth0 table {table}"));
        world.ip(&format!("-6 route replace default via 2001:db8:1::1 dev eth0 table {table}"));
    }
}

/// A program in a VRF reaches it, and vrfrun has nothing to warn of.
#[track_caller]
pub fn assert_vrf_holds(world: &mut World, who: &str) {
    for url in ["http://192.0.2.80/", "http://[2001:db8::80]/"] {
        let order = root(["vrfrun", "-m", "preload", "blue", "curl", "-sS", "-m", "60", url]);
        let verdict = world.judge(&order);
        assert!(!verdict.error_text().contains("rules fix"), "{who}: {verdict}");
        verdict.assert_blue();
    }
}

/// These rules of another program, added before `rules fix` and after it, take neither local delivery nor a VRF.
fn come_behind(theirs: &[&str]) {
    for comes_first in [false, true] {
        let mut world = world();
        add_their_routes(&world);
        let add = |world: &World| {
            for (family, rule) in ["-4", "-6"].iter().flat_map(|family| theirs.iter().map(move |rule| (family, rule))) {
                world.ip(&format!("{family} rule add {rule}"));
            }
        };
        while_local_delivery_holds(&mut world, |world| {
            if comes_first {
                add(world);
            }
            assert_eq!(vrfsetup(world, &["rules", "fix"]).code, 0);
            if !comes_first {
                add(world);
            }
            // Long enough for a ping that would be lost.
            std::thread::sleep(std::time::Duration::from_millis(300));
            let verdict = vrfsetup(world, &["rules", "fix"]);
            assert!(verdict.text().contains("nothing to do"), "{verdict}");
        });
        for family in ["-4", "-6"] {
            assert_eq!(rules(&world, family)[..3], FIXED[..3], "{family}");
        }
        assert_vrf_holds(&mut world, theirs[0]);
        while_local_delivery_holds(&mut world, |world| {
            assert_eq!(vrfsetup(world, &["rules", "undo"]).code, 0);
            std::thread::sleep(std::time::Duration::from_millis(300));
        });
    }
}

/// What wg-quick then added came before local, and the machine did not answer by its own addresses any more.
fn the_layout_of_an_earlier_version_is_moved() {
    let mut world = world();
    add_their_routes(&world);
    for family in ["-4", "-6"] {
        world.ip(&format!("{family} rule add pref 2000 l3mdev unreachable protocol kernel"));
        world.ip(&format!("{family} rule add pref 32765 lookup local protocol kernel"));
        world.ip(&format!("{family} rule del pref 0"));
        world.ip(&format!("{family} rule add not fwmark 0xca6c lookup 51820"));
    }
    let doctor = vrfsetup(&mut world, &["doctor"]);
    assert!(doctor.text().contains("comes between the l3mdev rule and the local one"), "{doctor}");
    assert_eq!(vrfsetup(&mut world, &["rules", "fix"]).code, 0);
    for family in ["-4", "-6"] {
        assert_eq!(rules(&world, family)[..3], FIXED[..3], "{family}");
    }
    let doctor = vrfsetup(&mut world, &["doctor"]);
    assert!(!doctor.text().contains("local"), "{doctor}");
    while_local_delivery_holds(&mut world, |world| {
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert_eq!(vrfsetup(world, &["rules", "undo"]).code, 0);
    });
    assert_eq!(rules(&world, "-4")[..1], LOCAL_FIRST[..1]);
}

fn fix_refuses_beside_a_rule_that_it_cannot_come_before() {
    let mut world = world();
    for family in ["-4", "-6"] {
        world.ip(&format!("{family} rule add pref 0 fwmark 7 lookup 52"));
    }
    let before = ["0: lookup local", "0: lookup 52", "1000: l3mdev"];
    vrfsetup(&mut world, &["rules", "fix"]).assert_says(1, "rule '0: from all fwmark 0x7 lookup 52'");
    vrfsetup(&mut world, &["rules", "fix", "--force"]).assert_says(1, "hint: ip rule add pref 1 fwmark 0x7 lookup 52");
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
    let lookups = ["0: lookup 10", "0: lookup 10", "0: lookup 20", "0: lookup 20"];
    let stops = ["0: unreachable"; 4];
    let expected = [&FIXED[..1], &lookups, &FIXED[1..2], &stops, &FIXED[2..]];
    assert_rules(&world, &expected.concat());
    let verdict = vrfsetup(&mut world, &["rules", "fix", "--legacy"]);
    assert!(verdict.text().contains("unchanged") || verdict.text().contains("nothing to do"), "{verdict}");
    let curl = |url, seconds| root(["vrfrun", "-m", "preload", "blue", "curl", "-sS", "-m", seconds, url]);
    for url in ["http://192.0.2.80/", "http://[2001:db8::80]/"] {
        world.judge(&curl(url, "60")).assert_blue();
    }
    // What the table lacks goes nowhere.
    world.ip("-4 route flush table 10 exact default");
    world.judge(&curl("http://192.0.2.80/", "3")).assert_closed();
    assert_eq!(vrfsetup(&mut world, &["rules", "undo"]).code, 0);
    assert_rules(&world, LOCAL_FIRST);
}

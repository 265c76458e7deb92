//! A bound socket is not yet a lookup in the VRF's table: what vrfrun says of a table that falls
//! through, and what vrfsetup's way of adding a VRF does about it.

use super::guest_tests;
use super::ways;
use crate::harness::judge::{Outcome, root};
use crate::harness::world::plan::{OWN4, OWN6};
use crate::harness::world::{Kind, World};

guest_tests! {
    a_table_without_default_route_is_warned_of_until_the_rules_are_fixed,
    a_vrf_added_by_vrfsetup_carries_curl_and_is_sealed,
}

const WARNING: &str = "hint: vrfsetup rules fix";

fn a_table_without_default_route_is_warned_of_until_the_rules_are_fixed() {
    let mut world = World::of_machine(Kind::Vrfs).expect("a world");
    for family in ["-4", "-6"] {
        world.ip(&format!("{family} route flush table 10 type unicast root default"));
        world.ip(&format!("{family} route del unreachable default table 10"));
    }
    for way in ways::ALL {
        let verdict = world.judge(&way.order(&["true"]));
        verdict.assert_says(0, WARNING);
        assert_eq!(verdict.error_text().matches("warning: ").count(), 1, "{verdict}");
    }
    let verdict = world.judge(&root(["vrfsetup", "rules", "fix"]));
    assert_eq!(verdict.code, 0, "{verdict}");
    for way in ways::ALL {
        let verdict = world.judge(&way.order(&["curl", "-sS", "http://192.0.2.80/"]));
        verdict.assert_closed();
        assert!(!verdict.error_text().contains(WARNING), "{verdict}");
    }
}

fn a_vrf_added_by_vrfsetup_carries_curl_and_is_sealed() {
    let mut world = World::of_machine(Kind::Bare).expect("a world");
    let verdict = world.judge(&root(["vrfsetup", "add", "blue", "--table", "10", "--port", "blue0"]));
    assert_eq!(verdict.code, 0, "{verdict}");
    let blue = &world.ip_json("-d link show dev blue")[0];
    assert_eq!(blue["linkinfo"]["info_data"]["table"], 10, "{blue}");
    assert_eq!(world.ip_json("link show dev blue0")[0]["master"], "blue");

    // Without a route the sealed table lets nothing out...
    let by_address = ["curl", "-sS", "http://192.0.2.80/"];
    let verdict = world.judge(&ways::ALL[1].order(&by_address));
    assert_eq!(verdict.outcome, Outcome::Closed, "{verdict}");
    // ...and with one it leads to blue.
    world.ip(&format!("addr add {OWN4}/24 dev blue0"));
    world.ip(&format!("addr add {OWN6}/64 dev blue0 nodad"));
    world.ip("route add default via 198.51.100.1 vrf blue");
    for way in ways::ALL {
        world.judge(&way.order(&["curl", "-sS", "http://www.vrf.test/"])).assert_blue();
    }
}

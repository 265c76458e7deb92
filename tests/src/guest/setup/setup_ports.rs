//! vrfsetup makes VRFs and moves interfaces: nothing is lost on the way, and nothing is cut off unasked.

use super::guest_tests;
use super::{assert_same, json, nothing_to_do, state, vrfsetup};
use crate::harness::judge::root;
use crate::harness::wait;
use crate::harness::world::plan::{DNS4, OWN4, OWN6, WEB4};
use crate::harness::world::{Domain, Kind, World};

guest_tests! {
    add_makes_a_sealed_vrf_and_del_leaves_nothing,
    add_refuses_what_cannot_be needs [Once],
    attach_and_detach_carry_addresses_and_routes,
    an_interface_of_networkmanager_keeps_its_networks,
    a_destination_that_both_domains_have_stays_behind,
    a_gateway_that_is_another_in_the_default_domain_stays_behind,
    what_leads_over_interfaces_that_stay_as_well_is_refused_or_named,
    a_step_that_fails_undoes_the_earlier_ones,
    what_is_not_confirmed_is_undone,
    settings_are_restored_with_the_last_vrf,
    leaks_lead_from_one_domain_to_the_other,
}

/// A machine without VRFs that has had one.
pub(super) fn bare() -> World {
    let world = World::new(Kind::Bare).expect("a world");
    // The kernel makes the l3mdev rules with the first VRF and keeps them.
    world.ip("link add first type vrf table 9");
    world.ip("link del first");
    world
}

/// blue0 with addresses of each kind and routes of both families.
fn furnished() -> World {
    let world = bare();
    world.ip("addr add 203.0.113.1/24 brd + dev blue0");
    world.ip("addr add 203.0.113.2/24 dev blue0 label blue0:x");
    world.ip("addr add 2001:db8:77::1/64 dev blue0 nodad");
    world.ip("addr add 2001:db8:77::2/64 dev blue0 valid_lft 9000 preferred_lft 8000 nodad");
    world.ip("route add 198.18.0.0/15 via 203.0.113.254 metric 7 proto static");
    world.ip("route add 198.51.0.0/16 nexthop via 203.0.113.3 nexthop via 203.0.113.4");
    world.ip("-6 route add 2001:db8:99::/48 via 2001:db8:77::fe src 2001:db8:77::1");
    world
}

fn add_makes_a_sealed_vrf_and_del_leaves_nothing() {
    let mut world = bare();
    let before = state(&world);
    vrfsetup(&mut world, 0, "add blue --port blue0");
    let blue = &world.ip_json("-d link show dev blue")[0];
    assert_eq!(blue["linkinfo"]["info_kind"], "vrf");
    assert!(blue["flags"].as_array().is_some_and(|flags| flags.iter().any(|flag| flag == "UP")), "{blue}");
    let table = &blue["linkinfo"]["info_data"]["table"];
    assert_eq!(world.ip_json("link show dev blue0")[0]["master"], "blue");
    for family in ["-4", "-6"] {
        let routes = world.ip_json(&format!("{family} route show table {table}"));
        let is_seal =
            |route: &serde_json::Value| route["type"] == "unreachable" && route["metric"] == 4_278_198_272_u32;
        assert!(routes.as_array().is_some_and(|routes| routes.iter().any(is_seal)), "{family}: {routes}");
    }
    let addresses = world.ip_json("addr show dev blue")[0]["addr_info"].to_string();
    assert!(addresses.contains("\"127.0.0.1\"") && addresses.contains("\"::1\""), "{addresses}");
    nothing_to_do(&mut world, "add blue --port blue0");
    nothing_to_do(&mut world, "attach blue blue0");
    vrfsetup(&mut world, 0, "del blue");
    assert_same(&before, &state(&world));
    nothing_to_do(&mut world, "del blue");
}

fn add_refuses_what_cannot_be() {
    let mut world = bare();
    vrfsetup(&mut world, 0, "add blue --table 10");
    let before = state(&world);
    vrfsetup(&mut world, 1, "add blue --table 11").assert_says(1, "VRF 'blue' exists with table 10");
    vrfsetup(&mut world, 1, "add red --table 10").assert_says(1, "table 10 belongs to VRF 'blue'");
    vrfsetup(&mut world, 1, "add eth0").assert_says(1, "'eth0' exists and is not a VRF");
    vrfsetup(&mut world, 1, "add red --port nosuch").assert_says(1, "no interface 'nosuch': No such device");
    vrfsetup(&mut world, 1, "add red --port blue").assert_says(1, "'blue' cannot be a port of a VRF");
    vrfsetup(&mut world, 1, "del eth0").assert_says(1, "not a VRF");
    assert_same(&before, &state(&world));
    // Two that are not told get two tables that nothing else refers to.
    world.ip("rule add pref 30000 lookup 1001");
    vrfsetup(&mut world, 0, "add red");
    vrfsetup(&mut world, 0, "add green");
    let table =
        |name: &str| world.ip_json(&format!("-d link show dev {name}"))[0]["linkinfo"]["info_data"]["table"].clone();
    assert_eq!([table("red"), table("green")], [1002, 1003]);
}

fn attach_and_detach_carry_addresses_and_routes() {
    let mut world = furnished();
    vrfsetup(&mut world, 0, "add blue --table 10");
    let before = state(&world);
    vrfsetup(&mut world, 0, "attach blue blue0");
    let addresses = world.ip_json("addr show dev blue0")[0]["addr_info"].to_string();
    for address in ["203.0.113.1", "203.0.113.2", "2001:db8:77::1", "2001:db8:77::2"] {
        assert!(addresses.contains(&format!("\"{address}\"")), "{address} is gone: {addresses}");
    }
    let routes = |family: &str, table: &str| world.ip_json(&format!("{family} route show table {table}")).to_string();
    for destination in ["198.18.0.0/15", "198.51.0.0/16", "203.0.113.0/24"] {
        assert!(routes("-4", "10").contains(destination), "{destination}: {}", routes("-4", "10"));
        assert!(!routes("-4", "main").contains(destination), "{destination}: {}", routes("-4", "main"));
    }
    assert!(routes("-6", "10").contains("2001:db8:99::/48") && !routes("-6", "main").contains("2001:db8:99::/48"));
    assert!(routes("-6", "10").contains("\"prefsrc\":\"2001:db8:77::1\""), "{}", routes("-6", "10"));
    vrfsetup(&mut world, 0, "detach blue0");
    assert_same(&before, &state(&world));
    nothing_to_do(&mut world, "detach blue0 nosuch");
}

/// Its addresses have no routes of the kernel's, and the routes look as if they were.
fn an_interface_of_networkmanager_keeps_its_networks() {
    let mut world = bare();
    world.ip("addr add 203.0.113.1/24 dev blue0 noprefixroute");
    world.ip("addr add 2001:db8:77::1/64 dev blue0 noprefixroute nodad");
    world.ip("route add 203.0.113.0/24 dev blue0 proto kernel scope link src 203.0.113.1 metric 100");
    world.ip("-6 route add 2001:db8:77::/64 dev blue0 proto kernel metric 100");
    world.ip("route add 198.18.0.0/15 via 203.0.113.254 dev blue0");
    vrfsetup(&mut world, 0, "add blue --table 10");
    let before = state(&world);
    vrfsetup(&mut world, 0, "attach blue blue0");
    let routes = |family: &str| world.ip_json(&format!("{family} route show table 10 dev blue0")).to_string();
    let all = routes("-4") + &routes("-6");
    for network in ["203.0.113.0/24", "2001:db8:77::/64", "198.18.0.0/15"] {
        assert!(all.contains(network), "{network}: {all}");
    }
    vrfsetup(&mut world, 0, "detach blue0");
    assert_same(&before, &state(&world));
}

fn a_destination_that_both_domains_have_stays_behind() {
    let mut world = bare();
    vrfsetup(&mut world, 0, "add blue --table 10 --port blue0");
    world.ip("addr add 203.0.113.1/24 dev blue0");
    world.ip("route add 10.0.0.0/8 via 198.51.100.1 dev eth0");
    world.ip("route add 10.0.0.0/8 via 203.0.113.254 table 10");
    world.ip("route add 10.0.0.0/9 via 203.0.113.254 table 10");
    let said = vrfsetup(&mut world, 0, "del blue");
    let said = said.text() + &said.error_text();
    assert!(said.contains("10.0.0.0/8") && said.contains("does not come along"), "{said}");
    let over = |prefix: &str| world.ip_json(&format!("route show exact {prefix}"))[0]["dev"].clone();
    assert_eq!((over("10.0.0.0/8"), over("10.0.0.0/9")), ("eth0".into(), "blue0".into()));
}

/// The kernel would refuse these routes there, and nobody could delete the VRF.
fn a_gateway_that_is_another_in_the_default_domain_stays_behind() {
    let mut world = bare();
    vrfsetup(&mut world, 0, "add blue --table 10 --port blue0");
    world.ip("addr add 203.0.113.1/24 dev blue0");
    world.ip("addr add 2001:db8:1::9/64 dev blue0 nodad noprefixroute");
    // Both are eth0's: a network, and the machine's own address.
    world.ip("-6 route add 2001:db8:10::/48 via 2001:db8:1::fe dev blue0 onlink table 10");
    world.ip(&format!("route add 10.0.0.0/9 via {OWN4} dev blue0 onlink table 10"));
    world.ip("route add 10.128.0.0/9 via 203.0.113.254 table 10");
    let before = state(&world);
    let said = vrfsetup(&mut world, 0, "detach blue0");
    let said = said.text() + &said.error_text();
    for route in ["2001:db8:10::/48", "10.0.0.0/9"] {
        assert!(said.contains(route) && said.contains("does not come along"), "{route}: {said}");
    }
    assert_eq!(world.ip_json("route show exact 10.128.0.0/9")[0]["dev"], "blue0");
    vrfsetup(&mut world, 0, "rollback");
    assert_same(&before, &state(&world));
}

/// A route that is already in the VRF's table stops the move at its last step.
fn a_step_that_fails_undoes_the_earlier_ones() {
    let mut world = furnished();
    vrfsetup(&mut world, 0, "add blue --table 10");
    world.ip("route add blackhole 198.18.0.0/15 metric 7 table 10");
    let before = state(&world);
    let verdict = vrfsetup(&mut world, 1, "attach blue blue0");
    verdict.assert_says(1, "nothing is changed: File exists");
    assert_same(&before, &state(&world));
}

fn what_is_not_confirmed_is_undone() {
    let mut world = furnished();
    let before = state(&world);
    vrfsetup(&mut world, 0, "add blue --port blue0 --confirm 3600");
    vrfsetup(&mut world, 1, "del blue").assert_says(1, "waits for its confirmation");
    vrfsetup(&mut world, 0, "confirm");
    assert_eq!(world.ip_json("link show dev blue0")[0]["master"], "blue");
    let confirmed = state(&world);
    let verdict = vrfsetup(&mut world, 0, "del blue --confirm 2");
    assert!(verdict.text().contains("undone in 2 s"), "{verdict}");
    wait::until(|| state(&world), |state| *state == confirmed);
    vrfsetup(&mut world, 1, "confirm").assert_says(1, "no change waits");
    vrfsetup(&mut world, 0, "del blue");
    assert_same(&before, &state(&world));
}

fn settings_are_restored_with_the_last_vrf() {
    let mut world = bare();
    let setting = |world: &mut World| world.judge(&root(["sysctl", "-n", "net.ipv4.tcp_l3mdev_accept"])).text();
    assert_eq!(setting(&mut world).trim(), "0");
    vrfsetup(&mut world, 0, "add blue --tcp-l3mdev-accept on");
    vrfsetup(&mut world, 0, "add red");
    assert_eq!(setting(&mut world).trim(), "1");
    let shown = json(&vrfsetup(&mut world, 0, "show blue -j"));
    assert_eq!(shown[0]["sysctls"]["net.ipv4.tcp_l3mdev_accept"], "1");
    vrfsetup(&mut world, 0, "del blue");
    assert_eq!(setting(&mut world).trim(), "1");
    vrfsetup(&mut world, 0, "del red");
    assert_eq!(setting(&mut world).trim(), "0");
}

/// Whoever has a route to the prefix shares it; the packets leave by the owner's link.
fn leaks_lead_from_one_domain_to_the_other() {
    let mut world = World::new(Kind::Vrfs).expect("a world");
    let before = state(&world);
    world.ip(&format!("route add {WEB4}/32 via 198.51.100.1 dev red0 table 20"));
    world.ip(&format!("route add {DNS4}/32 via 198.51.100.1 dev eth0"));
    let verdict = vrfsetup(&mut world, 0, &format!("leak blue red {WEB4}/32"));
    assert!(verdict.text().contains("forwarding is off"), "{verdict}");
    vrfsetup(&mut world, 0, &format!("leak default blue {DNS4}/32"));
    nothing_to_do(&mut world, &format!("leak red blue {WEB4}/32"));
    for (to, owner) in [(WEB4, Domain::Red), (DNS4, Domain::Default)] {
        let ping = ["ip", "vrf", "exec", "blue", "ping", "-c", "1", "-W", "1", &to.to_string()].map(str::to_owned);
        let verdict = world.judge(&root(&ping));
        let arrived: Vec<Domain> = Domain::ALL.into_iter().filter(|domain| verdict.packets(*domain) > 0).collect();
        assert_eq!(arrived, [owner], "{verdict}");
    }
    vrfsetup(&mut world, 1, "leak blue red 203.0.113.0/24").assert_says(1, "neither domain has a route");
    vrfsetup(&mut world, 1, "leak blue nosuch 203.0.113.0/24").assert_says(1, "'nosuch'");
    vrfsetup(&mut world, 0, &format!("leak blue red {WEB4}/32 --remove"));
    vrfsetup(&mut world, 0, &format!("leak blue default {DNS4}/32 --remove"));
    world.ip(&format!("route del {WEB4}/32 table 20"));
    world.ip(&format!("route del {DNS4}/32"));
    assert_same(&before, &state(&world));
    assert!(world.ip_json(&format!("-6 route show {OWN6}")).is_array());
}

fn what_leads_over_interfaces_that_stay_as_well_is_refused_or_named() {
    let mut world = bare();
    vrfsetup(&mut world, 0, "add blue");
    for (port, network) in [("blue0", "203.0.113"), ("red0", "203.0.114")] {
        world.ip(&format!("addr add {network}.1/24 dev {port}"));
    }
    world.ip("route add 198.20.0.0/16 nexthop via 203.0.113.254 nexthop via 203.0.114.254");
    let before = state(&world);
    vrfsetup(&mut world, 1, "attach blue blue0").assert_says(1, "leads over 'blue0' and over interfaces that stay");
    assert_same(&before, &state(&world));
    world.ip("route del 198.20.0.0/16");
    for words in ["id 1 via 203.0.113.254 dev blue0", "id 2 via 203.0.114.254 dev red0", "id 10 group 1/2"] {
        world.ip(&format!("nexthop add {words}"));
    }
    let said = vrfsetup(&mut world, 0, "attach blue blue0").text();
    assert!(said.contains("nexthop group 10 loses a member: ip nexthop replace id 10 group 1/2"), "{said}");
    // Asked for one by its number, an older kernel refuses what a newer ip(8) asks besides.
    let shown = world.ip_json("nexthop show");
    let group = shown.as_array().and_then(|all| all.iter().find(|nexthop| nexthop["id"] == 10));
    assert_eq!(group.map(|group| &group["group"]), Some(&serde_json::json!([{ "id": 2 }])), "{shown}");
    for id in [10, 1, 2] {
        world.ip(&format!("nexthop del id {id}"));
    }
}

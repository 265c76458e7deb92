//! A port keeps what it has when it goes into a VRF and out of it, or vrfsetup says what it loses: `ip -j` tells.

use super::guest_tests;
use super::{assert_same, state, vrfsetup, wait_for_no_carrier};
use crate::harness::judge::{Verdict, root};
use crate::harness::wait;
use crate::harness::world::{Kind, World};

guest_tests! {
    own_link_local_addresses_and_neighbours_are_kept,
    routes_by_nexthop_objects_are_kept_with_the_objects,
    routes_for_this_machine_and_the_vrfs_own_are_kept,
    what_a_daemon_makes_again_is_left_to_it_and_said,
    routes_of_other_tables_are_named,
    a_slow_carrier_costs_no_route,
    where_ipv6_is_off_nothing_is_refused,
}

pub(super) fn bare() -> World {
    let mut world = World::new(Kind::Bare).expect("a world");
    // The kernel makes the l3mdev rules with the first VRF and keeps them.
    world.ip("link add first type vrf table 9");
    world.ip("link del first");
    world.ip("addr add 203.0.113.1/24 dev blue0");
    world.ip("addr add 2001:db8:77::1/64 dev blue0 nodad");
    vrfsetup(&mut world, 0, "add blue --table 10");
    world
}

/// Link-local addresses, neighbours, proxies and nexthop objects too, which `state` leaves out.
pub(super) fn all(world: &World) -> String {
    let mut text = state(world);
    for part in [
        "-6 addr show scope link",
        "neigh show nud permanent",
        "neigh show nud noarp",
        "neigh show proxy",
        "nexthop show",
    ] {
        let entries = world.ip_json(part);
        let mut lines: Vec<String> = entries.as_array().into_iter().flatten().map(stable).collect();
        // Before it may send to a group of its own, the kernel has a neighbour for that.
        lines.retain(|line| !line.contains("\"dst\":\"ff02:") && !line.contains("\"dst\":\"224."));
        lines.sort();
        text += &format!("{part}\n{}\n", lines.join("\n"));
    }
    text
}

fn stable(entry: &serde_json::Value) -> String {
    let mut entry = entry.clone();
    for key in ["ifindex", "link_index", "operstate", "flags"] {
        entry.as_object_mut().map(|fields| fields.shift_remove(key));
    }
    // The kernel probes its own once more.
    for address in entry["addr_info"].as_array_mut().into_iter().flatten().filter_map(serde_json::Value::as_object_mut)
    {
        address.shift_remove("tentative");
    }
    entry.to_string()
}

pub(super) fn set(world: &mut World, setting: &str) {
    assert_eq!(world.judge(&root(["sysctl", "-qw", setting])).code, 0, "{setting}");
}

/// In and out again; in between, `in_vrf` looks. Everything is as before, and a refused move changes nothing either.
#[track_caller]
pub(super) fn there_and_back(world: &mut World, in_vrf: impl Fn(&World)) -> Verdict {
    let before = all(world);
    let verdict = vrfsetup(world, 0, "attach blue blue0");
    in_vrf(world);
    vrfsetup(world, 0, "detach blue0");
    assert_same(&before, &all(world));
    // The last step is refused: the destination is there, with another way.
    world.ip("route add 198.19.0.0/16 via 203.0.113.254");
    world.ip("route add blackhole 198.19.0.0/16 table 10");
    let before = all(world);
    vrfsetup(world, 1, "attach blue blue0").assert_says(1, "nothing is changed: File exists");
    assert_same(&before, &all(world));
    world.ip("route del 198.19.0.0/16");
    world.ip("route del blackhole 198.19.0.0/16 table 10");
    verdict
}

fn own_link_local_addresses_and_neighbours_are_kept() {
    let mut world = bare();
    world.ip("addr add fe80::1/64 dev blue0 nodad");
    world.ip("neigh add 203.0.113.9 lladdr 02:00:00:00:00:09 dev blue0 nud permanent");
    world.ip("-6 neigh add 2001:db8:77::9 lladdr 02:00:00:00:00:09 dev blue0 nud permanent");
    world.ip("neigh add 203.0.113.8 lladdr 02:00:00:00:00:08 dev blue0 nud noarp");
    world.ip("-6 neigh add 2001:db8:77::8 lladdr 02:00:00:00:00:08 dev blue0 router nud noarp");
    world.ip("neigh add proxy 203.0.113.77 dev blue0");
    world.ip("-6 neigh add proxy 2001:db8:77::77 dev blue0");
    let looks = |world: &World| {
        let shown = world.ip_json("-6 addr show dev blue0 scope link").to_string();
        assert!(shown.contains("\"fe80::1\""), "{shown}");
        let shown = world.ip_json("neigh show dev blue0 nud permanent").to_string();
        assert!(shown.contains("203.0.113.9") && shown.contains("2001:db8:77::9"), "{shown}");
        let shown = world.ip_json("neigh show dev blue0 nud noarp").to_string();
        assert!(shown.contains("203.0.113.8") && shown.contains("2001:db8:77::8"), "{shown}");
        let shown = world.ip_json("neigh show proxy dev blue0").to_string();
        assert!(shown.contains("203.0.113.77") && shown.contains("2001:db8:77::77"), "{shown}");
    };
    there_and_back(&mut world, looks);
    // Without addresses of the kernel's own, one that looks like these is nobody else's to make again.
    set(&mut world, "net.ipv6.conf.blue0.addr_gen_mode=1");
    world.ip("addr add fe80::200:ff:fe00:42/64 dev blue0 nodad");
    vrfsetup(&mut world, 0, "attach blue blue0");
    let shown = world.ip_json("-6 addr show dev blue0 scope link").to_string();
    assert!(shown.contains("fe80::200:ff:fe00:42"), "{shown}");
}

fn routes_by_nexthop_objects_are_kept_with_the_objects() {
    let mut world = bare();
    world.ip("nexthop add id 71 via 203.0.113.254 dev blue0");
    world.ip("nexthop add id 72 via 203.0.113.253 dev blue0");
    world.ip("nexthop add id 73 group 71/72,3");
    world.ip("nexthop add id 76 via 2001:db8:77::fe dev blue0");
    world.ip("route add 198.18.0.0/16 nhid 71 proto static");
    world.ip("route add 198.20.0.0/16 nhid 73");
    world.ip("-6 route add 2001:db8:99::/48 nhid 76");
    for compatible in [1, 0] {
        set(&mut world, &format!("net.ipv4.nexthop_compat_mode={compatible}"));
        let before = all(&world);
        vrfsetup(&mut world, 0, "attach blue blue0");
        let shown = world.ip_json("-4 route show table 10").to_string();
        assert!(shown.contains("\"nhid\":71") && shown.contains("\"nhid\":73"), "{shown}");
        let shown = world.ip_json("-6 route show table 10").to_string();
        assert!(shown.contains("\"nhid\":76"), "{shown}");
        vrfsetup(&mut world, 0, "detach blue0");
        assert_same(&before, &all(&world));
    }
    there_and_back(&mut world, |_| ());
    // What a VRF's table holds by number goes with the VRF, and what it brought comes back.
    let before = all(&world);
    vrfsetup(&mut world, 0, "attach blue blue0");
    vrfsetup(&mut world, 0, "del blue");
    vrfsetup(&mut world, 0, "add blue --table 10");
    assert_same(&before, &all(&world));
}

fn routes_for_this_machine_and_the_vrfs_own_are_kept() {
    let mut world = bare();
    world.ip("route add local 198.18.7.0/24 dev blue0");
    world.ip("-6 route add local 2001:db8:78::/64 dev blue0");
    world.ip("route add 198.18.0.0/16 via 203.0.113.254 table 10");
    let looks = |world: &World| {
        let shown = world.ip_json("-4 route show table 10").to_string();
        assert!(shown.contains("198.18.0.0/16"), "{shown}");
        let shown = world.ip_json("-4 route show table 10 type local").to_string();
        assert!(shown.contains("198.18.7.0/24"), "{shown}");
        let shown = world.ip_json("-6 route show table 10 type local").to_string();
        assert!(shown.contains("2001:db8:78::/64"), "{shown}");
    };
    let before = all(&world);
    vrfsetup(&mut world, 0, "attach blue blue0");
    looks(&world);
    // Out of the VRF the route of its table is one of the port's.
    vrfsetup(&mut world, 0, "detach blue0");
    world.ip("route del 198.18.0.0/16");
    world.ip("route add 198.18.0.0/16 via 203.0.113.254 table 10");
    assert_same(&before, &all(&world));
}

fn what_a_daemon_makes_again_is_left_to_it_and_said() {
    let mut world = bare();
    world.ip("route add 198.18.0.0/16 via 203.0.113.254 proto bgp");
    world.ip("route add 198.19.0.0/16 via 203.0.113.254 proto bgp");
    world.ip("-6 route add 2001:db8:99::/48 via 2001:db8:77::fe proto ospf");
    world.ip("-6 route add 2001:db8:9a::/48 via 2001:db8:77::fe proto ra");
    world.ip("route add 198.20.0.0/16 via 203.0.113.254 proto dhcp");
    let said = vrfsetup(&mut world, 0, "attach blue blue0").text();
    for words in [
        "2 of the routes over 'blue0' are left to the daemon that makes them (bgp)",
        "1 of the routes over 'blue0' are left to the daemon that makes them (ospf)",
        "route '2001:db8:9a::/48 via 2001:db8:77::fe dev blue0 table main proto ra metric 1024' comes again with a router",
        "table main proto dhcp' comes along; the DHCP client makes it again where it was",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let shown = world.ip_json("-4 route show table 10").to_string();
    assert!(shown.contains("198.20.0.0/16") && !shown.contains("198.18.0.0/16"), "{shown}");
    vrfsetup(&mut world, 0, "detach blue0");
    // A default route that the default domain loses is not lost unasked, whoever made it.
    world.ip("route add default via 203.0.113.254 metric 7 proto bgp");
    let before = all(&world);
    vrfsetup(&mut world, 1, "attach blue blue0").assert_says(1, "default via 203.0.113.254");
    assert_same(&before, &all(&world));
    world.ip("route del default via 203.0.113.254");
    world.ip("route add default via 203.0.113.254 metric 7 proto dhcp");
    world.ip("-6 route add default via 2001:db8:77::fe metric 7 proto ra");
    vrfsetup(&mut world, 1, "attach blue blue0").assert_says(1, "default via ");
    let said = vrfsetup(&mut world, 0, "attach blue blue0 --force").text();
    for words in
        ["proto ra metric 7' comes again with a router", "proto dhcp metric 7' comes along; the DHCP client makes it"]
    {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert_eq!(world.ip_json("-4 route show table 10 default metric 7")[0]["gateway"], "203.0.113.254");
}

fn routes_of_other_tables_are_named() {
    let mut world = bare();
    world.ip("addr add 203.0.114.1/24 dev red0");
    world.ip("route add 198.18.0.0/16 table 77 nexthop via 203.0.113.254 nexthop via 203.0.113.253");
    world.ip("route add 198.19.0.0/16 table 77 nexthop via 203.0.113.254 nexthop via 203.0.114.254");
    let said = vrfsetup(&mut world, 0, "attach blue blue0").text();
    assert!(said.contains("198.18.0.0/16 table 77") && said.contains("does not come along"), "{said}");
    assert!(said.contains("198.19.0.0/16 table 77") && said.contains("still leads over 'blue0', too"), "{said}");
    let shown = world.ip_json("route show table 77").to_string();
    assert!(!shown.contains("198.18.0.0/16") && shown.contains("198.19.0.0/16"), "{shown}");
}

/// The far end is down for longer than vrfsetup waits for anything.
fn a_slow_carrier_costs_no_route() {
    let mut world = World::new(Kind::Bare).expect("a world");
    vrfsetup(&mut world, 0, "add blue --table 10");
    for words in [
        "link add slow0 type veth peer name slow1",
        // The kernel makes none of its own without a carrier, in whatever domain.
        "link set slow0 addrgenmode none",
        "link set slow0 up",
        "link set slow1 up",
        "addr add 2001:db8:77::1/64 dev slow0",
        "addr add 2001:db8:77::2/64 dev slow0 valid_lft 9000 preferred_lft 8000",
    ] {
        world.ip(words);
    }
    let tentative = || world.ip_json("-6 addr show dev slow0 tentative").to_string();
    wait::until(tentative, |tentative| !tentative.contains("2001:db8:77"));
    for address in ["2001:db8:77::1", "2001:db8:77::2"] {
        world.ip(&format!("-6 route add 2001:db8:9{}::/48 via 2001:db8:77::fe src {address}", &address[13..]));
    }
    world.ip("link set slow1 down");
    wait_for_no_carrier(&world, "slow0");
    let before = all(&world);
    vrfsetup(&mut world, 0, "attach blue slow0");
    let shown = world.ip_json("-6 route show table 10").to_string();
    assert!(shown.contains("2001:db8:91::/48") && shown.contains("2001:db8:92::/48"), "{shown}");
    let setting = world.judge(&root(["sysctl", "-n", "net.ipv6.conf.slow0.accept_dad"])).text();
    assert_eq!(setting.trim(), "1", "the setting is as it was");
    vrfsetup(&mut world, 0, "detach slow0");
    assert_same(&before, &all(&world));
}

fn where_ipv6_is_off_nothing_is_refused() {
    let mut world = World::new(Kind::Bare).expect("a world");
    for setting in ["net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1"] {
        set(&mut world, setting);
    }
    world.ip("addr add 203.0.113.1/24 dev blue0");
    vrfsetup(&mut world, 0, "add blue --port blue0");
    super::nothing_to_do(&mut world, "add blue --port blue0");
    let found = world.judge(&root(["vrfsetup", "doctor"]));
    assert!(!found.text().contains("::1"), "{found}");
    // Their address would be refused, and with it the port.
    for format in ["networkd", "ifupdown"] {
        let exported = vrfsetup(&mut world, 0, &format!("export --format {format}")).text();
        assert!(exported.contains("127.0.0.1/8") && !exported.contains("::1/128"), "{exported}");
    }
    let file = world.directory().join("vrf.toml");
    std::fs::write(&file, "[vrf.blue]\nports = [\"blue0\"]\n[vrf.red]\nports = [\"red0\"]\n").expect("a file");
    vrfsetup(&mut world, 0, &format!("apply {}", file.display()));
    vrfsetup(&mut world, 0, "del red");
    vrfsetup(&mut world, 0, "del blue");
}

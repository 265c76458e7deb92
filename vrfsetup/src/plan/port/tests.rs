use super::*;
use crate::model::address::SCOPE_LINK;
use crate::model::address::{Address, FOREVER};
use crate::model::family::Family;
use crate::model::rule::TABLE_LOCAL;
use crate::model::syntax;
use rtnetlink::packet_route::route::{RouteAttribute, RouteProtocol, RouteType};
use std::net::IpAddr;

fn link() -> Link {
    Link { flags: libc::IFF_UP as u32, ..Link::plain(3, "eth1", None) }
}

fn blue() -> Domain {
    Domain { device: Some(Device { ifindex: 9, name: "blue".into() }), table: 1001 }
}

fn route(table: u32, protocol: RouteProtocol, gateway: Option<&str>) -> Route {
    let mut route = Route::seal(Family::V4, table);
    route.message.header.kind = RouteType::Unicast;
    route.message.header.protocol = protocol;
    route.message.attributes.push(RouteAttribute::Oif(3));
    let gateway = gateway.map(|text| RouteAttribute::Gateway(text.parse::<IpAddr>().unwrap().into()));
    route.message.attributes.extend(gateway);
    route
}

fn address(local: &str, lifetime: u32) -> Address {
    let family = local.parse::<IpAddr>().unwrap().into();
    let mut address = Address::loopback(&link().device(), family);
    (address.local, address.scope, address.lifetimes) = (local.parse().unwrap(), 0, (lifetime, lifetime));
    address
}

fn planned(addresses: &[Address], routes: &[Route], from: &Domain, to: &Domain) -> Move {
    let link = link();
    let own = holdings(&link, addresses, &routes.iter().collect::<Vec<_>>());
    plan(&Port { own, above: vec![], rivals: NO_RIVALS }, from, to).unwrap()
}

const NO_RIVALS: Rivals<'static> = Rivals { routes: &[], are_challenged: true };

fn holdings<'a>(link: &'a Link, addresses: &'a [Address], routes: &[&'a Route]) -> Holdings<'a> {
    Holdings {
        link,
        addresses: addresses.iter().collect(),
        routes: routes.to_vec(),
        neighbours: vec![],
        nexthops: vec![],
        ipv6: Ipv6 { keep_addr_on_down: Some("0".into()), ..Ipv6::default() },
    }
}

fn shown(moved: &Move) -> Vec<String> {
    moved.steps.iter().map(ToString::to_string).collect()
}

#[test]
fn a_bare_interface_is_enslaved_and_nothing_else() {
    assert_eq!(shown(&planned(&[], &[], &Domain::default_domain(), &blue())), ["ip link set eth1 master blue"]);
}

#[test]
fn static_routes_move_to_the_vrfs_table_gateways_last() {
    let routes = [
        route(TABLE_MAIN, RouteProtocol::Static, Some("10.0.0.254")),
        route(TABLE_MAIN, RouteProtocol::Boot, None),
        route(TABLE_MAIN, RouteProtocol::Kernel, None),
    ];
    let moved = planned(&[], &routes, &Domain::default_domain(), &blue());
    let added: Vec<&Step> = moved.steps.iter().filter(|step| matches!(step, Step::AddRoute(_))).collect();
    assert_eq!(added.len(), 2);
    assert!(added[0].to_string().starts_with("ip route add default table 1001"));
    assert!(added[1].to_string().contains("via 10.0.0.254 table 1001"));
    assert!(moved.default_route.is_some());
}

#[test]
fn a_move_back_is_the_mirror_image() {
    let there = planned(&[], &[route(TABLE_MAIN, RouteProtocol::Static, None)], &Domain::default_domain(), &blue());
    let back = planned(&[], &[route(1001, RouteProtocol::Static, None)], &blue(), &Domain::default_domain());
    let inverses: Vec<String> = there.steps.into_iter().rev().map(|step| step.inverse().to_string()).collect();
    assert_eq!(shown(&back), inverses);
}

#[test]
fn a_permanent_ipv6_address_is_kept_by_the_kernel_and_the_setting_restored() {
    let moved = planned(&[address("2001:db8::1", FOREVER)], &[], &Domain::default_domain(), &blue());
    assert_eq!(
        shown(&moved),
        [
            "sysctl -w net/ipv6/conf/eth1/keep_addr_on_down=1",
            "ip link set eth1 master blue",
            "sysctl -w net/ipv6/conf/eth1/keep_addr_on_down=0",
        ]
    );
}

#[test]
fn an_ipv6_address_with_a_lifetime_is_given_back() {
    let moved = planned(&[address("2001:db8::1", 600)], &[], &Domain::default_domain(), &blue());
    let kinds = |step: &Step| matches!(step, Step::DeleteAddress(_) | Step::AddAddress(_));
    assert_eq!(moved.steps.iter().filter(|step| kinds(step)).count(), 2);
}

#[test]
fn a_default_route_that_comes_back_competes_or_stays_behind() {
    let (link, own) = (link(), route(TABLE_MAIN, RouteProtocol::Static, None));
    let coming = route(1001, RouteProtocol::Static, Some("10.0.0.254"));
    for (rivals, are_challenged, asks, comes) in
        [(&[][..], true, false, true), (&[&own], true, true, true), (&[], false, false, false)]
    {
        let rivals = Rivals { routes: rivals, are_challenged };
        let port = Port { own: holdings(&link, &[], &[&coming]), above: vec![], rivals };
        let moved = plan(&port, &blue(), &Domain::default_domain()).unwrap();
        assert_eq!(moved.default_route.is_some(), asks);
        assert_eq!(moved.steps.iter().any(|step| matches!(step, Step::AddRoute(_))), comes);
    }
}

#[test]
fn a_route_of_a_policy_table_is_not_carried_into_the_vrf() {
    let moved = planned(&[], &[route(100, RouteProtocol::Static, None)], &Domain::default_domain(), &blue());
    assert_eq!(moved.notes.len(), 1);
    assert!(!moved.steps.iter().any(|step| matches!(step, Step::AddRoute(_))));
}

#[test]
fn a_destination_that_the_default_domain_has_stays_behind_and_gateways_go_first() {
    let to = |mut route: Route, last: u8| {
        route.message.header.destination_prefix_length = 24;
        route.message.attributes.push(RouteAttribute::Destination(IpAddr::from([192, 0, last, 0]).into()));
        route
    };
    let link = link();
    let own = to(route(TABLE_MAIN, RouteProtocol::Static, None), 2);
    let near = to(route(1001, RouteProtocol::Static, None), 3);
    let far = to(route(1001, RouteProtocol::Static, Some("192.0.3.254")), 2);
    let rivals = Rivals { routes: &[&own], are_challenged: false };
    let port = Port { own: holdings(&link, &[], &[&near, &far]), above: vec![], rivals };
    let moved = plan(&port, &blue(), &Domain::default_domain()).unwrap();
    let added: Vec<_> = moved.steps.iter().filter(|step| matches!(step, Step::AddRoute(_))).collect();
    assert_eq!((added.len(), moved.notes.len()), (1, 1), "{moved:?}");
    assert_eq!(moved.steps[..2], [Step::DeleteRoute(far), Step::DeleteRoute(near)]);
}

/// The kernel would refuse it, and with it the whole move.
#[test]
fn a_route_whose_gateway_is_another_in_the_default_domain_stays_behind() {
    let on = |text: &str, table: u32, oif: u32| {
        let mut route = syntax::route::parse(text, table).unwrap();
        route.message.attributes.push(RouteAttribute::Oif(oif));
        route
    };
    let link = link();
    for (theirs, own, comes) in [
        // An address of this machine.
        (on("local 192.0.2.254 dev eth7", TABLE_LOCAL, 7), on("198.18.0.0/15 via 192.0.2.254", 1001, 3), false),
        (on("local 192.0.2.1 dev eth7", TABLE_LOCAL, 7), on("198.18.0.0/15 via 192.0.2.254 onlink", 1001, 3), true),
        (on("local 2001:db8::fe dev eth7", TABLE_LOCAL, 7), on("2001:db8:9::/48 via 2001:db8::fe", 1001, 3), false),
        // Another interface's network, where the kernel looks.
        (on("2001:db8::/64 dev eth7", TABLE_MAIN, 7), on("2001:db8:9::/48 via 2001:db8::fe onlink", 1001, 3), false),
        (on("2001:db8::/64 dev eth7", TABLE_MAIN, 7), on("2001:db8:9::/48 via 2001:db8::fe", 1001, 3), true),
        (on("2001:db8:1::/64 dev eth7", TABLE_MAIN, 7), on("2001:db8:9::/48 via 2001:db8::fe onlink", 1001, 3), true),
        (on("192.0.2.0/24 dev eth7", TABLE_MAIN, 7), on("198.18.0.0/15 via 192.0.2.254 onlink", 1001, 3), true),
    ] {
        let rivals = Rivals { routes: &[&theirs], are_challenged: true };
        let port = Port { own: holdings(&link, &[], &[&own]), above: vec![], rivals };
        let moved = plan(&port, &blue(), &Domain::default_domain()).unwrap();
        assert_eq!(moved.steps.iter().any(|step| matches!(step, Step::AddRoute(_))), comes, "{theirs}; {own}");
        assert_eq!(moved.notes.is_empty(), comes, "{theirs}; {own}");
    }
    // The port's own network is as near, or nearer.
    let theirs = on("2001:db8::/64 dev eth7 metric 256", TABLE_MAIN, 7);
    let rivals = Rivals { routes: &[&theirs], are_challenged: true };
    let (near, far) =
        (on("2001:db8::/64 dev eth1 metric 77", 1001, 3), on("2001:db8:9::/48 via 2001:db8::fe onlink", 1001, 3));
    let port = Port { own: holdings(&link, &[], &[&near, &far]), above: vec![], rivals };
    let moved = plan(&port, &blue(), &Domain::default_domain()).unwrap();
    assert_eq!(moved.steps.iter().filter(|step| matches!(step, Step::AddRoute(_))).count(), 2, "{moved:?}");
}

#[test]
fn the_route_of_an_address_without_a_prefix_route_comes_along() {
    let mut near = route(TABLE_MAIN, RouteProtocol::Kernel, None);
    near.message.header.destination_prefix_length = 24;
    near.message.attributes.push(RouteAttribute::Destination(IpAddr::from([192, 0, 2, 0]).into()));
    let mut own = Address { prefix_len: 24, ..address("192.0.2.1", FOREVER) };
    for (flags, comes) in [(0, false), (libc::IFA_F_NOPREFIXROUTE, true)] {
        own.flags = flags;
        let moved = planned(&[own.clone()], &[near.clone()], &Domain::default_domain(), &blue());
        assert_eq!(moved.steps.iter().any(|step| matches!(step, Step::AddRoute(_))), comes, "{moved:?}");
    }
}

#[test]
fn a_link_local_address_is_given_back_unless_the_kernel_makes_it() {
    let mut own = Address { scope: SCOPE_LINK, ..address("fe80::1", FOREVER) };
    let gives_back = |own: &Address| {
        let moved = planned(std::slice::from_ref(own), &[], &Domain::default_domain(), &blue());
        moved.steps.contains(&Step::AddAddress(own.clone()))
    };
    assert!(gives_back(&own));
    own.is_generated = true;
    assert!(!gives_back(&own));
    let of_hardware = Address { scope: SCOPE_LINK, ..address("fe80::5054:ff:fe12:3456", FOREVER) };
    assert!(!gives_back(&of_hardware));
}

#[test]
fn routes_of_daemons_are_left_to_them_and_said() {
    let routes = [RouteProtocol::Bgp, RouteProtocol::Zebra, RouteProtocol::Ra].map(|by| route(TABLE_MAIN, by, None));
    let moved = planned(&[], &routes, &Domain::default_domain(), &blue());
    assert!(!moved.steps.iter().any(|step| matches!(step, Step::AddRoute(_) | Step::DeleteRoute(_))), "{moved:?}");
    assert_eq!(moved.notes.len(), 3, "{moved:?}");
    assert!(moved.default_route.is_some(), "the default domain loses it all the same");
}

#[test]
fn a_route_for_this_machine_goes_from_the_local_table_to_the_vrfs_and_back() {
    let mut local = route(TABLE_LOCAL, RouteProtocol::Boot, None);
    local.message.header.kind = RouteType::Local;
    let moved = planned(&[], std::slice::from_ref(&local), &Domain::default_domain(), &blue());
    let tables = |moved: &Move| {
        moved.steps.iter().find_map(|step| match step {
            Step::AddRoute(route) => Some(route.table()),
            _ => None,
        })
    };
    assert_eq!(tables(&moved), Some(1001));
    local.set_table(1001);
    assert_eq!(tables(&planned(&[], &[local], &blue(), &Domain::default_domain())), Some(TABLE_LOCAL));
}

#[test]
fn the_vrfs_own_route_over_the_port_stays_and_another_gives_way() {
    let there = route(1001, RouteProtocol::Static, Some("10.0.0.254"));
    let coming = route(TABLE_MAIN, RouteProtocol::Static, Some("10.0.0.253"));
    let moved = planned(&[], &[there.clone(), coming], &Domain::default_domain(), &blue());
    let added: Vec<&Step> = moved.steps.iter().filter(|step| matches!(step, Step::AddRoute(_))).collect();
    assert_eq!(added, [&Step::AddRoute(there)]);
    assert_eq!(moved.notes.len(), 1);
}

#[test]
fn a_vlan_above_keeps_its_routes_in_its_own_table() {
    let (link, vlan) = (link(), Link { ifindex: 4, name: "eth1.10".into(), ..link() });
    let mut of_vlan = route(TABLE_MAIN, RouteProtocol::Static, Some("10.0.10.254"));
    of_vlan.message.attributes.retain(|attribute| !matches!(attribute, RouteAttribute::Oif(_)));
    of_vlan.message.attributes.push(RouteAttribute::Oif(4));
    let above = vec![holdings(&vlan, &[], &[&of_vlan])];
    let moved =
        plan(&Port { own: holdings(&link, &[], &[]), above, rivals: NO_RIVALS }, &Domain::default_domain(), &blue());
    let steps = moved.unwrap().steps;
    assert_eq!(steps.first(), Some(&Step::DeleteRoute(of_vlan.clone())));
    assert_eq!(steps.last(), Some(&Step::AddRoute(of_vlan)));
}

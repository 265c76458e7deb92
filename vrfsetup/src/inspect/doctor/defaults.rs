//! What is wrong with default routes: there is none, or it is not where it belongs.

use rtnetlink::packet_route::route::RouteProtocol;

use super::Finding;
use crate::model::family::Family;
use crate::model::link::Link;
use crate::model::route::Route;
use crate::model::rule::TABLE_MAIN;
use crate::model::shell;
use crate::model::syntax;
use crate::plan::inventory::Inventory;

/// Only where a port has an address by which something could be reached.
pub fn missing(inventory: &Inventory, vrf: &Link, family: Family) -> Option<Finding> {
    let table = vrf.table.unwrap_or_default();
    let leads_out = |route: &Route| route.family() == family && route.is_default() && !route.is_seal();
    let port = inventory
        .system
        .ports(vrf)
        .flat_map(|port| inventory.system.addresses_of(port.ifindex))
        .find(|address| address.family() == family && address.scope == 0)?;
    if inventory.table(table).any(leads_out) {
        return None;
    }
    let what = format!("table {table} has no {family} default route");
    let flag = family.ip_flag();
    let fix = format!("ip {flag}route add default via GATEWAY dev {} table {table}", port.device.word());
    Some(Finding::new("default-route-missing", what, fix).about(&vrf.name))
}

/// The kernel looks for a gateway that the VRF's table does not know in the default domain.
pub fn elsewhere(inventory: &Inventory, vrf: &Link, family: Family) -> Option<Finding> {
    let table = vrf.table.unwrap_or_default();
    let link = |ifindex: u32| inventory.system.link_by_index(ifindex);
    let is_elsewhere = |link: &&Link| !link.is_vrf() && link.master != Some(vrf.ifindex);
    let is_default = |route: &&Route| route.family() == family && route.is_default() && route.is_unicast();
    let mut defaults = inventory.table(table).filter(is_default);
    let (route, device) = defaults
        .find_map(|route| Some((route, route.oifs().into_iter().find_map(|oif| link(oif).filter(is_elsewhere))?)))?;
    let what = format!("its {family} default route leaves by {}, which is no port of it", device.name);
    let flag = family.ip_flag();
    let fix = format!("ip {flag}route del {route}, and add it with 'dev PORT onlink'");
    Some(Finding::new("default-route-elsewhere", what, fix).about(&vrf.name))
}

/// A DHCP client that knows of no VRF makes its default route in the table main, whatever interface it is for; so does a
/// daemon that configures the port and does not know its VRF.
pub fn by_port(inventory: &Inventory, is_configured: impl Fn(&Link) -> bool) -> Vec<Finding> {
    let defaults = inventory.table(TABLE_MAIN).filter(|route| route.is_default() && route.is_unicast());
    let vrf_of = |route: &Route| {
        let ports = route.oifs().into_iter().filter_map(|oif| inventory.system.link_by_index(oif));
        let suspects = ports.filter(|port| may_be_by_client(route) || is_static(route) && is_configured(port));
        suspects.filter_map(|port| inventory.system.link_by_index(port.master?)).find(|master| master.is_vrf())
    };
    defaults.filter_map(|route| vrf_of(route).map(|vrf| leaves_by(inventory, route, vrf))).collect()
}

/// dhclient-script gives no protocol. A route of another one is somebody's own, as `[default]` may declare it.
fn may_be_by_client(route: &Route) -> bool {
    route.is_by_dhcp() || route.is_advertised() || route.message.header.protocol == RouteProtocol::Boot
}

/// As networkd and NetworkManager make those of their files, and as `[default]` may declare one.
fn is_static(route: &Route) -> bool {
    route.message.header.protocol == RouteProtocol::Static
}

fn leaves_by(inventory: &Inventory, route: &Route, vrf: &Link) -> Finding {
    let family = route.family();
    let (ip, table) = (format!("ip {}route", family.ip_flag()), vrf.table.unwrap_or_default());
    let what = format!("a {family} default route of the default domain leaves by a port of it");
    let written = syntax::route::write(route);
    let is_there = inventory.table(table).any(|other| other.is_unicast() && syntax::route::write(other) == written);
    let fix = match written {
        // The table comes first: nothing may follow a 'nexthop'.
        Some(words) => {
            let words = shell::words(words.trim_start_matches("-6 "));
            let add = if is_there { String::new() } else { format!("; {ip} add table {table} {words}") };
            format!("{ip} del table main {words}{add}")
        }
        None => format!("{ip} show default, and move it to table {table}"),
    };
    Finding::new("default-route-by-port", what, fix).about(&vrf.name)
}

#[cfg(test)]
mod tests {
    use super::super::routing::tests::vrf;
    use super::*;
    use crate::plan::system::System;

    fn of_nobody(inventory: &Inventory) -> Vec<Finding> {
        by_port(inventory, |_| false)
    }

    fn of_daemon(inventory: &Inventory) -> Vec<Finding> {
        by_port(inventory, |port| port.name == "eth1")
    }

    /// What is typed for a route of this table over a port of blue, or over one that is none.
    fn fixes(check: impl Fn(&Inventory) -> Vec<Finding>, text: &str, table: u32, oif: u32) -> Vec<String> {
        let of_no_vrf = |ifindex, name: &str| Link { kind: None, table: None, ..vrf(ifindex, name, 0) };
        let links = vec![vrf(7, "blue", 10), Link { master: Some(7), ..of_no_vrf(3, "eth1") }, of_no_vrf(4, "eth2")];
        let mut route = syntax::route::parse(text, table).unwrap();
        route.lead_over(|_| Some(oif));
        let inventory = Inventory::new(System::new(links, vec![]), vec![route], vec![]);
        check(&inventory).into_iter().map(|finding| finding.fix).collect()
    }

    #[test]
    fn a_default_route_by_a_port_is_found_where_a_client_may_have_made_it() {
        for protocol in ["", " proto dhcp", " proto ra"] {
            let words = format!("default via 192.0.2.254 dev eth1 metric 100{protocol} src 192.0.2.1 mtu 1400 onlink");
            let fix = format!("ip route del table main {words}; ip route add table 10 {words}");
            assert_eq!(fixes(of_nobody, &words, TABLE_MAIN, 3), [fix]);
            assert_eq!(fixes(of_nobody, &words, TABLE_MAIN, 4), [""; 0], "no port");
        }
        let fix = "ip -6 route del table main default dev eth1; ip -6 route add table 10 default dev eth1";
        assert_eq!(fixes(of_nobody, "-6 default dev eth1", TABLE_MAIN, 3), [fix]);
        for protocol in ["static", "kernel", "bgp", "77"] {
            let declared = format!("default via 192.0.2.254 dev eth1 proto {protocol}");
            assert_eq!(fixes(of_nobody, &declared, TABLE_MAIN, 3), [""; 0], "{protocol}");
            let found = fixes(of_daemon, &declared, TABLE_MAIN, 3).len();
            assert_eq!(found, usize::from(protocol == "static"), "{protocol}, of a port that a daemon configures");
        }
    }

    #[test]
    fn a_default_route_that_leaves_elsewhere_is_written_once() {
        let check = |inventory: &Inventory| {
            inventory.system.vrfs().filter_map(|vrf| elsewhere(inventory, vrf, Family::V4)).collect()
        };
        let fix = "ip route del default via 192.0.2.254 dev eth2 table 10, and add it with 'dev PORT onlink'";
        assert_eq!(fixes(check, "default via 192.0.2.254 dev eth2", 10, 4), [fix]);
    }

    #[test]
    fn a_default_route_that_the_vrf_has_already_is_only_deleted() {
        let words = "default via 192.0.2.254 dev eth1 metric 20100 proto static";
        let route = |table| {
            let mut route = syntax::route::parse(words, table).unwrap();
            route.lead_over(|_| Some(3));
            route
        };
        let links = vec![vrf(7, "blue", 10), Link { master: Some(7), ..Link::plain(3, "eth1", None) }];
        let inventory = Inventory::new(System::new(links, vec![]), vec![route(TABLE_MAIN), route(10)], vec![]);
        assert_eq!(of_daemon(&inventory)[0].fix, format!("ip route del table main {words}"));
    }
}

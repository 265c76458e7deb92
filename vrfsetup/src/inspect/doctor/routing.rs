//! What is wrong with tables and interfaces, and with rules by way of `rules`.

use std::collections::BTreeMap;

use rtnetlink::packet_route::route::RouteProtocol;

use super::{Finding, rules};
use crate::model::address::Address;
use crate::model::family::Family;
use crate::model::link::Link;
use crate::model::name;
use crate::model::route::Route;
use crate::model::rule::{Rule, TABLE_MAIN};
use crate::model::shell::{self, word};
use crate::model::step::Step;
use crate::model::syntax;
use crate::plan::inventory::Inventory;
use crate::plan::leftovers::{self, Leftover};
use crate::plan::seal;
use crate::sys::families;

/// All checks.
pub fn all(inventory: &Inventory) -> Vec<Finding> {
    let mut findings = Vec::new();
    for family in families::available() {
        findings.extend(rules::of(inventory, family));
    }
    findings.extend(loopback_device(inventory));
    findings.extend(leaves_by_port(inventory));
    findings.extend(shared_tables(inventory));
    for vrf in inventory.system.vrfs() {
        findings.extend(device(vrf));
        findings.extend(loopback_addresses(inventory, vrf));
        for family in families::available() {
            findings.extend(misses(inventory, vrf, family));
            findings.extend(unguarded(inventory, vrf, family));
            findings.extend(default_route(inventory, vrf, family));
            findings.extend(leaves_elsewhere(inventory, vrf, family));
        }
    }
    findings
}

/// VRFs that were deleted by `ip link del`.
pub fn leftovers(inventory: &Inventory) -> Vec<Finding> {
    let finding = |left: Leftover| {
        let what = format!("it was deleted without vrfsetup, which left the seal and the name of table {}", left.table);
        Finding::new("vrf-left-over", what, format!("vrfsetup del {}", word(&left.vrf))).about(&left.vrf)
    };
    leftovers::find(inventory).into_iter().map(finding).collect()
}

fn loopback_device(inventory: &Inventory) -> Option<Finding> {
    let down = inventory.system.links.iter().find(|link| link.is_loopback() && !link.is_up())?;
    let what = format!("{} is down: the machine cannot reach its own addresses", down.name);
    Some(Finding::new("loopback-down", what, format!("ip link set {} up", word(&down.name))))
}

fn shared_tables(inventory: &Inventory) -> Vec<Finding> {
    let mut owners: BTreeMap<u32, Vec<&str>> = BTreeMap::new();
    for vrf in inventory.system.vrfs() {
        owners.entry(vrf.table.unwrap_or_default()).or_default().push(&vrf.name);
    }
    let shared = owners.into_iter().filter(|(_, names)| names.len() > 1);
    shared
        .map(|(table, names)| {
            let what =
                format!("table {table} is that of {}: what is a route of one is a route of all", names.join(", "));
            let last = word(names[names.len() - 1]);
            Finding::new("table-shared", what, format!("vrfsetup del {last}; vrfsetup add {last}"))
        })
        .collect()
}

fn device(vrf: &Link) -> Option<Finding> {
    let what = "the VRF is down: nothing is sent or received";
    (!vrf.is_up())
        .then(|| Finding::new("vrf-down", what, format!("ip link set {} up", word(&vrf.name))).about(&vrf.name))
}

fn loopback_addresses(inventory: &Inventory, vrf: &Link) -> Option<Finding> {
    let device = vrf.device();
    let wanted = families::of_device(&vrf.name).into_iter().map(|family| Address::loopback(&device, family));
    let has = |wanted: &Address| inventory.system.addresses_of(vrf.ifindex).any(|own| own.local == wanted.local);
    let missing: Vec<Address> = wanted.filter(|address| !has(address)).collect();
    let locals: Vec<String> = missing.iter().map(|address| address.local.to_string()).collect();
    let what = format!("{} is not on the VRF: programs in it cannot reach themselves by it", locals.join(" and "));
    let by_ip = |address: Address| Step::AddAddress(address).to_string();
    let fix = match name::vrf(&vrf.name) {
        Ok(name) => format!("vrfsetup add {name}"),
        // `add` refuses it.
        Err(_) => missing.iter().cloned().map(by_ip).collect::<Vec<_>>().join("; "),
    };
    (!missing.is_empty()).then(|| Finding::new("loopback-address-missing", what, fix).about(&vrf.name))
}

/// The rule behind l3mdev or a default route stops what the table lacks.
pub fn is_sealed(inventory: &Inventory, vrf: &Link, family: Family) -> bool {
    let is_rule = |rule: &Rule| rule.family == family && rule.stops_vrfs();
    inventory.rules.iter().any(is_rule) || seal::is_closed(inventory, family, vrf.table.unwrap_or_default())
}

fn misses(inventory: &Inventory, vrf: &Link, family: Family) -> Option<Finding> {
    let what = format!("what its table lacks ({family}) is looked up in the default domain and leaves there");
    (!is_sealed(inventory, vrf, family))
        .then(|| Finding::new("falls-through", what, "vrfsetup rules fix").about(&vrf.name))
}

/// As an earlier version sealed.
fn unguarded(inventory: &Inventory, vrf: &Link, family: Family) -> Option<Finding> {
    let mut routes = inventory.table(vrf.table.unwrap_or_default());
    let is_found = routes.any(|route| route.family() == family && route.is_unguarded_seal());
    let what = format!("systemd-networkd removes the {family} unreachable route of its table, which is 'proto boot'");
    is_found.then(|| Finding::new("seal-unguarded", what, "vrfsetup rules fix").about(&vrf.name))
}

/// Only where a port has an address by which something could be reached.
fn default_route(inventory: &Inventory, vrf: &Link, family: Family) -> Option<Finding> {
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
fn leaves_elsewhere(inventory: &Inventory, vrf: &Link, family: Family) -> Option<Finding> {
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

/// A DHCP client that knows of no VRF makes its default route in the table main, whatever interface it is for.
fn leaves_by_port(inventory: &Inventory) -> Vec<Finding> {
    let is_suspect = |route: &&Route| route.is_default() && route.is_unicast() && may_be_by_client(route);
    let defaults = inventory.table(TABLE_MAIN).filter(is_suspect);
    let vrf_of = |route: &Route| {
        let ports = route.oifs().into_iter().filter_map(|oif| inventory.system.link_by_index(oif));
        ports.filter_map(|port| inventory.system.link_by_index(port.master?)).find(|master| master.is_vrf())
    };
    defaults.filter_map(|route| vrf_of(route).map(|vrf| leaves_by_port_of(route, vrf))).collect()
}

/// dhclient-script gives no protocol. A route of another one is somebody's own, as `[default]` may declare it.
fn may_be_by_client(route: &Route) -> bool {
    route.is_by_dhcp() || route.is_advertised() || route.message.header.protocol == RouteProtocol::Boot
}

fn leaves_by_port_of(route: &Route, vrf: &Link) -> Finding {
    let family = route.family();
    let (ip, table) = (format!("ip {}route", family.ip_flag()), vrf.table.unwrap_or_default());
    let what = format!("a {family} default route of the default domain leaves by a port of it");
    let fix = match syntax::route::write(route) {
        // The table comes first: nothing may follow a 'nexthop'.
        Some(words) => {
            let words = shell::words(words.trim_start_matches("-6 "));
            format!("{ip} del table main {words}; {ip} add table {table} {words}")
        }
        None => format!("{ip} show default, and move it to table {table}"),
    };
    Finding::new("default-route-by-port", what, fix).about(&vrf.name)
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::model::rule::TABLE_LOCAL;
    use crate::plan::rules::{FIRST, L3MDEV};

    pub fn vrf(ifindex: u32, name: &str, table: u32) -> Link {
        Link { flags: libc::IFF_UP as u32, ..Link::plain(ifindex, name, Some(table)) }
    }

    pub fn healthy_rules() -> Vec<Rule> {
        let of = |family| {
            [
                Rule::l3mdev(family, FIRST),
                Rule::l3mdev_unreachable(family, FIRST),
                Rule::lookup(family, FIRST, TABLE_LOCAL),
                Rule::l3mdev(family, L3MDEV),
            ]
        };
        [of(Family::V4), of(Family::V6)].concat()
    }

    pub fn found(links: Vec<Link>, rules: &[Rule], routes: &[Route]) -> Vec<&'static str> {
        let loopbacks = |link: &Link| [Family::V4, Family::V6].map(|family| Address::loopback(&link.device(), family));
        let addresses = links.iter().flat_map(loopbacks).collect();
        let system = System::new(links, addresses);
        all(&Inventory::new(system, routes.to_vec(), rules.to_vec()))
            .into_iter()
            .map(|finding| finding.finding)
            .collect()
    }

    use crate::plan::system::System;

    #[test]
    fn a_healthy_machine_has_no_findings() {
        assert_eq!(found(vec![vrf(7, "blue", 10)], &healthy_rules(), &[]), [""; 0]);
    }

    #[test]
    fn the_kernels_own_rules_leave_local_first_and_misses_falling_through() {
        let born = [Rule::lookup(Family::V4, 0, TABLE_LOCAL), Rule::l3mdev(Family::V4, L3MDEV)];
        let found = found(vec![vrf(7, "blue", 10)], &born, &[]);
        assert!(found.contains(&"local-rule-first"));
        assert!(found.contains(&"falls-through"));
        assert!(found.contains(&"l3mdev-rule-missing"), "IPv6 has none at all");
    }

    #[test]
    fn a_seal_in_the_table_is_as_good_as_the_rule() {
        let mut rules = healthy_rules();
        rules.retain(|rule| !rule.stops_vrfs());
        let seals = [Family::V4, Family::V6].map(|family| Route::seal(family, 10));
        assert_eq!(found(vec![vrf(7, "blue", 10)], &rules, &seals), [""; 0]);
        assert_eq!(found(vec![vrf(7, "blue", 11)], &rules, &seals), ["falls-through"; 2]);
    }

    #[test]
    fn a_seal_that_networkd_would_remove_is_found() {
        let mut seal = Route::seal(Family::V4, 10);
        assert_eq!(found(vec![vrf(7, "blue", 10)], &healthy_rules(), &[seal.clone()]), [""; 0]);
        seal.message.header.protocol = RouteProtocol::Boot;
        assert_eq!(found(vec![vrf(7, "blue", 10)], &healthy_rules(), &[seal]), ["seal-unguarded"]);
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
            assert_eq!(fixes(leaves_by_port, &words, TABLE_MAIN, 3), [fix]);
            assert_eq!(fixes(leaves_by_port, &words, TABLE_MAIN, 4), [""; 0], "no port");
        }
        let fix = "ip -6 route del table main default dev eth1; ip -6 route add table 10 default dev eth1";
        assert_eq!(fixes(leaves_by_port, "-6 default dev eth1", TABLE_MAIN, 3), [fix]);
        for protocol in ["static", "kernel", "bgp", "77"] {
            let declared = format!("default via 192.0.2.254 dev eth1 proto {protocol}");
            assert_eq!(fixes(leaves_by_port, &declared, TABLE_MAIN, 3), [""; 0], "{protocol}");
        }
    }

    #[test]
    fn a_default_route_that_leaves_elsewhere_is_written_once() {
        let check = |inventory: &Inventory| {
            inventory.system.vrfs().filter_map(|vrf| leaves_elsewhere(inventory, vrf, Family::V4)).collect()
        };
        let fix = "ip route del default via 192.0.2.254 dev eth2 table 10, and add it with 'dev PORT onlink'";
        assert_eq!(fixes(check, "default via 192.0.2.254 dev eth2", 10, 4), [fix]);
    }

    #[test]
    fn two_vrfs_of_one_table_are_found_and_so_is_one_that_is_down() {
        let down = Link { flags: 0, ..vrf(8, "red", 10) };
        assert_eq!(found(vec![vrf(7, "blue", 10), down], &healthy_rules(), &[]), ["table-shared", "vrf-down"]);
    }
}

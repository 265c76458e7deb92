//! What is wrong with rules, tables and interfaces.

use std::collections::BTreeMap;

use super::Finding;
use crate::model::address::Address;
use crate::model::family::Family;
use crate::model::link::Link;
use crate::model::route::Route;
use crate::model::rule::{Action, Rule, TABLE_LOCAL};
use crate::plan::foreign_rules::is_foreign;
use crate::plan::inventory::Inventory;
use crate::plan::leftovers::{self, Leftover};
use crate::plan::rules::L3MDEV;
use crate::sys::families;

/// All checks.
pub fn all(inventory: &Inventory) -> Vec<Finding> {
    let mut findings = Vec::new();
    for family in families::available() {
        findings.extend(rules(inventory, family));
    }
    findings.extend(loopback_device(inventory));
    findings.extend(shared_tables(inventory));
    for vrf in inventory.system.vrfs() {
        findings.extend(device(vrf));
        findings.extend(loopback_addresses(inventory, vrf));
        for family in families::available() {
            findings.extend(misses(inventory, vrf, family));
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
        Finding::new("vrf-left-over", what, format!("vrfsetup del {}", left.vrf)).about(&left.vrf)
    };
    leftovers::find(inventory).into_iter().map(finding).collect()
}

fn rules(inventory: &Inventory, family: Family) -> Vec<Finding> {
    let rules: Vec<&Rule> = inventory.rules.iter().filter(|rule| rule.family == family).collect();
    let l3mdev = rules.iter().find(|rule| rule.is_l3mdev && rule.action == Action::Lookup);
    let Some(l3mdev) = l3mdev else { return vec![no_l3mdev(family)] };
    let before = rules.iter().take_while(|rule| rule.priority <= l3mdev.priority && !rule.is_l3mdev);
    before.filter_map(|rule| before_l3mdev(rule)).collect()
}

fn no_l3mdev(family: Family) -> Finding {
    let what = format!("there is no {family} l3mdev rule: packets of VRFs are looked up in the default domain");
    Finding::new("l3mdev-rule-missing", what, "vrfsetup rules fix")
}

fn before_l3mdev(rule: &Rule) -> Option<Finding> {
    let family = rule.family;
    if rule.is_kernels_own() && rule.table == TABLE_LOCAL {
        let what = format!(
            "the {family} local rule comes before the l3mdev rule: a VRF cannot reach what is a local address in another domain"
        );
        return Some(Finding::new("local-rule-first", what, "vrfsetup rules fix"));
    }
    is_foreign(rule).then(|| {
        let what =
            format!("{family} rule '{rule}' comes before the l3mdev rule and takes packets of VRFs that it matches");
        let moved = Rule { priority: rule.priority + L3MDEV + 1001, ..rule.clone() };
        let flag = family.ip_flag();
        let fix = format!(
            "ip {flag}rule add {}; ip {flag}rule del {}; vrfsetup rules fix",
            moved.arguments(),
            rule.arguments()
        );
        Finding::new("foreign-rule-first", what, fix)
    })
}

fn loopback_device(inventory: &Inventory) -> Option<Finding> {
    let down = inventory.system.links.iter().find(|link| link.is_loopback() && !link.is_up())?;
    let what = format!("{} is down: the machine cannot reach its own addresses", down.name);
    Some(Finding::new("loopback-down", what, format!("ip link set {} up", down.name)))
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
            let last = names[names.len() - 1];
            Finding::new("table-shared", what, format!("vrfsetup del {last}; vrfsetup add {last}"))
        })
        .collect()
}

fn device(vrf: &Link) -> Option<Finding> {
    let what = "the VRF is down: nothing is sent or received";
    (!vrf.is_up()).then(|| Finding::new("vrf-down", what, format!("ip link set {} up", vrf.name)).about(&vrf.name))
}

fn loopback_addresses(inventory: &Inventory, vrf: &Link) -> Option<Finding> {
    let device = vrf.device();
    let wanted = families::of_device(&vrf.name).into_iter().map(|family| Address::loopback(&device, family));
    let has = |wanted: &Address| inventory.system.addresses_of(vrf.ifindex).any(|own| own.local == wanted.local);
    let missing: Vec<String> = wanted.filter(|address| !has(address)).map(|a| a.local.to_string()).collect();
    let what = format!("{} is not on the VRF: programs in it cannot reach themselves by it", missing.join(" and "));
    let fix = format!("vrfsetup add {}", vrf.name);
    (!missing.is_empty()).then(|| Finding::new("loopback-address-missing", what, fix).about(&vrf.name))
}

/// Neither a default route of any kind nor the rule behind l3mdev stops what the table lacks.
fn misses(inventory: &Inventory, vrf: &Link, family: Family) -> Option<Finding> {
    let is_rule = |rule: &Rule| rule.family == family && rule.is_l3mdev && rule.action == Action::Unreachable;
    let ends_here = |route: &Route| route.family() == family && route.is_default();
    let is_stopped =
        inventory.rules.iter().any(is_rule) || inventory.table(vrf.table.unwrap_or_default()).any(ends_here);
    let what = format!("what its table lacks ({family}) is looked up in the default domain and leaves there");
    (!is_stopped).then(|| Finding::new("falls-through", what, "vrfsetup rules fix").about(&vrf.name))
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
    let fix = format!("ip {flag}route add default via GATEWAY dev {} table {table}", port.device.name);
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
    let fix = format!("ip {flag}route del {route} table {table}, and add it with 'dev PORT onlink'");
    Some(Finding::new("default-route-elsewhere", what, fix).about(&vrf.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::rules::{LOCAL_LATE, UNREACHABLE};

    fn vrf(ifindex: u32, name: &str, table: u32) -> Link {
        Link {
            ifindex,
            name: name.into(),
            flags: libc::IFF_UP as u32,
            mtu: 65575,
            operstate: 6,
            master: None,
            lower: None,
            altnames: Vec::new(),
            kind: Some("vrf".into()),
            table: Some(table),
        }
    }

    fn healthy_rules() -> Vec<Rule> {
        let of = |family| {
            [
                Rule::l3mdev(family, L3MDEV),
                Rule::l3mdev_unreachable(family, UNREACHABLE),
                Rule::lookup(family, LOCAL_LATE, TABLE_LOCAL),
            ]
        };
        [of(Family::V4), of(Family::V6)].concat()
    }

    fn found(links: Vec<Link>, rules: &[Rule], routes: &[Route]) -> Vec<&'static str> {
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
        rules.retain(|rule| rule.action != Action::Unreachable);
        let seals = [Family::V4, Family::V6].map(|family| Route::seal(family, 10));
        assert_eq!(found(vec![vrf(7, "blue", 10)], &rules, &seals), [""; 0]);
        assert_eq!(found(vec![vrf(7, "blue", 11)], &rules, &seals), ["falls-through"; 2]);
    }

    #[test]
    fn a_vpns_rule_before_l3mdev_is_a_finding_with_a_command() {
        let mut rules = healthy_rules();
        rules.insert(0, Rule::lookup(Family::V4, 110, 52));
        assert_eq!(found(vec![vrf(7, "blue", 10)], &rules, &[]), ["foreign-rule-first"]);
    }

    #[test]
    fn two_vrfs_of_one_table_are_found_and_so_is_one_that_is_down() {
        let down = Link { flags: 0, ..vrf(8, "red", 10) };
        assert_eq!(found(vec![vrf(7, "blue", 10), down], &healthy_rules(), &[]), ["table-shared", "vrf-down"]);
    }
}

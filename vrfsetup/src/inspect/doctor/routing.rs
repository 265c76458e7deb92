//! What is wrong with rules, tables and interfaces.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::Finding;
use crate::model::address::Address;
use crate::model::family::Family;
use crate::model::link::Link;
use crate::model::route::Route;
use crate::model::rule::{Action, Rule, TABLE_LOCAL};
use crate::plan::foreign_rules::{can_match_local, is_foreign};
use crate::plan::inventory::Inventory;
use crate::plan::rules::FIRST;
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
            findings.extend(unguarded(inventory, vrf, family));
            findings.extend(default_route(inventory, vrf, family));
            findings.extend(leaves_elsewhere(inventory, vrf, family));
        }
    }
    findings
}

fn rules(inventory: &Inventory, family: Family) -> Vec<Finding> {
    let rules: Vec<&Rule> = inventory.rules.iter().filter(|rule| rule.family == family).collect();
    let Some(l3mdev) = rules.iter().position(|rule| rule.looks_up_vrfs()) else { return vec![no_l3mdev(family)] };
    let (before, behind) = rules.split_at(l3mdev);
    let own: Vec<IpAddr> = inventory.system.addresses.iter().map(|address| address.local).collect();
    let before = before.iter().filter_map(|rule| before_l3mdev(rule));
    before.chain(before_local(behind, &own)).chain(reversed(&rules)).collect()
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
        Finding::new("foreign-rule-first", what, place_behind(rule))
    })
}

/// What puts our rules before this one: they are at 0, and there only the order of their making counts.
fn place_behind(rule: &Rule) -> String {
    match rule.priority {
        FIRST => format!("{}; vrfsetup rules fix", rule.move_command(FIRST + 1)),
        _ => "vrfsetup rules fix".to_owned(),
    }
}

/// Where the local rule comes behind l3mdev: what comes between the two, or will as soon as somebody adds a rule
/// without a preference.
fn before_local(rules: &[&Rule], own: &[IpAddr]) -> Option<Finding> {
    let local = rules.iter().position(|rule| rule.is_kernels_own() && rule.table == TABLE_LOCAL)?;
    let family = rules[local].family;
    let takes_local = |rule: &&&Rule| is_foreign(rule) && can_match_local(rule, own);
    if let Some(rule) = rules[..local].iter().find(takes_local) {
        let what = format!(
            "{family} rule '{rule}' comes between the l3mdev rule and the local one: the machine cannot reach its own addresses by what the rule matches"
        );
        return Some(Finding::new("rule-before-local", what, place_behind(rule)));
    }
    let what = format!(
        "the {family} local rule is at {}: a rule that is added without a preference, as wg-quick does, comes before it",
        rules[local].priority
    );
    (rules[local].priority != FIRST).then(|| Finding::new("local-rule-late", what, "vrfsetup rules fix"))
}

/// wg-quick adds two rules without preferences, and means the second one to come first. At 0 it comes last.
fn reversed(rules: &[&Rule]) -> Option<Finding> {
    let narrows = |rule: &Rule| rule.selectors.others.iter().any(|other| other.starts_with("suppress_prefixlength"));
    let at_first: Vec<&&Rule> = rules.iter().filter(|rule| rule.priority == FIRST && is_foreign(rule)).collect();
    let narrow = at_first.iter().position(|rule| narrows(rule))?;
    let rule = at_first[..narrow].last()?;
    let what = format!(
        "{} rule '{rule}' comes before '{}', which whoever added the two means to come first",
        rule.family, at_first[narrow]
    );
    Some(Finding::new("rules-reversed", what, rule.move_command(FIRST + 1)))
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
    let wanted = families::available().into_iter().map(|family| Address::loopback(&device, family));
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
    use crate::plan::rules::{L3MDEV, UNREACHABLE};

    fn vrf(ifindex: u32, name: &str, table: u32) -> Link {
        Link {
            ifindex,
            name: name.into(),
            flags: libc::IFF_UP as u32,
            mtu: 65575,
            operstate: 6,
            master: None,
            kind: Some("vrf".into()),
            table: Some(table),
        }
    }

    fn healthy_rules() -> Vec<Rule> {
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
    fn a_rule_between_l3mdev_and_local_is_named_and_so_is_the_place_where_one_would_come() {
        let late = [
            Rule::l3mdev(Family::V4, L3MDEV),
            Rule::l3mdev_unreachable(Family::V4, UNREACHABLE),
            Rule::lookup(Family::V4, 32765, TABLE_LOCAL),
        ];
        let six = healthy_rules().split_off(4);
        let rules = [&late[..], &six].concat();
        assert_eq!(found(vec![vrf(7, "blue", 10)], &rules, &[]), ["local-rule-late"]);
        let mut rules = rules;
        rules.insert(1, Rule::lookup(Family::V4, 1999, 51820));
        assert_eq!(found(vec![vrf(7, "blue", 10)], &rules, &[]), ["rule-before-local"]);
        let mut first = healthy_rules();
        first.insert(1, Rule::lookup(Family::V4, FIRST, 51820));
        assert_eq!(found(vec![vrf(7, "blue", 10)], &first, &[]), ["rule-before-local"]);
    }

    #[test]
    fn two_rules_that_came_the_wrong_way_round_are_named() {
        let mut rules = healthy_rules();
        let mut narrow = Rule::lookup(Family::V4, FIRST, 254);
        narrow.selectors.others.push("suppress_prefixlength 0".into());
        rules.insert(3, narrow);
        assert_eq!(found(vec![vrf(7, "blue", 10)], &rules, &[]), [""; 0]);
        rules.insert(3, Rule::lookup(Family::V4, FIRST, 51820));
        assert_eq!(found(vec![vrf(7, "blue", 10)], &rules, &[]), ["rules-reversed"]);
    }

    #[test]
    fn a_seal_that_networkd_would_remove_is_found() {
        let mut seal = Route::seal(Family::V4, 10);
        assert_eq!(found(vec![vrf(7, "blue", 10)], &healthy_rules(), &[seal.clone()]), [""; 0]);
        seal.message.header.protocol = rtnetlink::packet_route::route::RouteProtocol::Boot;
        assert_eq!(found(vec![vrf(7, "blue", 10)], &healthy_rules(), &[seal]), ["seal-unguarded"]);
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

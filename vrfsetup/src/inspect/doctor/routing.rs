//! What is wrong with tables and interfaces; with default routes and rules by way of `defaults` and `rules`.

use std::collections::BTreeMap;

use super::{Finding, defaults, rules};
use crate::model::address::Address;
use crate::model::family::Family;
use crate::model::link::Link;
use crate::model::name;
use crate::model::rule::Rule;
use crate::model::shell::word;
use crate::model::step::Step;
use crate::plan::inventory::Inventory;
use crate::plan::leftovers::{self, Leftover};
use crate::plan::seal;
use crate::sys::{daemons, families, run_dir};

/// All checks.
pub fn all(inventory: &Inventory) -> Vec<Finding> {
    let mut findings = Vec::new();
    for family in families::available() {
        findings.extend(rules::of(inventory, family));
    }
    findings.extend(loopback_device(inventory));
    let is_configured = |port: &Link| run_dir::is_first_netns() && daemons::configured(port.ifindex).is_some();
    findings.extend(defaults::by_port(inventory, is_configured));
    findings.extend(shared_tables(inventory));
    for vrf in inventory.system.vrfs() {
        findings.extend(device(vrf));
        findings.extend(loopback_addresses(inventory, vrf));
        for family in families::available() {
            findings.extend(misses(inventory, vrf, family));
            findings.extend(unguarded(inventory, vrf, family));
            findings.extend(defaults::missing(inventory, vrf, family));
            findings.extend(defaults::elsewhere(inventory, vrf, family));
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

#[cfg(test)]
pub mod tests {
    use rtnetlink::packet_route::route::RouteProtocol;

    use super::*;
    use crate::model::route::Route;
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

    #[test]
    fn two_vrfs_of_one_table_are_found_and_so_is_one_that_is_down() {
        let down = Link { flags: 0, ..vrf(8, "red", 10) };
        assert_eq!(found(vec![vrf(7, "blue", 10), down], &healthy_rules(), &[]), ["table-shared", "vrf-down"]);
    }
}

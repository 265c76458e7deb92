//! What is wrong with the routing rules of one family.

use std::net::IpAddr;

use super::Finding;
use crate::model::family::Family;
use crate::model::rule::{Action, Rule, TABLE_LOCAL};
use crate::plan::emulate;
use crate::plan::foreign_rules::{can_match_local, is_foreign};
use crate::plan::inventory::Inventory;
use crate::plan::rules::{self, FIRST};

/// All checks.
pub fn of(inventory: &Inventory, family: Family) -> Vec<Finding> {
    let named = [rules::vrfs(inventory), emulate::names(inventory)].concat();
    let rules = inventory.rules.iter().filter(|rule| rule.family == family && !is_by_name(rule, &named));
    let rules: Vec<&Rule> = rules.collect();
    let Some(l3mdev) = rules.iter().position(|rule| rule.looks_up_vrfs()) else { return vec![no_l3mdev(family)] };
    let (before, behind) = rules.split_at(l3mdev);
    let own: Vec<IpAddr> = inventory.system.addresses.iter().map(|address| address.local).collect();
    let before = before.iter().filter_map(|rule| before_l3mdev(rule));
    before.chain(before_local(behind, &own)).chain(reversed(&rules)).collect()
}

/// Whether the rule is one of ours that lead to the table of a VRF by its name, and stop what that lacks: for emulated ones,
/// and for old kernels.
fn is_by_name(rule: &Rule, named: &[(String, u32)]) -> bool {
    let leads = |table: u32| rule.action == Action::Unreachable || rule.action == Action::Lookup && rule.table == table;
    let is_of =
        |name: &str| Rule::lookup(rule.family, 0, 0).both_ways(name).iter().any(|of| of.selectors == rule.selectors);
    !rule.is_l3mdev && named.iter().any(|(name, table)| leads(*table) && is_of(name))
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
    if rule.is_l3mdev && rule.action == Action::Unreachable {
        let what = format!(
            "the {family} rule '{rule}' comes before the l3mdev rule: no VRF reaches anything; ifupdown2 removes the first rule at 0 whenever it sees the local rule there"
        );
        return Some(Finding::new("unreachable-rule-first", what, "vrfsetup rules fix"));
    }
    is_foreign(rule).then(|| {
        let what =
            format!("{family} rule '{rule}' comes before the l3mdev rule and takes packets of VRFs that it matches");
        Finding::new("foreign-rule-first", what, place_behind(rule))
    })
}

/// What puts our rules before this one: they are at 0, and there only the order of their making counts.
pub(super) fn place_behind(rule: &Rule) -> String {
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

#[cfg(test)]
mod tests {
    use super::super::routing::tests::{found, healthy_rules, vrf};
    use super::*;
    use crate::model::link::Link;
    use crate::plan::rules::{L3MDEV, UNREACHABLE};

    #[test]
    fn vrfs_that_reach_nothing_are_found() {
        let mut rules = healthy_rules();
        rules.remove(0);
        let found = found(vec![vrf(7, "blue", 10)], &rules, &[]);
        assert_eq!(found, ["unreachable-rule-first", "local-rule-first"]);
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
    fn a_rule_of_ours_by_the_name_of_a_vrf_is_in_nobodys_way() {
        let mut links = vec![vrf(7, "blue", 10)];
        links.push(Link { altnames: vec!["em".into()], ..Link::plain(3, "eth1", None) });
        let lookup = Rule::lookup(Family::V4, FIRST, 11);
        let stop = Rule { action: Action::Unreachable, ..Rule::lookup(Family::V4, FIRST, 0) };
        let other = Rule::lookup(Family::V4, FIRST, 12).both_ways("em");
        let ours = [lookup.both_ways("em"), stop.both_ways("em")].concat();
        let with = |more: &[Rule]| [&healthy_rules()[..2], more, &healthy_rules()[2..]].concat();
        assert_eq!(found(links.clone(), &with(&ours), &[]), [""; 0]);
        assert_eq!(found(links.clone(), &with(&[&ours[..], &other].concat()), &[]), ["rule-before-local"]);
        assert_eq!(found(links, &with(&Rule::lookup(Family::V4, FIRST, 10).both_ways("blue")), &[]), [""; 0]);
    }

    #[test]
    fn a_vpns_rule_before_l3mdev_is_a_finding_with_a_command() {
        let mut rules = healthy_rules();
        rules.insert(0, Rule::lookup(Family::V4, 110, 52));
        assert_eq!(found(vec![vrf(7, "blue", 10)], &rules, &[]), ["foreign-rule-first"]);
    }
}

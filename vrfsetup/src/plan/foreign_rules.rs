//! Rules that other programs made (a VPN's, a load balancer's), and whether they can catch locally destined packets.
//!
//! Moving `local` behind such a rule cuts the machine off from its own addresses, 127.0.0.1 included. What cannot be
//! excluded counts as possible.

use std::net::IpAddr;

use crate::model::family::Family;
use crate::model::prefix::contains;
use crate::model::rule::{Action, Rule};

/// The rules that are neither the kernel's own, nor l3mdev rules or a tunnel's, and that could match a packet for one of `own`.
pub fn in_the_way<'a>(rules: &'a [Rule], own: &[IpAddr]) -> Vec<&'a Rule> {
    rules.iter().filter(|rule| is_foreign(rule) && can_match_local(rule, own)).collect()
}

/// Whether somebody else made the rule.
pub fn is_foreign(rule: &Rule) -> bool {
    !rule.is_l3mdev && !rule.is_kernels_own() && rule.tunnel_mark().is_none()
}

/// Whether the rule can match a packet that is destined to the loopback network or one of `own`.
///
/// Only a destination can exclude that: sources, marks, users and interfaces are what remote and local senders make
/// of them.
pub fn can_match_local(rule: &Rule, own: &[IpAddr]) -> bool {
    if rule.action == Action::Nop {
        return false;
    }
    match rule.selectors.to {
        Some(_) if rule.selectors.is_inverted => true,
        Some(prefix) => overlaps_loopback(prefix) || own.iter().any(|&address| contains(prefix, address)),
        None => true,
    }
}

fn overlaps_loopback((network, len): (IpAddr, u8)) -> bool {
    match Family::from(network) {
        Family::V4 => contains((network, len.min(8)), IpAddr::from([127, 0, 0, 1])),
        Family::V6 => contains((network, len), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule_to(prefix: &str, len: u8) -> Rule {
        let mut rule = Rule::lookup(Family::V4, 5270, 52);
        rule.selectors.to = Some((prefix.parse().unwrap(), len));
        rule
    }

    fn own() -> Vec<IpAddr> {
        vec!["127.0.0.1".parse().unwrap(), "192.0.2.7".parse().unwrap()]
    }

    #[test]
    fn a_rule_without_destination_can_match_local_packets() {
        assert!(can_match_local(&Rule::lookup(Family::V4, 5270, 52), &own()));
    }

    #[test]
    fn a_rule_for_a_foreign_destination_cannot() {
        assert!(!can_match_local(&rule_to("198.51.100.0", 24), &own()));
    }

    #[test]
    fn a_rule_for_a_prefix_that_holds_an_own_address_can() {
        assert!(can_match_local(&rule_to("192.0.2.0", 24), &own()));
        assert!(can_match_local(&rule_to("0.0.0.0", 0), &own()));
    }

    #[test]
    fn any_part_of_the_loopback_network_is_local() {
        assert!(can_match_local(&rule_to("127.0.0.53", 32), &own()));
        assert!(can_match_local(&rule_to("126.0.0.0", 7), &own()));
    }

    #[test]
    fn an_inverted_destination_can() {
        let mut rule = rule_to("198.51.100.0", 24);
        rule.selectors.is_inverted = true;
        assert!(can_match_local(&rule, &own()));
    }

    #[test]
    fn a_marked_rule_can_since_anybody_may_mark() {
        let mut rule = Rule::lookup(Family::V4, 5270, 52);
        rule.selectors.others.push("fwmark 0x80000".into());
        assert!(can_match_local(&rule, &own()));
    }

    #[test]
    fn a_nop_cannot() {
        let rule = Rule { action: Action::Nop, ..Rule::lookup(Family::V4, 5270, 0) };
        assert!(!can_match_local(&rule, &own()));
    }

    #[test]
    fn the_kernels_own_rules_are_not_foreign() {
        let own_rules = [(0, 255), (32766, 254), (32767, 253)].map(|(p, t)| Rule::lookup(Family::V4, p, t));
        assert!(in_the_way(&own_rules, &own()).is_empty());
    }
}

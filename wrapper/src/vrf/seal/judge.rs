//! Goes through the rules of a family as a packet of the VRF would. Pure: rules in, the first gap out.

use vrfnl::rule::{self, Rule};

use crate::vrf::device::Device;
use crate::vrf::seal::Gap;

const LOCAL_TABLE: u32 = 255;
const ACTION_GOTO: u8 = 2;
const ACTION_NOP: u8 = 3;

/// Goes through a family's rules from the lowest preference on, as a packet of the VRF would.
pub struct Judge<'a> {
    device: &'a Device,
    table: u32,
    has_rules: bool,
    reached: bool,
    /// The preference of the rule that leads to the VRF's table, if it suppresses some of the routes there.
    suppressing: Option<u32>,
    is_settled: bool,
    gap: Option<Gap>,
}

impl<'a> Judge<'a> {
    /// Of the packets of this device, whose table is this.
    pub fn new(device: &'a Device, table: u32) -> Self {
        let (has_rules, reached, is_settled) = (false, false, false);
        Self { device, table, has_rules, reached, suppressing: None, is_settled, gap: None }
    }

    /// Looks at the next rule.
    pub fn see(&mut self, rule: &Rule<'_>) {
        self.has_rules = true;
        if self.is_settled {
            return;
        }
        if self.leads_to_vrf(rule) {
            // Of a rule for some packets the others learn nothing.
            if self.matches_all(rule) {
                (self.reached, self.suppressing) = (true, rule.suppresses.then_some(rule.priority));
            }
        } else if self.can_match(rule) && rule.action != ACTION_NOP {
            match rule.action {
                // The local table is asked for this machine's own addresses only.
                rule::TO_TABLE if rule.table == LOCAL_TABLE => {}
                rule::TO_TABLE | ACTION_GOTO => self.record(rule),
                // Unreachable, prohibit, blackhole: for all packets it is the end, for some of them one hole less.
                _ => self.is_settled = self.reached && self.matches_all(rule),
            }
        }
    }

    fn record(&mut self, rule: &Rule<'_>) {
        let (priority, table) = (rule.priority, rule.table);
        let gap = match (self.reached, self.suppressing) {
            (false, _) => Gap::Before { priority, table },
            (true, Some(priority)) => Gap::Suppressed { priority, table },
            (true, None) => Gap::After { table },
        };
        self.gap.get_or_insert(gap);
        self.is_settled = self.reached;
    }

    /// The first gap, if there is one.
    pub fn verdict(self) -> Option<Gap> {
        if self.has_rules && !self.reached { Some(Gap::NoVrfRule) } else { self.gap }
    }

    /// The l3mdev rule, or before 4.8 `oif VRF lookup TABLE`.
    fn leads_to_vrf(&self, rule: &Rule<'_>) -> bool {
        let is_own = rule.table == self.table && rule.oif.is_some_and(|name| self.is_device(name));
        rule.action == rule::TO_TABLE && !rule.is_inverted && (self.is_l3mdevs(rule) || is_own)
    }

    /// Some packet of the VRF can match.
    fn can_match(&self, rule: &Rule<'_>) -> bool {
        if rule.is_inverted { rule.is_selective || !self.has_interfaces(rule) } else { self.has_interfaces(rule) }
    }

    /// Each packet of the VRF matches.
    fn matches_all(&self, rule: &Rule<'_>) -> bool {
        let has_interfaces = self.has_interfaces(rule);
        if rule.is_inverted { !has_interfaces } else { has_interfaces && !rule.is_selective }
    }

    /// Packets that a socket of the VRF sends have the VRF as output interface, and no input interface but lo.
    fn has_interfaces(&self, rule: &Rule<'_>) -> bool {
        let oif_matches = rule.oif.is_none_or(|name| self.is_device(name));
        let iif_matches = rule.iif.is_none_or(|name| name == b"lo\0");
        oif_matches && iif_matches && (!rule.is_l3mdev || self.is_l3mdevs(rule))
    }

    /// A rule for packets of VRF devices, which a port that emulates one is not.
    fn is_l3mdevs(&self, rule: &Rule<'_>) -> bool {
        rule.is_l3mdev && self.device.emulates.is_none()
    }

    fn is_device(&self, name: &[u8]) -> bool {
        let name = name.strip_suffix(b"\0").unwrap_or(name);
        [self.device.name.as_encoded_bytes(), self.device.vrf().as_encoded_bytes()].contains(&name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIN: u32 = 254;

    fn lookup(priority: u32, table: u32) -> Rule<'static> {
        Rule {
            priority,
            action: rule::TO_TABLE,
            table,
            is_l3mdev: false,
            is_selective: false,
            is_inverted: false,
            suppresses: false,
            iif: None,
            oif: None,
        }
    }

    fn l3mdev(priority: u32) -> Rule<'static> {
        Rule { is_l3mdev: true, ..lookup(priority, 0) }
    }

    fn sealed(priority: u32) -> Rule<'static> {
        Rule { action: rule::UNREACHABLE, ..l3mdev(priority) }
    }

    fn gap(rules: &[Rule<'_>]) -> Option<Gap> {
        let device = Device { name: "blue".into(), ifindex: 7, table: Some(1001), emulates: None };
        let mut judge = Judge::new(&device, 1001);
        rules.iter().for_each(|rule| judge.see(rule));
        judge.verdict()
    }

    #[test]
    fn the_kernels_own_rules_fall_through_to_main() {
        let rules = [lookup(0, LOCAL_TABLE), l3mdev(1000), lookup(32766, MAIN), lookup(32767, 253)];
        assert_eq!(gap(&rules), Some(Gap::After { table: MAIN }));
    }

    #[test]
    fn an_l3mdev_unreachable_rule_seals() {
        let rules = [l3mdev(1000), sealed(2000), lookup(32765, LOCAL_TABLE), lookup(32766, MAIN)];
        assert_eq!(gap(&rules), None);
    }

    /// `vrfsetup rules fix`: all three at 0, what others add behind them, the kernel's own l3mdev rule where it was.
    #[test]
    fn the_rules_at_0_seal_whatever_comes_behind_them() {
        let vpn = Rule { is_selective: true, is_inverted: true, ..lookup(0, 51820) };
        let fixed = [l3mdev(0), sealed(0), lookup(0, LOCAL_TABLE), vpn, l3mdev(1000), lookup(32766, MAIN)];
        assert_eq!(gap(&fixed), None);
    }

    /// Without the rule between them a seal in the table is wanted: the kernel's second l3mdev rule is no end.
    #[test]
    fn without_the_unreachable_rule_what_is_missed_goes_on_behind_local() {
        let rules = [l3mdev(0), lookup(0, LOCAL_TABLE), l3mdev(1000), sealed(2000), lookup(32766, MAIN)];
        assert_eq!(gap(&rules), None);
        let vpn = lookup(0, 51820);
        let rules = [l3mdev(0), lookup(0, LOCAL_TABLE), vpn, l3mdev(1000), sealed(2000)];
        assert_eq!(gap(&rules), Some(Gap::After { table: 51820 }));
    }

    #[test]
    fn a_rule_before_l3mdev_is_named() {
        let rules = [lookup(0, LOCAL_TABLE), lookup(100, MAIN), l3mdev(1000), sealed(2000)];
        assert_eq!(gap(&rules), Some(Gap::Before { priority: 100, table: MAIN }));
        let marked = Rule { is_selective: true, ..lookup(110, 7120) };
        assert_eq!(gap(&[marked, l3mdev(1000), sealed(2000)]), Some(Gap::Before { priority: 110, table: 7120 }));
    }

    #[test]
    fn rules_of_other_interfaces_do_not_matter() {
        let other = Rule { oif: Some(b"red\0"), ..lookup(500, 1002) };
        let input = Rule { iif: Some(b"eth0\0"), ..lookup(501, MAIN) };
        assert_eq!(gap(&[other, input, l3mdev(1000), sealed(2000)]), None);
    }

    #[test]
    fn rules_per_vrf_of_old_kernels_count() {
        let own = Rule { oif: Some(b"blue\0"), ..lookup(100, 1001) };
        assert_eq!(gap(&[own, lookup(32766, MAIN)]), Some(Gap::After { table: MAIN }));
    }

    #[test]
    fn without_any_vrf_rule_a_socket_is_bound_in_vain() {
        assert_eq!(gap(&[lookup(0, LOCAL_TABLE)]), Some(Gap::NoVrfRule));
        assert_eq!(gap(&[lookup(0, LOCAL_TABLE), lookup(32766, MAIN)]), Some(Gap::NoVrfRule));
        assert_eq!(gap(&[]), None); // the family is switched off
    }

    #[test]
    fn a_selective_end_is_no_seal() {
        let some = Rule { action: rule::UNREACHABLE, is_selective: true, ..lookup(1500, 0) };
        assert_eq!(gap(&[l3mdev(1000), some, lookup(32766, MAIN)]), Some(Gap::After { table: MAIN }));
    }

    #[test]
    fn a_vrf_rule_for_some_packets_leads_the_others_nowhere() {
        let some = Rule { is_selective: true, ..l3mdev(1000) };
        assert_eq!(gap(&[some, lookup(32766, MAIN)]), Some(Gap::NoVrfRule));
        let all = [some, l3mdev(1001), sealed(2000), lookup(32766, MAIN)];
        assert_eq!(gap(&all), None);
    }

    #[test]
    fn a_vrf_rule_that_suppresses_routes_is_no_seal_whatever_the_table_has() {
        let suppressing = Rule { suppresses: true, ..l3mdev(1000) };
        let rules = [suppressing, lookup(32766, MAIN)];
        assert_eq!(gap(&rules), Some(Gap::Suppressed { priority: 1000, table: MAIN }));
        assert_eq!(gap(&[suppressing, sealed(2000), lookup(32766, MAIN)]), None);
    }

    /// As wg-quick sets it: main before everything, its default route left out.
    #[test]
    fn a_lookup_that_suppresses_defaults_still_takes_the_rest() {
        let main = Rule { suppresses: true, ..lookup(500, MAIN) };
        assert_eq!(gap(&[main, l3mdev(1000), sealed(2000)]), Some(Gap::Before { priority: 500, table: MAIN }));
    }

    #[test]
    fn a_rule_for_all_but_another_interface_is_one_for_this() {
        let not = |oif| Rule { is_inverted: true, oif: Some(oif), ..lookup(500, MAIN) };
        assert_eq!(gap(&[not(b"red\0"), l3mdev(1000), sealed(2000)]), Some(Gap::Before { priority: 500, table: MAIN }));
        assert_eq!(gap(&[not(b"blue\0"), l3mdev(1000), sealed(2000)]), None);
        let sealing = Rule { is_inverted: true, oif: Some(b"red\0"), is_l3mdev: false, ..sealed(2000) };
        assert_eq!(gap(&[l3mdev(1000), sealing, lookup(32766, MAIN)]), None);
        let marked = Rule { is_inverted: true, is_selective: true, ..lookup(500, MAIN) };
        assert_eq!(gap(&[marked, l3mdev(1000), sealed(2000)]), Some(Gap::Before { priority: 500, table: MAIN }));
    }

    #[test]
    fn an_end_for_the_device_alone_is_a_seal() {
        let own = Rule { oif: Some(b"blue\0"), is_l3mdev: false, ..sealed(2000) };
        assert_eq!(gap(&[l3mdev(1000), own, lookup(32766, MAIN)]), None);
    }
}

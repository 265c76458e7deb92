//! A bound socket is not yet a lookup in the VRF's table: the rules decide. Finds where its packets could leave by
//! the default domain all the same.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use vrfnl::route;
use vrfnl::rule::{self, Rule};

use crate::error::{self, Error};
use crate::vrf::device::Device;
use crate::vrf::netlink::Netlink;

const LOCAL_TABLE: u32 = 255;
const FAMILIES: [(libc::c_int, &str); 2] = [(libc::AF_INET, "IPv4"), (libc::AF_INET6, "IPv6")];
const ACTION_GOTO: u8 = 2;
const ACTION_NOP: u8 = 3;

/// How packets of a VRF can get past its table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gap {
    /// A rule before the VRF's own takes them.
    Before { priority: u32, table: u32 },
    /// No rule leads to the VRF's table.
    NoVrfRule,
    /// A lookup that misses the VRF's table goes on to this one.
    After { table: u32 },
}

/// The sentence that says it.
fn describe(gap: &Gap, table: u32) -> String {
    match gap {
        Gap::Before { priority, table } => {
            format!("rule {priority} (lookup {}) stands before l3mdev", table_name(*table))
        }
        Gap::NoVrfRule => "there is no l3mdev rule".into(),
        Gap::After { table: next } => {
            format!("what misses table {table} falls through to table {}", table_name(*next))
        }
    }
}

fn table_name(table: u32) -> String {
    match table {
        253 => "default".into(),
        254 => "main".into(),
        255 => "local".into(),
        table => table.to_string(),
    }
}

/// Warns of a gap, or refuses under `--strict`. Says nothing of devices that are no VRF.
pub fn check(netlink: Netlink, device: &Device, strict: bool) -> Result<(), Error> {
    let Some(why) = find(netlink, device)? else { return Ok(()) };
    if strict {
        return Err(Error::Unsealed { vrf: device.name.clone(), why });
    }
    error::warn(&error::leaves(&device.name, &why), "vrfsetup rules fix");
    Ok(())
}

/// The sentence about the gaps of this VRF, if there is one.
pub fn find(mut netlink: Netlink, device: &Device) -> Result<Option<String>, Error> {
    let Some(table) = device.table else { return Ok(None) };
    let mut judges = FAMILIES.map(|_| Judge::new(&device.name, table));
    // One dump for all families; each rule goes to its own judge, in the order of preference.
    netlink
        .ask(&rule::dump(libc::AF_UNSPEC as u8), true, |body| {
            let family = FAMILIES.iter().position(|(family, _)| body.first() == Some(&(*family as u8)));
            if let (Some(at), Some(rule)) = (family, rule::parse(body)) {
                judges[at].see(&rule);
            }
        })
        .map_err(Error::kernel("read the routing rules"))?;
    let (mut gaps, mut spare) = (Vec::new(), Some(netlink));
    for ((family, name), judge) in FAMILIES.into_iter().zip(judges) {
        match judge.verdict() {
            // A lookup that finds a default route, even an unreachable one, does not miss.
            Some(Gap::After { .. }) if has_default(&mut spare, family as u8, table)? => {}
            Some(gap) => gaps.push((name, describe(&gap, table))),
            None => {}
        }
    }
    Ok(match &gaps[..] {
        [] => None,
        [(_, one), (_, two)] if one == two => Some(format!("IPv4 and IPv6: {one}")),
        several => Some(several.iter().map(|(name, gap)| format!("{name}: {gap}")).collect::<Vec<_>>().join("; ")),
    })
}

/// A default route comes first in a dump: a full table is not read to its end. Each search uses a socket up.
fn has_default(spare: &mut Option<Netlink>, family: u8, table: u32) -> Result<bool, Error> {
    let is_default = |body: &[u8]| route::parse(body).is_some_and(|route| route.table == table && route.dst_len == 0);
    match spare.take().map_or_else(Netlink::open, Ok)?.search(&route::dump(family, table), is_default) {
        // A table that nothing was ever put in.
        Err(nix::errno::Errno::ENOENT) => Ok(false),
        outcome => outcome.map_err(Error::kernel("read the VRF's routes")),
    }
}

/// Goes through a family's rules from the lowest preference on, as a packet of the VRF would.
struct Judge<'a> {
    device: &'a OsStr,
    table: u32,
    has_rules: bool,
    reached: bool,
    is_settled: bool,
    gap: Option<Gap>,
}

impl<'a> Judge<'a> {
    fn new(device: &'a OsStr, table: u32) -> Self {
        Self { device, table, has_rules: false, reached: false, is_settled: false, gap: None }
    }

    /// Looks at the next rule.
    fn see(&mut self, rule: &Rule<'_>) {
        self.has_rules = true;
        if self.is_settled {
            return;
        }
        if self.leads_to_vrf(rule) {
            self.reached = true;
        } else if self.can_match(rule) && rule.action != ACTION_NOP {
            match rule.action {
                // The local table is asked for this machine's own addresses only.
                rule::TO_TABLE if rule.table == LOCAL_TABLE => {}
                rule::TO_TABLE | ACTION_GOTO => self.record(rule),
                // Unreachable, prohibit, blackhole: for all packets it is the end, for some of them one hole less.
                _ => self.is_settled = self.reached && !rule.is_selective,
            }
        }
    }

    fn record(&mut self, rule: &Rule<'_>) {
        let (priority, table) = (rule.priority, rule.table);
        let gap = if self.reached { Gap::After { table } } else { Gap::Before { priority, table } };
        self.gap.get_or_insert(gap);
        self.is_settled = self.reached;
    }

    fn verdict(self) -> Option<Gap> {
        if self.has_rules && !self.reached { Some(Gap::NoVrfRule) } else { self.gap }
    }

    /// The l3mdev rule, or before 4.8 `oif VRF lookup TABLE`.
    fn leads_to_vrf(&self, rule: &Rule<'_>) -> bool {
        let is_own = rule.table == self.table && rule.oif.is_some_and(|name| self.is_device(name));
        rule.action == rule::TO_TABLE && (rule.is_l3mdev || is_own)
    }

    /// Packets that a socket of the VRF sends have the VRF as output interface, and no input interface but lo.
    fn can_match(&self, rule: &Rule<'_>) -> bool {
        let oif_matches = rule.oif.is_none_or(|name| self.is_device(name));
        let iif_matches = rule.iif.is_none_or(|name| name == b"lo\0");
        oif_matches && iif_matches
    }

    fn is_device(&self, name: &[u8]) -> bool {
        name.strip_suffix(b"\0").unwrap_or(name) == self.device.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIN: u32 = 254;

    fn lookup(priority: u32, table: u32) -> Rule<'static> {
        Rule { priority, action: rule::TO_TABLE, table, is_l3mdev: false, is_selective: false, iif: None, oif: None }
    }

    fn l3mdev(priority: u32) -> Rule<'static> {
        Rule { is_l3mdev: true, ..lookup(priority, 0) }
    }

    fn sealed(priority: u32) -> Rule<'static> {
        Rule { action: rule::UNREACHABLE, ..l3mdev(priority) }
    }

    fn gap(rules: &[Rule<'_>]) -> Option<Gap> {
        let mut judge = Judge::new(OsStr::new("blue"), 1001);
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
        let vpn = Rule { is_selective: true, ..lookup(0, 51820) };
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
        let other = Rule { oif: Some(b"red\0"), is_selective: true, ..lookup(500, 1002) };
        let input = Rule { iif: Some(b"eth0\0"), is_selective: true, ..lookup(501, MAIN) };
        assert_eq!(gap(&[other, input, l3mdev(1000), sealed(2000)]), None);
    }

    #[test]
    fn rules_per_vrf_of_old_kernels_count() {
        let own = Rule { oif: Some(b"blue\0"), is_selective: true, ..lookup(100, 1001) };
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
}

//! VRFs that `vrfsetup add --emulate` makes for kernels without the driver: a port with an alternative name, and two rules
//! that lead what comes in and goes out by this name to a table.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use vrfnl::rule::{self, Rule};

use crate::error::Error;
use crate::vrf::netlink::Netlink;

const LAST_OF_THE_KERNELS: [u32; 4] = [0, 253, 254, 255];

/// The names that rules lead by to a table, each with the table.
#[derive(Debug, Default)]
pub struct Tables {
    by_iif: BTreeMap<OsString, Vec<u32>>,
    by_oif: BTreeMap<OsString, Vec<u32>>,
}

impl Tables {
    /// Reads the rules of all families.
    pub fn read(netlink: &mut Netlink) -> Result<Self, Error> {
        let mut tables = Self::default();
        netlink
            .ask(&rule::dump(libc::AF_UNSPEC as u8), true, |body| {
                rule::parse(body).iter().for_each(|rule| tables.see(rule));
            })
            .map_err(Error::kernel("read the routing rules"))?;
        Ok(tables)
    }

    fn see(&mut self, rule: &Rule<'_>) {
        let leads = rule.action == rule::TO_TABLE && !LAST_OF_THE_KERNELS.contains(&rule.table);
        if !leads || rule.is_l3mdev || rule.is_selective || rule.is_inverted {
            return;
        }
        let (names, name) = match (rule.iif, rule.oif) {
            (Some(iif), None) => (&mut self.by_iif, iif),
            (None, Some(oif)) => (&mut self.by_oif, oif),
            _ => return,
        };
        let name = OsStr::from_bytes(name.strip_suffix(b"\0").unwrap_or(name));
        names.entry(name.to_owned()).or_default().push(rule.table);
    }

    /// The table that both rules with this name look up.
    pub fn of(&self, name: &OsStr) -> Option<u32> {
        let out = self.by_oif.get(name)?;
        self.by_iif.get(name)?.iter().find(|table| out.contains(table)).copied()
    }

    /// The names that have one.
    pub fn names(&self) -> impl Iterator<Item = &OsStr> {
        self.by_iif.keys().map(OsString::as_os_str).filter(|name| self.of(name).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(iif: Option<&'static [u8]>, oif: Option<&'static [u8]>, table: u32) -> Rule<'static> {
        let (priority, action, is_l3mdev, suppresses) = (1000, rule::TO_TABLE, false, false);
        let (is_selective, is_inverted) = (false, false);
        Rule { priority, action, table, is_l3mdev, is_selective, is_inverted, suppresses, iif, oif }
    }

    fn table_of_blue(rules: &[Rule<'_>]) -> Option<u32> {
        let mut tables = Tables::default();
        rules.iter().for_each(|rule| tables.see(rule));
        assert_eq!(tables.names().next().is_some(), tables.of(OsStr::new("blue")).is_some());
        tables.of(OsStr::new("blue"))
    }

    #[test]
    fn two_rules_that_agree_make_one() {
        let (iif, oif) = (rule(Some(b"blue\0"), None, 10), rule(None, Some(b"blue\0"), 10));
        assert_eq!(table_of_blue(&[iif, oif]), Some(10));
        assert_eq!(table_of_blue(&[oif, rule(Some(b"blue\0"), None, 11), iif]), Some(10));
        for less in [
            vec![iif],
            vec![oif],
            vec![iif, Rule { table: 11, ..oif }],
            vec![iif, Rule { is_selective: true, ..oif }],
            vec![iif, Rule { is_inverted: true, ..oif }],
            vec![iif, Rule { action: rule::UNREACHABLE, ..oif }],
            vec![Rule { table: 254, ..iif }, Rule { table: 254, ..oif }],
            vec![rule(Some(b"blue\0"), Some(b"blue\0"), 10)],
        ] {
            assert_eq!(table_of_blue(&less), None, "{less:?}");
        }
    }
}

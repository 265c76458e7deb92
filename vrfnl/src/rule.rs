//! Routing rules (`ip rule show`), reduced to what decides whether a VRF's packets stay in their table.

use crate::attr::{Attributes, u32_at};
use crate::message::Request;

const FRA_PRIORITY: u16 = 6;
const FRA_SUPPRESS_PREFIXLEN: u16 = 14;
const FRA_TABLE: u16 = 15;
const FRA_L3MDEV: u16 = 19;
const FRA_IIFNAME: u16 = 3;
const FRA_OIFNAME: u16 = 17;
const FRA_GOTO: u16 = 4;
const FRA_FLOW: u16 = 11;
const FRA_SUPPRESS_IFGROUP: u16 = 13;
const FRA_PAD: u16 = 18;
const FRA_PROTOCOL: u16 = 21;
/// Attributes that describe what a rule does, and those that stand beside [`Rule::is_selective`]; every other one narrows
/// what the rule matches, whatever its value: `uidrange 0-0` is all zeros and means root.
const NOT_SELECTORS: [u16; 11] = [
    FRA_IIFNAME,
    FRA_GOTO,
    FRA_PRIORITY,
    FRA_FLOW,
    FRA_SUPPRESS_IFGROUP,
    FRA_SUPPRESS_PREFIXLEN,
    FRA_TABLE,
    FRA_OIFNAME,
    FRA_PAD,
    FRA_L3MDEV,
    FRA_PROTOCOL,
];
/// FIB_RULE_INVERT.
const INVERT: u32 = 2;
const FIB_RULE_HDR: usize = 12;
/// FR_ACT_TO_TBL: look the packet up in the rule's table.
pub const TO_TABLE: u8 = 1;
/// FR_ACT_UNREACHABLE: the packet has no route (EHOSTUNREACH).
pub const UNREACHABLE: u8 = 7;

/// One rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule<'a> {
    /// The preference: rules are tried from the lowest on.
    pub priority: u32,
    /// `FR_ACT_*`; see [`TO_TABLE`] and [`UNREACHABLE`].
    pub action: u8,
    /// The table that is looked up; 0 for an l3mdev rule.
    pub table: u32,
    /// Matches packets of any VRF and looks them up in its table (4.8).
    pub is_l3mdev: bool,
    /// Matches only some packets of its interfaces: a source, a destination, a mark, a user…
    pub is_selective: bool,
    /// `not`: matches what its selectors, interfaces included, do not.
    pub is_inverted: bool,
    /// `suppress_prefixlength`, `suppress_ifgroup`: drops some routes that the lookup finds, and the next rule is tried.
    pub suppresses: bool,
    /// The input interface that it matches, with its NUL.
    pub iif: Option<&'a [u8]>,
    /// The output interface that it matches, with its NUL.
    pub oif: Option<&'a [u8]>,
}

/// Asks for all rules of a family (AF_INET, AF_INET6).
pub fn dump(family: u8) -> Request {
    let mut header = [0; FIB_RULE_HDR];
    header[0] = family;
    Request::new(libc::RTM_GETRULE, libc::NLM_F_DUMP, &header)
}

/// Reads the body of an RTM_NEWRULE message.
pub fn parse(body: &[u8]) -> Option<Rule<'_>> {
    let [_, dst_len, src_len, tos, table, _, _, action, ..] = *body.get(..FIB_RULE_HDR)? else { return None };
    let all = Attributes(&body[FIB_RULE_HDR..]);
    let narrows = |(kind, _): (u16, &[u8])| !NOT_SELECTORS.contains(&kind);
    // The kernel writes the length in each rule, as -1 where nothing is suppressed.
    let is_set = |kind| all.find_u32(kind).is_some_and(|value| value != u32::MAX);
    Some(Rule {
        priority: all.find_u32(FRA_PRIORITY).unwrap_or(0),
        action,
        table: all.find_u32(FRA_TABLE).unwrap_or(u32::from(table)),
        is_l3mdev: all.find(FRA_L3MDEV).is_some_and(|on| on.first() == Some(&1)),
        is_selective: dst_len != 0 || src_len != 0 || tos != 0 || { all }.any(narrows),
        is_inverted: u32_at(body, 8).is_some_and(|flags| flags & INVERT != 0),
        suppresses: is_set(FRA_SUPPRESS_PREFIXLEN) || is_set(FRA_SUPPRESS_IFGROUP),
        iif: all.find(FRA_IIFNAME),
        oif: all.find(FRA_OIFNAME),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(request: &Request) -> Rule<'_> {
        parse(&request.as_bytes()[16..]).unwrap()
    }

    fn to_table(table: u8) -> Request {
        Request::new(libc::RTM_NEWRULE, 0, &[2, 0, 0, 0, table, 0, 0, TO_TABLE, 0, 0, 0, 0])
    }

    #[test]
    fn the_local_rule_has_priority_0_and_no_selector() {
        let request = to_table(255).attribute(FRA_TABLE, &255u32.to_ne_bytes());
        let request = request.attribute(FRA_SUPPRESS_PREFIXLEN, &u32::MAX.to_ne_bytes());
        let rule = parsed(&request);
        assert_eq!((rule.priority, rule.table, rule.is_l3mdev, rule.is_selective), (0, 255, false, false));
    }

    #[test]
    fn an_l3mdev_rule_is_known_by_its_attribute() {
        let request = to_table(0).attribute(FRA_PRIORITY, &1000u32.to_ne_bytes()).attribute(FRA_L3MDEV, &[1]);
        let rule = parsed(&request);
        assert_eq!((rule.priority, rule.is_l3mdev, rule.is_selective), (1000, true, false));
    }

    #[test]
    fn a_mark_makes_a_rule_selective() {
        const FRA_FWMARK: u16 = 10;
        assert!(parsed(&to_table(52).attribute(FRA_FWMARK, &0x80000u32.to_ne_bytes())).is_selective);
    }

    #[test]
    fn the_range_of_root_alone_is_selective_and_an_interface_is_none() {
        const FRA_UID_RANGE: u16 = 20;
        assert!(parsed(&to_table(52).attribute(FRA_UID_RANGE, &[0; 8])).is_selective);
        let of_interface = to_table(52).attribute(FRA_OIFNAME, b"blue\0");
        assert_eq!((parsed(&of_interface).is_selective, parsed(&of_interface).oif), (false, Some(&b"blue\0"[..])));
    }

    #[test]
    fn suppressed_routes_are_told_from_the_kernels_minus_one() {
        let suppressing = |length: u32| to_table(0).attribute(FRA_SUPPRESS_PREFIXLEN, &length.to_ne_bytes());
        assert!(parsed(&suppressing(0)).suppresses);
        assert!(!parsed(&suppressing(u32::MAX)).suppresses);
        assert!(parsed(&to_table(0).attribute(FRA_SUPPRESS_IFGROUP, &7u32.to_ne_bytes())).suppresses);
    }

    #[test]
    fn not_is_read_from_the_flags() {
        let inverted = Request::new(libc::RTM_NEWRULE, 0, &[2, 0, 0, 0, 254, 0, 0, TO_TABLE, INVERT as u8, 0, 0, 0]);
        assert!(cfg!(target_endian = "big") || parsed(&inverted).is_inverted);
        assert!(!parsed(&to_table(254)).is_inverted);
    }
}

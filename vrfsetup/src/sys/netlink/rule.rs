//! Rules to and from the kernel (RTM_NEWRULE, RTM_DELRULE, RTM_GETRULE).

use rtnetlink::packet_core::Nla;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::route::RouteProtocol;
use rtnetlink::packet_route::rule::{RuleAction, RuleAttribute, RuleFlags, RuleMessage};

use super::{Change, IfPresent, Kernel, KernelError};
use crate::model::family::Family;
use crate::model::rule::{Action, Rule, Selectors};

impl Kernel {
    /// All rules of a family in the order in which they are tried: `ip [-6] rule show`.
    ///
    /// # Errors
    /// The kernel's own.
    pub fn rules(&self, family: Family) -> Result<Vec<Rule>, KernelError> {
        let mut request = RuleMessage::default();
        request.header.family = family.into();
        self.dump(RouteNetlinkMessage::GetRule(request), |answer| match answer {
            RouteNetlinkMessage::NewRule(message) => from_message(&message, family),
            _ => None,
        })
    }
}

/// `ip rule add …`. A twin that only has another protocol does not hinder it: the kernel keeps both.
pub(super) fn add(rule: &Rule) -> Change {
    Change(RouteNetlinkMessage::NewRule(to_message(rule)), IfPresent::Duplicate)
}

/// `ip rule del …`. The kernel takes the first rule that matches, which of two twins is the older one; ENOENT if there
/// is none.
pub(super) fn delete(rule: &Rule) -> Change {
    Change(RouteNetlinkMessage::DelRule(to_message(rule)), IfPresent::Refuse)
}

fn to_message(rule: &Rule) -> RuleMessage {
    let mut message = RuleMessage::default();
    message.header.family = rule.family.into();
    // An l3mdev rule with a table, or a lookup without one, is EINVAL.
    message.header.table = u8::try_from(rule.table).unwrap_or(0);
    message.header.action = match rule.action {
        Action::Lookup => RuleAction::ToTable,
        Action::Goto(_) => RuleAction::Goto,
        Action::Nop => RuleAction::Nop,
        Action::Blackhole => RuleAction::Blackhole,
        Action::Unreachable => RuleAction::Unreachable,
        Action::Prohibit => RuleAction::Prohibit,
        Action::Other(action) => RuleAction::Other(action),
    };
    let attributes = &mut message.attributes;
    attributes.push(RuleAttribute::Priority(rule.priority));
    if rule.table > u32::from(u8::MAX) {
        attributes.push(RuleAttribute::Table(rule.table));
    }
    if let Action::Goto(target) = rule.action {
        attributes.push(RuleAttribute::Goto(target));
    }
    if rule.is_l3mdev {
        attributes.push(RuleAttribute::L3MDev(true));
    }
    attributes.extend(rule.protocol.map(|protocol| RuleAttribute::Protocol(RouteProtocol::from(protocol))));
    if let Some((address, length)) = rule.selectors.from {
        message.header.src_len = length;
        attributes.push(RuleAttribute::Source(address));
    }
    attributes.extend(rule.selectors.iif.clone().map(RuleAttribute::Iifname));
    attributes.extend(rule.selectors.oif.clone().map(RuleAttribute::Oifname));
    attributes.extend(rule.selectors.fwmark.map(RuleAttribute::FwMark));
    message
}

fn from_message(message: &RuleMessage, family: Family) -> Option<Rule> {
    if Family::try_from(message.header.family) != Ok(family) {
        return None;
    }
    let mut rule = Rule { protocol: None, ..Rule::lookup(family, 0, u32::from(message.header.table)) };
    let mut goto = 0;
    let selectors = &mut rule.selectors;
    selectors.is_inverted = message.header.flags.contains(RuleFlags::Invert);
    if message.header.tos != 0 {
        selectors.others.push(format!("tos {:#x}", message.header.tos));
    }
    for attribute in &message.attributes {
        match attribute {
            RuleAttribute::Priority(priority) => rule.priority = *priority,
            RuleAttribute::Table(table) => rule.table = *table,
            RuleAttribute::L3MDev(is_l3mdev) => rule.is_l3mdev = *is_l3mdev,
            RuleAttribute::Protocol(protocol) => rule.protocol = Some((*protocol).into()),
            RuleAttribute::Goto(target) => goto = *target,
            other => select(selectors, other, message),
        }
    }
    rule.action = match message.header.action {
        RuleAction::ToTable => Action::Lookup,
        RuleAction::Goto => Action::Goto(goto),
        RuleAction::Nop => Action::Nop,
        RuleAction::Blackhole => Action::Blackhole,
        RuleAction::Unreachable => Action::Unreachable,
        RuleAction::Prohibit => Action::Prohibit,
        other => Action::Other(other.into()),
    };
    Some(rule)
}

/// Anything unknown that is not zero counts as a selector: what cannot be read must not pass for "matches all".
fn select(selectors: &mut Selectors, attribute: &RuleAttribute, message: &RuleMessage) {
    let other = match attribute {
        RuleAttribute::Source(address) => {
            selectors.from = Some((*address, message.header.src_len));
            return;
        }
        RuleAttribute::Destination(address) => {
            selectors.to = Some((*address, message.header.dst_len));
            return;
        }
        RuleAttribute::Iifname(name) => {
            selectors.iif = Some(name.clone());
            return;
        }
        RuleAttribute::Oifname(name) => {
            selectors.oif = Some(name.clone());
            return;
        }
        // Always sent, with these values when nobody set them.
        RuleAttribute::SuppressPrefixLen(u32::MAX) | RuleAttribute::SuppressIfGroup(u32::MAX) => return,
        RuleAttribute::FwMask(u32::MAX) | RuleAttribute::FwMark(0) => return,
        RuleAttribute::FwMark(mark) => {
            selectors.fwmark = Some(*mark);
            return;
        }
        RuleAttribute::FwMask(mask) => format!("fwmask {mask:#x}"),
        RuleAttribute::SuppressPrefixLen(len) => format!("suppress_prefixlength {len}"),
        RuleAttribute::SuppressIfGroup(group) => format!("suppress_ifgroup {group}"),
        RuleAttribute::UidRange(range) => format!("uidrange {}-{}", range.start, range.end),
        RuleAttribute::IpProtocol(protocol) => format!("ipproto {}", u8::from(*protocol)),
        RuleAttribute::SourcePortRange(range) => format!("sport {}-{}", range.start, range.end),
        RuleAttribute::DestinationPortRange(range) => format!("dport {}-{}", range.start, range.end),
        RuleAttribute::TunId(id) => format!("tun_id {id}"),
        RuleAttribute::Realm(_) => return,
        RuleAttribute::Other(unknown) => {
            let mut value = vec![0; unknown.value_len()];
            unknown.emit_value(&mut value);
            if value.iter().all(|&byte| byte == 0) {
                return;
            }
            format!("attribute {}", unknown.kind())
        }
        other => format!("attribute {}", other.kind()),
    };
    selectors.others.push(other);
}

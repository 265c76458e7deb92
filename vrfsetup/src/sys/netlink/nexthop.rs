//! Nexthop objects to and from the kernel (RTM_NEWNEXTHOP, RTM_DELNEXTHOP, RTM_GETNEXTHOP; 5.3).

use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use vrfnl::{Attributes, address};

use super::raw::attribute;
use super::reply::Reply;
use super::{Kernel, KernelError};
use crate::model::nexthop::Nexthop;

const RTM_NEWNEXTHOP: u16 = 104;
const RTM_DELNEXTHOP: u16 = 105;
const RTM_GETNEXTHOP: u16 = 106;
const NHMSG: usize = 8;
const NHA_ID: u16 = 1;
const NHA_GROUP: u16 = 2;
const NHA_GROUP_TYPE: u16 = 3;
const NHA_BLACKHOLE: u16 = 4;
const NHA_OIF: u16 = 5;
const NHA_GATEWAY: u16 = 6;
const NHA_ENCAP_TYPE: u16 = 7;
const NHA_ENCAP: u16 = 8;
const NHA_FDB: u16 = 11;
const NHA_RES_GROUP: u16 = 12;
/// What makes an object again; the rest of a report is statistics.
const MAKING: [u16; 9] =
    [NHA_ID, NHA_GROUP, NHA_GROUP_TYPE, NHA_BLACKHOLE, NHA_OIF, NHA_GATEWAY, NHA_ENCAP_TYPE, NHA_ENCAP, NHA_FDB];
/// Of a resilient group: buckets, idle timer, unbalanced timer.
const MAKING_RESILIENT: std::ops::RangeInclusive<u16> = 1..=3;
const RTNH_F_ONLINK: u32 = 4;
const MEMBER: usize = 8;

impl Kernel {
    /// All nexthop objects: `ip nexthop show`. A kernel before 5.3 has none.
    ///
    /// # Errors
    /// The kernel's own.
    pub fn nexthops(&self) -> Result<Vec<Nexthop>, KernelError> {
        match self.list(RTM_GETNEXTHOP, &[0; NHMSG], answer) {
            Err(refusal) if refusal.errno == libc::EOPNOTSUPP => Ok(Vec::new()),
            other => other,
        }
    }

    pub(super) fn add_nexthop(&self, nexthop: &Nexthop) -> Result<(), KernelError> {
        let mut body = vec![nexthop.family, 0, nexthop.protocol, 0];
        body.extend(nexthop.flags.to_ne_bytes());
        body.extend(&nexthop.attributes);
        self.tell(RTM_NEWNEXTHOP, NLM_F_CREATE | NLM_F_EXCL, &body)
    }

    pub(super) fn delete_nexthop(&self, nexthop: &Nexthop) -> Result<(), KernelError> {
        let mut body = vec![0; NHMSG];
        body.extend(attribute(NHA_ID, &nexthop.id.to_ne_bytes()));
        self.tell(RTM_DELNEXTHOP, 0, &body)
    }
}

fn answer(reply: &Reply) -> Option<Nexthop> {
    let body = reply.body();
    let (fixed, attributes) = (body.get(..NHMSG)?, Attributes(body.get(NHMSG..)?));
    if reply.kind != RTM_NEWNEXTHOP {
        return None;
    }
    let members = attributes.find(NHA_GROUP).unwrap_or_default().chunks_exact(MEMBER);
    Some(Nexthop {
        id: attributes.find_u32(NHA_ID)?,
        family: fixed[0],
        protocol: fixed[2],
        flags: u32::from_ne_bytes(fixed[4..8].try_into().ok()?) & RTNH_F_ONLINK,
        oif: attributes.find_u32(NHA_OIF),
        members: members.filter_map(|member| Some(u32::from_ne_bytes(member.get(..4)?.try_into().ok()?))).collect(),
        attributes: attributes.flat_map(kept).collect(),
        text: text(attributes),
    })
}

fn kept((kind, value): (u16, &[u8])) -> Vec<u8> {
    const NESTED: u16 = libc::NLA_F_NESTED as u16;
    match kind {
        NHA_ENCAP => attribute(kind | NESTED, value),
        NHA_RES_GROUP => {
            let making = Attributes(value).filter(|(kind, _)| MAKING_RESILIENT.contains(kind));
            let making: Vec<u8> = making.flat_map(|(kind, value)| attribute(kind, value)).collect();
            attribute(kind | NESTED, &making)
        }
        kind if MAKING.contains(&kind) => attribute(kind, value),
        _ => Vec::new(),
    }
}

/// As ip(8) writes it, but for the name of the interface.
fn text(attributes: Attributes) -> String {
    let gateway = attributes.find(NHA_GATEWAY).and_then(address::whole);
    let group = attributes.find(NHA_GROUP).unwrap_or_default().chunks_exact(MEMBER);
    let group: Vec<String> =
        group.filter_map(|member| Some(u32::from_ne_bytes(member.get(..4)?.try_into().ok()?).to_string())).collect();
    match (gateway, group.is_empty()) {
        (Some(gateway), _) => format!("via {gateway}"),
        (None, false) => format!("group {}", group.join("/")),
        _ if attributes.find(NHA_BLACKHOLE).is_some() => "blackhole".to_owned(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_report_counts_is_not_asked_for_again() {
        const NHA_OP_FLAGS: u16 = 14;
        assert!(kept((NHA_OP_FLAGS, &[1, 0, 0, 0])).is_empty());
        let timers = [attribute(1, &[4, 0]), attribute(4, &[0; 8])].concat();
        assert_eq!(kept((NHA_RES_GROUP, &timers)).len(), 12);
    }
}

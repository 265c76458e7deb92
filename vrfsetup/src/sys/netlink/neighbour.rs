//! Permanent and `noarp` neighbours and proxies to and from the kernel (RTM_NEWNEIGH, RTM_DELNEIGH, RTM_GETNEIGH).

use std::net::IpAddr;

use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use vrfnl::{Attributes, address};

use super::raw::attribute;
use super::reply::Reply;
use super::{Kernel, KernelError};
use crate::model::device::Device;
use crate::model::neighbour::Neighbour;
use crate::sys::families;

const NDMSG: usize = 12;
const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;
const NDA_IFINDEX: u16 = 8;
const NDA_PROTOCOL: u16 = 12;
const NUD_NOARP: u16 = 0x40;
const NUD_PERMANENT: u16 = 0x80;
const NTF_PROXY: u8 = 1 << 3;
/// A routing daemon made it, and makes it again.
const NTF_EXT_LEARNED: u8 = 1 << 4;

impl Kernel {
    /// All permanent neighbours, those that are `noarp`, and all proxies: `ip neigh show nud permanent nud noarp` and
    /// `ip neigh show proxy`. Their devices have an index and no name yet.
    ///
    /// # Errors
    /// The kernel's own.
    pub fn neighbours(&self) -> Result<Vec<Neighbour>, KernelError> {
        let mut all = Vec::new();
        for family in families::available() {
            for flags in [0, NTF_PROXY] {
                let family = if family == crate::model::family::Family::V4 { libc::AF_INET } else { libc::AF_INET6 };
                let body = header(family as u8, 0, 0, flags);
                all.extend(self.list(libc::RTM_GETNEIGH, &body, answer)?);
            }
        }
        Ok(all)
    }

    /// Where a VXLAN sends what is for its inside, each with the index of the device that the packets around it leave by, 0
    /// for that of the VXLAN: `bridge fdb show dev NAME`.
    ///
    /// # Errors
    /// The kernel's own.
    pub fn far_ends(&self, vxlan: u32) -> Result<Vec<(IpAddr, u32)>, KernelError> {
        let body = header(libc::AF_BRIDGE as u8, vxlan, 0, 0);
        self.list(libc::RTM_GETNEIGH, &body, |reply| far_end(vxlan, reply.kind, reply.body()))
    }

    pub(super) fn add_neighbour(&self, neighbour: &Neighbour) -> Result<(), KernelError> {
        // One that the kernel has learned since must not stand in the way.
        self.tell(libc::RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, &body(neighbour))
    }

    pub(super) fn delete_neighbour(&self, neighbour: &Neighbour) -> Result<(), KernelError> {
        self.tell(libc::RTM_DELNEIGH, 0, &body(neighbour))
    }
}

fn header(family: u8, ifindex: u32, state: u16, flags: u8) -> Vec<u8> {
    let mut bytes = vec![family, 0, 0, 0];
    bytes.extend(ifindex.to_ne_bytes());
    bytes.extend(state.to_ne_bytes());
    bytes.extend([flags, 0]);
    bytes
}

fn body(neighbour: &Neighbour) -> Vec<u8> {
    let (family, address) = match neighbour.address {
        IpAddr::V4(address) => (libc::AF_INET, address.octets().to_vec()),
        IpAddr::V6(address) => (libc::AF_INET6, address.octets().to_vec()),
    };
    let state = if neighbour.is_noarp { NUD_NOARP } else { NUD_PERMANENT };
    let mut bytes = header(family as u8, neighbour.device.ifindex, state, neighbour.flags);
    bytes.extend(attribute(NDA_DST, &address));
    if !neighbour.is_proxy {
        bytes.extend(attribute(NDA_LLADDR, &neighbour.link_address));
    }
    bytes.extend(neighbour.protocol.into_iter().flat_map(|protocol| attribute(NDA_PROTOCOL, &[protocol])));
    bytes
}

fn answer(reply: &Reply) -> Option<Neighbour> {
    let body = reply.body();
    let (fixed, attributes) = (body.get(..NDMSG)?, Attributes(body.get(NDMSG..)?));
    let (state, flags) = (u16::from_ne_bytes([fixed[8], fixed[9]]), fixed[10]);
    let is_proxy = flags & NTF_PROXY != 0;
    let is_made = is_proxy || state & (NUD_PERMANENT | NUD_NOARP) != 0;
    if reply.kind != libc::RTM_NEWNEIGH || !is_made || flags & NTF_EXT_LEARNED != 0 {
        return None;
    }
    let address = attributes.find(NDA_DST).and_then(address::whole)?;
    let ifindex = u32::from_ne_bytes(fixed[4..8].try_into().ok()?);
    Some(Neighbour {
        device: Device { ifindex, name: String::new() },
        address,
        link_address: attributes.find(NDA_LLADDR).unwrap_or_default().to_vec(),
        is_proxy,
        is_noarp: !is_proxy && state & NUD_NOARP != 0,
        flags,
        protocol: attributes.find(NDA_PROTOCOL).and_then(|value| value.first().copied()).filter(|value| *value != 0),
    })
}

/// Before 4.12, and where the kernel looks at no index, it lists those of all devices.
fn far_end(vxlan: u32, kind: u16, body: &[u8]) -> Option<(IpAddr, u32)> {
    let (fixed, attributes) = (body.get(..NDMSG)?, Attributes(body.get(NDMSG..)?));
    let is_of_it = kind == libc::RTM_NEWNEIGH && fixed[4..8] == vxlan.to_ne_bytes();
    let address =
        attributes.find(NDA_DST).and_then(address::whole).filter(|address| is_of_it && !address.is_unspecified())?;
    Some((address, attributes.find_u32(NDA_IFINDEX).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vxlans_far_ends_are_its_own_alone() {
        let entry = |ifindex: u32, more: &[(u16, &[u8])]| {
            let more = more.iter().flat_map(|(kind, value)| attribute(*kind, value));
            [header(libc::AF_BRIDGE as u8, ifindex, NUD_PERMANENT, 2), more.collect()].concat()
        };
        let (far, via) = ([192, 0, 2, 80], 3u32.to_ne_bytes());
        let both = entry(9, &[(NDA_LLADDR, &[0; 6]), (NDA_DST, &far), (NDA_IFINDEX, &via)]);
        assert_eq!(far_end(9, libc::RTM_NEWNEIGH, &both), Some((far.into(), 3)));
        assert_eq!(far_end(8, libc::RTM_NEWNEIGH, &both), None);
        let plain = entry(9, &[(NDA_DST, &[7; 16])]);
        assert_eq!(far_end(9, libc::RTM_NEWNEIGH, &plain), Some(([7; 16].into(), 0)));
        // A bridge's entry leads to a port, and the one for anybody nowhere.
        assert_eq!(far_end(9, libc::RTM_NEWNEIGH, &entry(9, &[(NDA_LLADDR, &[0; 6])])), None);
        assert_eq!(far_end(9, libc::RTM_NEWNEIGH, &entry(9, &[(NDA_DST, &[0; 4])])), None);
    }
}

//! The device that a tunnel names for its outer packets, changed while the tunnel is there: `ip link change NAME type KIND
//! dev DEVICE`. The kernel resets what such a request leaves out, so that all is read, sent again and compared.

use std::net::IpAddr;

use rtnetlink::packet_core::{NLM_F_ACK, NLM_F_REQUEST};
use vrfnl::{Attributes, address};

use super::link::{IFINFOMSG, question_by_index};
use super::raw::attribute;
use super::{Kernel, KernelError, message};
use crate::model::device::Device;
use crate::model::flow::Flow;

/// The number of the device in a tunnel's own attributes: IFLA_GRE_LINK, IFLA_IPTUN_LINK, IFLA_VTI_LINK.
const LINK: u16 = 1;
/// IFLA_GRE_FWMARK, IFLA_IPTUN_FWMARK.
const FWMARK: u16 = 20;
/// IFLA_XFRM_IF_ID.
const IF_ID: u16 = 2;

/// Where in a kind's attributes stands what the outer packets are routed by; their ends by IPv4 and by IPv6 where these
/// differ.
struct Places {
    link: Option<u16>,
    local: &'static [u16],
    remote: &'static [u16],
    mark: Option<u16>,
}

/// IFLA_GRE_LOCAL, IFLA_GRE_REMOTE.
const GRE: Places = Places { link: Some(LINK), local: &[6], remote: &[7], mark: Some(FWMARK) };
/// IFLA_IPTUN_LOCAL, IFLA_IPTUN_REMOTE: IPIP, SIT and those around IPv6.
const IPTUN: Places = Places { link: Some(LINK), local: &[2], remote: &[3], mark: Some(FWMARK) };
/// IFLA_VTI_LOCAL, IFLA_VTI_REMOTE. Whatever device it names, it does not send by that; its mark is for policies.
const VTI: Places = Places { link: None, local: &[4], remote: &[5], mark: None };
/// IFLA_VXLAN_LINK, IFLA_VXLAN_LOCAL and LOCAL6, IFLA_VXLAN_GROUP and GROUP6, which is the far end where it is one.
const VXLAN: Places = Places { link: Some(3), local: &[4, 17], remote: &[2, 16], mark: None };
/// IFLA_GENEVE_REMOTE and REMOTE6. It names no end of its own.
const GENEVE: Places = Places { link: None, local: &[], remote: &[2, 7], mark: None };

/// A tunnel's attributes, as the kernel tells them and takes them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Tunnel {
    kind: Vec<u8>,
    mtu: Vec<u8>,
    data: Vec<(u16, Vec<u8>)>,
    /// Whether it has been moved here: its outer packets stay in the network namespace that it was made in.
    is_elsewhere: bool,
}

impl Kernel {
    /// The index of the device that a tunnel names; None for none.
    ///
    /// # Errors
    /// The kernel's own: ENODEV if there is no such tunnel.
    pub fn outside(&self, tunnel: &Device) -> Result<Option<u32>, KernelError> {
        self.tunnel(tunnel).map(|tunnel| tunnel.outside())
    }

    /// What the packets around a tunnel that names their ends are routed by; None where each of them has ends of its own.
    ///
    /// # Errors
    /// As [`Self::outside`].
    pub fn flow_around(&self, tunnel: &Device) -> Result<Option<Flow>, KernelError> {
        self.tunnel(tunnel).map(|tunnel| tunnel.flow())
    }

    /// The address that the packets around a tunnel are sent from, where it names one.
    ///
    /// # Errors
    /// As [`Self::outside`].
    pub fn own_end(&self, tunnel: &Device) -> Result<Option<IpAddr>, KernelError> {
        self.tunnel(tunnel).map(|tunnel| tunnel.end(tunnel.places().local))
    }

    /// The number of an xfrm interface, which its states have as well; None for what is no such interface.
    ///
    /// # Errors
    /// As [`Self::outside`].
    pub fn xfrm_number(&self, tunnel: &Device) -> Result<Option<u32>, KernelError> {
        self.tunnel(tunnel).map(|tunnel| tunnel.xfrm_number())
    }

    /// EEXIST where another tunnel has the same ends there, EINVAL where the kernel's own first tunnel (gre0, sit0) is meant,
    /// EXDEV where the outside is in another network namespace, whose devices the number would mean.
    pub(super) fn set_outside(&self, tunnel: &Device, to: Option<&Device>) -> Result<(), KernelError> {
        let before = self.tunnel(tunnel)?;
        if before.is_elsewhere {
            return Err(KernelError::from_errno(libc::EXDEV));
        }
        let wanted = before.outside_in(to.map_or(0, |to| to.ifindex));
        self.tell(libc::RTM_NEWLINK, 0, &wanted.request(tunnel))?;
        let refusal = match self.tunnel(tunnel) {
            Ok(now) if now == wanted => return Ok(()),
            Ok(_) => KernelError::from_errno(libc::EOPNOTSUPP),
            Err(refusal) => refusal,
        };
        // Not what was asked for, or nobody knows: what is refused is not made.
        self.tell(libc::RTM_NEWLINK, 0, &before.request(tunnel))?;
        Err(refusal)
    }

    fn tunnel(&self, tunnel: &Device) -> Result<Tunnel, KernelError> {
        let request = message(question_by_index(tunnel.ifindex), NLM_F_REQUEST | NLM_F_ACK);
        let found = self.exchange(request, &|reply| Tunnel::read(reply.body()))?;
        found.into_iter().next().ok_or(KernelError::from_errno(libc::ENODEV))
    }
}

impl Tunnel {
    fn read(body: &[u8]) -> Option<Self> {
        let attributes = Attributes(body.get(IFINFOMSG..)?);
        let info = Attributes(attributes.find(libc::IFLA_LINKINFO)?);
        let data = Attributes(info.find(libc::IFLA_INFO_DATA)?);
        Some(Self {
            kind: info.find(libc::IFLA_INFO_KIND)?.to_vec(),
            mtu: attributes.find(libc::IFLA_MTU)?.to_vec(),
            data: data.map(|(kind, value)| (kind, value.to_vec())).collect(),
            is_elsewhere: attributes.find(libc::IFLA_LINK_NETNSID).is_some(),
        })
    }

    fn outside(&self) -> Option<u32> {
        self.number(LINK).filter(|ifindex| *ifindex != 0)
    }

    fn flow(&self) -> Option<Flow> {
        let places = self.places();
        let oif = places.link.and_then(|kind| self.number(kind)).unwrap_or(0);
        let mark = places.mark.and_then(|kind| self.number(kind)).unwrap_or(0);
        let flow = |to| Flow { to, from: self.end(places.local), oif, mark };
        self.end(places.remote).filter(|_| !self.is_elsewhere).map(flow)
    }

    fn end(&self, kinds: &[u16]) -> Option<IpAddr> {
        let mut ends = kinds.iter().filter_map(|kind| self.value(*kind).and_then(address::whole));
        ends.find(|address| !address.is_unspecified())
    }

    fn places(&self) -> Places {
        match self.kind.split(|byte| *byte == 0).next().unwrap_or_default() {
            b"vti" | b"vti6" => VTI,
            b"vxlan" => VXLAN,
            b"geneve" => GENEVE,
            b"ipip" | b"sit" | b"ip6tnl" => IPTUN,
            _ => GRE,
        }
    }

    fn xfrm_number(&self) -> Option<u32> {
        self.kind.starts_with(b"xfrm").then(|| self.number(IF_ID))?
    }

    fn value(&self, wanted: u16) -> Option<&[u8]> {
        self.data.iter().find(|(kind, _)| *kind == wanted).map(|(_, value)| value.as_slice())
    }

    fn number(&self, wanted: u16) -> Option<u32> {
        self.value(wanted).and_then(|value| value.first_chunk()).map(|bytes| u32::from_ne_bytes(*bytes))
    }

    fn outside_in(&self, ifindex: u32) -> Self {
        let mut tunnel = self.clone();
        let links = tunnel.data.iter_mut().filter(|(kind, _)| *kind == LINK);
        links.for_each(|(_, value)| *value = ifindex.to_ne_bytes().to_vec());
        tunnel
    }

    /// With the MTU, which the kernel would otherwise take from the new device.
    fn request(&self, tunnel: &Device) -> Vec<u8> {
        let mut body = vec![0; IFINFOMSG];
        body[4..8].copy_from_slice(&tunnel.ifindex.to_ne_bytes());
        let data: Vec<u8> = self.data.iter().flat_map(|(kind, value)| attribute(*kind, value)).collect();
        let info = [attribute(libc::IFLA_INFO_KIND, &self.kind), attribute(libc::IFLA_INFO_DATA, &data)].concat();
        body.extend(attribute(libc::IFLA_MTU, &self.mtu));
        body.extend(attribute(libc::IFLA_LINKINFO, &info));
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packets_around_a_tunnel_are_known_by_its_ends() {
        let own = [198, 51, 100, 2].to_vec();
        let far = [192, 0, 2, 80].to_vec();
        let link = (LINK, vec![3, 0, 0, 0]);
        let tunnel = |kind: &[u8], [local, remote]: [u16; 2]| {
            let data = vec![link.clone(), (local, own.clone()), (remote, far.clone()), (FWMARK, vec![7, 0, 0, 0])];
            Tunnel { kind: kind.to_vec(), mtu: vec![], data, is_elsewhere: false }
        };
        let ends = (Some("198.51.100.2".parse().unwrap()), "192.0.2.80".parse().unwrap());
        let expected = Flow {
            from: ends.0,
            to: ends.1,
            oif: u32::from_ne_bytes([3, 0, 0, 0]),
            mark: u32::from_ne_bytes([7, 0, 0, 0]),
        };
        for (kind, places) in [
            (&b"gre\0"[..], [6, 7]),
            (b"ip6gretap\0", [6, 7]),
            (b"erspan\0", [6, 7]),
            (b"ipip\0", [2, 3]),
            (b"sit\0", [2, 3]),
        ] {
            assert_eq!(tunnel(kind, places).flow().as_ref(), Some(&expected), "{kind:?}");
        }
        assert_eq!(Tunnel { is_elsewhere: true, ..tunnel(b"gre\0", [6, 7]) }.flow(), None);
        // To whoever each packet is for.
        let mut any = tunnel(b"sit\0", [2, 3]);
        any.data[2].1 = vec![0; 4];
        assert_eq!(any.flow(), None);
        // VTI does not send by what it names, and a VXLAN has an attribute for each family.
        let unmarked = Flow { mark: 0, ..expected };
        assert_eq!(tunnel(b"vti\0", [4, 5]).flow(), Some(Flow { oif: 0, ..unmarked.clone() }));
        let mut vxlan = tunnel(b"vxlan\0", [4, 2]);
        vxlan.data[0].0 = 3;
        assert_eq!(vxlan.flow(), Some(unmarked));
        vxlan.data[1] = (17, vec![1; 16]);
        vxlan.data[2] = (16, vec![2; 16]);
        let six = |byte: u8| IpAddr::from([byte; 16]);
        assert_eq!(vxlan.flow().map(|flow| (flow.from, flow.to)), Some((Some(six(1)), six(2))));
        vxlan.kind = b"geneve\0".to_vec();
        vxlan.data = vec![(2, vec![0; 4]), (7, vec![2; 16])];
        assert_eq!(vxlan.flow(), Some(Flow { to: six(2), from: None, oif: 0, mark: 0 }));
        let xfrm = Tunnel { data: vec![link.clone(), (IF_ID, vec![7, 0, 0, 0])], ..tunnel(b"xfrm\0", [4, 5]) };
        assert_eq!((xfrm.flow(), xfrm.xfrm_number()), (None, Some(u32::from_ne_bytes([7, 0, 0, 0]))));
        assert_eq!(tunnel(b"ipip\0", [2, 3]).xfrm_number(), None);
    }

    #[test]
    fn all_but_the_device_is_sent_as_it_was_told() {
        let device = Device { ifindex: 7, name: "gre1".to_owned() };
        let data = vec![(LINK, vec![3, 0, 0, 0]), (6, vec![198, 51, 100, 2]), (18, vec![])];
        let tunnel = Tunnel { kind: b"gre\0".to_vec(), mtu: vec![0xc4, 5, 0, 0], data, is_elsewhere: false };
        assert_eq!(Tunnel::read(&tunnel.request(&device)), Some(tunnel.clone()));
        let moved = [tunnel.request(&device), attribute(libc::IFLA_LINK_NETNSID, &[0; 4])].concat();
        assert_eq!(Tunnel::read(&moved), Some(Tunnel { is_elsewhere: true, ..tunnel.clone() }));
        assert_eq!(tunnel.outside(), Some(u32::from_ne_bytes([3, 0, 0, 0])));
        let other = tunnel.outside_in(9);
        assert_eq!((other.outside(), &other.data[1..]), (Some(9), &tunnel.data[1..]));
        assert_eq!(tunnel.outside_in(0).outside(), None);
    }
}

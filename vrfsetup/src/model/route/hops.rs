//! Where a route leads: its gateway and interface, its several next hops, the nexthop object that it names.

use std::net::{IpAddr, Ipv6Addr};

use rtnetlink::packet_route::route::{RouteAttribute, RouteFlags, RouteNextHop, RouteNextHopFlags, RouteVia};

use super::{Route, ip};

/// One of several next hops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextHop {
    pub gateway: Option<IpAddr>,
    /// The index of the interface.
    pub ifindex: u32,
    /// How much of the packets it takes, from 1.
    pub weight: u16,
    /// Whether the gateway is taken to be on the interface's link, whatever the addresses there.
    pub is_onlink: bool,
}

impl Route {
    /// The number of the nexthop object that it leads to, where it does.
    pub fn nexthop(&self) -> Option<u32> {
        self.find(|attribute| match attribute {
            RouteAttribute::NhId(id) => Some(*id),
            _ => None,
        })
    }

    /// The next hop.
    pub fn gateway(&self) -> Option<IpAddr> {
        self.find(|attribute| match attribute {
            RouteAttribute::Gateway(address) => ip(address),
            _ => None,
        })
    }

    /// The next hop of an IPv4 route that is an IPv6 address (5.2).
    pub fn other_gateway(&self) -> Option<Ipv6Addr> {
        self.find(|attribute| match attribute {
            RouteAttribute::Via(RouteVia::Inet6(address)) => Some(*address),
            _ => None,
        })
    }

    /// Whether its only gateway is taken to be on the interface's link, whatever the addresses there.
    pub fn is_onlink(&self) -> bool {
        self.message.header.flags.contains(RouteFlags::Onlink)
    }

    /// The index of the interface that it leads to.
    pub fn oif(&self) -> Option<u32> {
        self.find(|attribute| match attribute {
            RouteAttribute::Oif(ifindex) => Some(*ifindex),
            _ => None,
        })
    }

    /// Whether it has several next hops.
    pub fn is_multipath(&self) -> bool {
        self.message.attributes.iter().any(|attribute| matches!(attribute, RouteAttribute::MultiPath(_)))
    }

    /// The indices of all interfaces that it leads to, each once.
    pub fn oifs(&self) -> Vec<u32> {
        let hops = self.find(|attribute| match attribute {
            RouteAttribute::MultiPath(hops) => Some(hops.iter().map(|hop| hop.interface_index).collect()),
            _ => None,
        });
        let mut oifs: Vec<u32> = hops.unwrap_or_else(|| self.oif().into_iter().collect());
        oifs.sort_unstable();
        oifs.dedup();
        oifs
    }

    /// Its several next hops; empty where it has one at most.
    pub fn next_hops(&self) -> Vec<NextHop> {
        let gateway = |attribute: &RouteAttribute| match attribute {
            RouteAttribute::Gateway(address) => ip(address),
            _ => None,
        };
        let next_hop = |hop: &RouteNextHop| NextHop {
            gateway: hop.attributes.iter().find_map(gateway),
            ifindex: hop.interface_index,
            weight: u16::from(hop.hops) + 1,
            is_onlink: hop.flags.contains(RouteNextHopFlags::Onlink),
        };
        let hops = self.find(|attribute| match attribute {
            RouteAttribute::MultiPath(hops) => Some(hops.iter().map(next_hop).collect()),
            _ => None,
        });
        hops.unwrap_or_default()
    }

    /// Whether it, or one of its several next hops, wraps packets in something (MPLS, a tunnel).
    pub fn wraps(&self) -> bool {
        self.message.attributes.iter().any(|attribute| matches!(attribute, RouteAttribute::Encap(_)))
            || self.has_wrapping_hop()
    }

    /// Whether one of its several next hops does.
    pub fn has_wrapping_hop(&self) -> bool {
        let wraps = |hop: &RouteNextHop| hop.attributes.iter().any(|part| matches!(part, RouteAttribute::Encap(_)));
        let any = |attribute: &RouteAttribute| match attribute {
            RouteAttribute::MultiPath(hops) => hops.iter().any(wraps),
            _ => false,
        };
        self.message.attributes.iter().any(any)
    }

    /// Leads it over the device that it names, if that is known by now.
    pub fn lead_over(&mut self, ifindex_of: impl Fn(&str) -> Option<u32>) {
        let ifindex = self.device.as_deref().and_then(ifindex_of);
        if let (None, Some(ifindex)) = (self.oif(), ifindex) {
            self.message.attributes.push(RouteAttribute::Oif(ifindex));
        }
    }

    /// Has a route that names a nexthop object only lead over the object's interfaces.
    pub fn lead_over_all(&mut self, oifs: &[u32]) {
        let hop = |oif: &u32| {
            let mut hop = RouteNextHop::default();
            hop.interface_index = *oif;
            hop
        };
        self.message.attributes.extend(match oifs {
            [] => None,
            [oif] => Some(RouteAttribute::Oif(*oif)),
            several => Some(RouteAttribute::MultiPath(several.iter().map(hop).collect())),
        });
    }
}

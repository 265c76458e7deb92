//! One route (`ip route`). The kernel's own message is kept whole, so that a route that moves between tables keeps
//! what this program has never heard of.

mod hops;
mod text;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rtnetlink::packet_core::{Emitable, Parseable};
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::model::family::Family;

pub use hops::NextHop;
pub use text::{destination_text, protocol_name};

/// The metric of the unreachable default that seals a VRF's table: behind every real default, as FRR and the
/// kernel's documentation have it.
pub const SEAL_METRIC: u32 = 4_278_198_272;

/// The metric of an IPv6 route that is given none (IP6_RT_PRIO_USER).
const USUAL_METRIC_OF_IPV6: u32 = 1024;

/// A route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The message as the kernel sent it, or takes it.
    pub message: RouteMessage,
    /// The name of the interface that it leads to, as far as it is one and known.
    pub device: Option<String>,
}

impl Route {
    /// `ip route add unreachable default table TABLE metric 4278198272 protocol kernel`: what the table lacks ends here.
    /// networkd removes routes of any other protocol that are not its own, as soon as it configures any interface.
    pub fn seal(family: Family, table: u32) -> Self {
        let mut message = RouteMessage::default();
        message.header.address_family = family.into();
        message.header.kind = RouteType::Unreachable;
        message.header.protocol = RouteProtocol::Kernel;
        message.header.scope = RouteScope::Universe;
        message.attributes.push(RouteAttribute::Priority(SEAL_METRIC));
        let mut route = Self { message, device: None };
        route.set_table(table);
        route
    }

    pub fn family(&self) -> Family {
        Family::try_from(self.message.header.address_family).unwrap_or(Family::V4)
    }

    /// The table that it is in.
    pub fn table(&self) -> u32 {
        self.find(|attribute| match attribute {
            RouteAttribute::Table(table) => Some(*table),
            _ => None,
        })
        .unwrap_or(u32::from(self.message.header.table))
    }

    /// Moves the value, not the kernel's route, to another table.
    pub fn set_table(&mut self, table: u32) {
        self.message.header.table = u8::try_from(table).unwrap_or(RouteHeader::RT_TABLE_UNSPEC);
        self.message.attributes.retain(|attribute| !matches!(attribute, RouteAttribute::Table(_)));
        self.message.attributes.push(RouteAttribute::Table(table));
    }

    /// The destination; None for a default route.
    pub fn destination(&self) -> Option<(IpAddr, u8)> {
        let address = self.find(|attribute| match attribute {
            RouteAttribute::Destination(address) => ip(address),
            _ => None,
        })?;
        Some((address, self.message.header.destination_prefix_length))
    }

    /// Whose packets alone it is for, by their source; None where it is for everybody's.
    pub fn only_from(&self) -> Option<(IpAddr, u8)> {
        let address = self.find(|attribute| match attribute {
            RouteAttribute::Source(address) => ip(address),
            _ => None,
        })?;
        Some((address, self.message.header.source_prefix_length))
    }

    /// Whether it matches every destination.
    pub fn is_default(&self) -> bool {
        self.message.header.destination_prefix_length == 0
    }

    /// Whether it leads somewhere, rather than refuse (unreachable, blackhole, prohibit).
    pub fn is_unicast(&self) -> bool {
        self.message.header.kind == RouteType::Unicast
    }

    /// Whether it is a default route for every packet: one with a TOS or a source is for those packets alone.
    pub fn is_for_all(&self) -> bool {
        let header = &self.message.header;
        self.is_default() && header.tos == 0 && header.source_prefix_length == 0
    }

    /// Whether it sends the lookup on to the next rule, as if the table had no route.
    pub fn is_throw(&self) -> bool {
        self.message.header.kind == RouteType::Throw
    }

    /// Whether it stops what the table lacks: an unreachable, prohibiting or black-holing default.
    pub fn is_seal(&self) -> bool {
        let stops = [RouteType::Unreachable, RouteType::Prohibit, RouteType::BlackHole];
        self.is_for_all() && stops.contains(&self.message.header.kind)
    }

    /// Whether it refuses: unreachable, blackhole, prohibit, or, as far as its table goes, throw.
    pub fn is_refusal(&self) -> bool {
        use RouteType::{BlackHole, Prohibit, Throw, Unreachable};
        matches!(self.message.header.kind, Unreachable | BlackHole | Prohibit | Throw)
    }

    /// Whether it says which packets are for this machine, as those of the local table do.
    pub fn is_for_this_machine(&self) -> bool {
        matches!(self.message.header.kind, RouteType::Local | RouteType::Broadcast | RouteType::Anycast)
    }

    /// Whether a DHCP client made it.
    pub fn is_by_dhcp(&self) -> bool {
        self.message.header.protocol == RouteProtocol::Dhcp
    }

    /// Whether nobody said who made it (`proto boot`).
    pub fn is_without_protocol(&self) -> bool {
        self.message.header.protocol == RouteProtocol::Boot
    }

    /// Whether a routing daemon made it (zebra, bird, bgp, ospf …), which makes and removes its routes itself.
    pub fn is_routing_daemons(&self) -> bool {
        is_protocol_of_routing_daemon(self.message.header.protocol.into())
    }

    /// Whether somebody configured it: neither the kernel nor a daemon made it, to make it again.
    pub fn is_configured(&self) -> bool {
        !self.is_kernels() && !self.is_advertised() && !self.is_by_dhcp() && !self.is_routing_daemons()
    }

    /// Whether it is a seal as this program makes it, or made it earlier.
    pub fn is_own_seal(&self) -> bool {
        self.is_seal() && self.is_unreachable() && self.metric() == Some(SEAL_METRIC)
    }

    /// Whether it is such a seal, and networkd would remove it.
    pub fn is_unguarded_seal(&self) -> bool {
        self.is_own_seal() && self.is_without_protocol()
    }

    /// Whether it answers EHOSTUNREACH.
    pub fn is_unreachable(&self) -> bool {
        self.message.header.kind == RouteType::Unreachable
    }

    /// Whether the kernel made it for an address, and makes and removes it with that.
    pub fn is_kernels(&self) -> bool {
        self.message.header.protocol == RouteProtocol::Kernel && !self.is_own_seal()
    }

    /// The address that packets get by it.
    pub fn source(&self) -> Option<IpAddr> {
        self.find(|attribute| match attribute {
            RouteAttribute::PrefSource(address) => ip(address),
            _ => None,
        })
    }

    /// Whether it came by a router advertisement, which the kernel asks for again when an interface comes up.
    pub fn is_advertised(&self) -> bool {
        self.message.header.protocol == RouteProtocol::Ra
    }

    /// Whether the kernel may refuse it (EINVAL) for a while: an IPv6 route with a source address, while that is being
    /// probed, as it is after its interface has been down.
    pub fn may_wait_for_its_source(&self) -> bool {
        self.family() == Family::V6 && self.source().is_some()
    }

    pub fn metric(&self) -> Option<u32> {
        self.find(|attribute| match attribute {
            RouteAttribute::Priority(metric) => Some(*metric),
            _ => None,
        })
    }

    /// The metric that the kernel has it by.
    pub fn metric_in_kernel(&self) -> u32 {
        self.metric().filter(|metric| *metric != 0).unwrap_or_else(|| usual_metric(self.family()))
    }

    /// The type by the name of `ip route`.
    pub fn type_name(&self) -> String {
        match self.message.header.kind {
            RouteType::Unicast => "unicast".to_owned(),
            RouteType::Local => "local".to_owned(),
            RouteType::Broadcast => "broadcast".to_owned(),
            RouteType::Anycast => "anycast".to_owned(),
            RouteType::Multicast => "multicast".to_owned(),
            RouteType::BlackHole => "blackhole".to_owned(),
            RouteType::Unreachable => "unreachable".to_owned(),
            RouteType::Prohibit => "prohibit".to_owned(),
            RouteType::Throw => "throw".to_owned(),
            other => u8::from(other).to_string(),
        }
    }

    /// The protocol by the name of `ip route`.
    pub fn protocol_name(&self) -> String {
        protocol_name(self.message.header.protocol)
    }

    fn find<T>(&self, wanted: impl Fn(&RouteAttribute) -> Option<T>) -> Option<T> {
        self.message.attributes.iter().find_map(wanted)
    }
}

/// The metric that the kernel gives a route without one; IPv6 takes 0 for none.
pub fn usual_metric(family: Family) -> u32 {
    if family == Family::V6 { USUAL_METRIC_OF_IPV6 } else { 0 }
}

/// Whether a routing daemon goes by this RTPROT_* (rt_protos of iproute2 and of FRR): gated, mrt to xorp, mrouted,
/// keepalived, babel, openr, and from bgp to FRR's own.
pub fn is_protocol_of_routing_daemon(protocol: u8) -> bool {
    matches!(protocol, 8 | 10..=15 | 17 | 18 | 42 | 99 | 186..=199)
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some(Ipv4Addr::into(*address)),
        RouteAddress::Inet6(address) => Some(Ipv6Addr::into(*address)),
        _ => None,
    }
}

impl Serialize for Route {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = vec![0; self.message.buffer_len()];
        self.message.emit(&mut bytes);
        (bytes, &self.device).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Route {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (bytes, device) = <(Vec<u8>, Option<String>)>::deserialize(deserializer)?;
        let message = RouteMessage::parse(&bytes).map_err(de::Error::custom)?;
        Ok(Self { message, device })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_reads_like_the_command_that_makes_it() {
        let seal = Route::seal(Family::V6, 1001);
        assert_eq!(seal.to_string(), "unreachable default table 1001 proto kernel metric 4278198272");
        assert!(seal.is_seal());
    }

    #[test]
    fn a_route_comes_back_unchanged_from_a_file() {
        for table in [10, 1001] {
            let seal = Route::seal(Family::V4, table);
            let text = serde_json::to_string(&seal).unwrap();
            assert_eq!(serde_json::from_str::<Route>(&text).unwrap(), seal);
            assert_eq!(seal.table(), table);
        }
    }
}

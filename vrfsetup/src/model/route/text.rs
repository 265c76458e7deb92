//! Routes as ip(8) writes them.

use std::fmt;
use std::net::IpAddr;

use rtnetlink::packet_route::route::RouteProtocol;

use super::{NextHop, Route};
use crate::model::rule::table_name;
use crate::model::shell;

/// The route as the arguments of `ip route add` and `ip route del`.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_unicast() {
            write!(f, "{} ", self.type_name())?;
        }
        f.write_str(&destination_text(self))?;
        if let Some((source, len)) = self.only_from() {
            write!(f, " from {source}/{len}")?;
        }
        if self.message.header.tos != 0 {
            write!(f, " tos {:#04x}", self.message.header.tos)?;
        }
        if let Some(gateway) = self.gateway() {
            write!(f, " via {gateway}")?;
        }
        if let Some(gateway) = self.other_gateway() {
            write!(f, " via inet6 {gateway}")?;
        }
        if let Some(device) = &self.device {
            write!(f, " dev {}", shell::word(device))?;
        }
        write!(f, " table {}", table_name(self.table()))?;
        if self.message.header.protocol != RouteProtocol::Boot {
            write!(f, " proto {}", self.protocol_name())?;
        }
        if let Some(source) = self.source() {
            write!(f, " src {source}")?;
        }
        if let Some(metric) = self.metric() {
            write!(f, " metric {metric}")?;
        }
        self.next_hops().iter().try_for_each(|hop| write!(f, " {hop}"))
    }
}

/// As an argument of `ip route`, which finds the interface by the gateway.
impl fmt::Display for NextHop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nexthop")?;
        if let Some(gateway) = self.gateway {
            write!(f, " via {gateway}")?;
        }
        if self.weight > 1 { write!(f, " weight {}", self.weight) } else { Ok(()) }
    }
}

/// A protocol by the name that iproute2 gives it.
pub fn protocol_name(protocol: RouteProtocol) -> String {
    match protocol {
        RouteProtocol::Unspec => "unspec".to_owned(),
        RouteProtocol::IcmpRedirect => "redirect".to_owned(),
        RouteProtocol::Kernel => "kernel".to_owned(),
        RouteProtocol::Boot => "boot".to_owned(),
        RouteProtocol::Static => "static".to_owned(),
        RouteProtocol::Ra => "ra".to_owned(),
        RouteProtocol::Dhcp => "dhcp".to_owned(),
        RouteProtocol::Zebra => "zebra".to_owned(),
        RouteProtocol::Bird => "bird".to_owned(),
        RouteProtocol::Bgp => "bgp".to_owned(),
        RouteProtocol::Isis => "isis".to_owned(),
        RouteProtocol::Ospf => "ospf".to_owned(),
        RouteProtocol::Rip => "rip".to_owned(),
        other => u8::from(other).to_string(),
    }
}

/// The destination in the words of `ip -j route`.
pub fn destination_text(route: &Route) -> String {
    match route.destination() {
        _ if route.is_default() => "default".to_owned(),
        Some((address, len)) if len == full_length(address) => address.to_string(),
        Some((address, len)) => format!("{address}/{len}"),
        None => "default".to_owned(),
    }
}

fn full_length(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

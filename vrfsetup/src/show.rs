//! `vrfsetup show`: the VRFs with their tables, ports, addresses and routes. Key names are those of `ip -j`.

use std::fmt::{self, Write};

use serde::Serialize;

use crate::address::{Address, FOREVER};
use crate::error::Error;
use crate::family::Family;
use crate::kernel::Kernel;
use crate::link::Link;
use crate::route::{Route, destination_text};
use crate::system::System;

/// One VRF.
#[derive(Debug, Serialize)]
pub struct Vrf {
    ifindex: u32,
    ifname: String,
    flags: Vec<&'static str>,
    mtu: u32,
    operstate: &'static str,
    table: u32,
    addr_info: Vec<AddrInfo>,
    ports: Vec<Port>,
    routes: Vec<RouteInfo>,
}

/// One port of a VRF.
#[derive(Debug, Serialize)]
pub struct Port {
    ifindex: u32,
    ifname: String,
    flags: Vec<&'static str>,
    mtu: u32,
    master: String,
    operstate: &'static str,
    addr_info: Vec<AddrInfo>,
}

/// One address, as in `ip -j addr`.
#[derive(Debug, Serialize)]
pub struct AddrInfo {
    family: Family,
    local: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    prefixlen: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    broadcast: Option<String>,
    scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    valid_life_time: u32,
    preferred_life_time: u32,
}

/// One route, as in `ip -j route`.
#[derive(Debug, Serialize)]
pub struct RouteInfo {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    dst: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dev: Option<String>,
    protocol: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    metric: Option<u32>,
    family: Family,
}

/// All VRFs, or the one of this name.
///
/// # Errors
/// There is no such VRF, or the kernel will not say.
pub fn show(kernel: &Kernel, name: Option<&str>) -> Result<Vec<Vrf>, Error> {
    let system = System::read(kernel)?;
    let links: Vec<&Link> = match name {
        None => system.vrfs().collect(),
        Some(name) => vec![system.existing_vrf(name)?],
    };
    let mut routes = Vec::new();
    if !links.is_empty() {
        for family in Family::available() {
            let table = if name.is_some() { links[0].table } else { None };
            routes.extend(kernel.routes(family, table).map_err(Error::unreadable(format!("the {family} routes")))?);
        }
    }
    Ok(links.into_iter().map(|link| vrf(&system, &routes, link)).collect())
}

fn vrf(system: &System, routes: &[Route], link: &Link) -> Vrf {
    let table = link.table.unwrap_or_default();
    Vrf {
        ifindex: link.ifindex,
        ifname: link.name.clone(),
        flags: link.flag_names(),
        mtu: link.mtu,
        operstate: link.operstate_name(),
        table,
        addr_info: addr_info(system, link),
        ports: system.ports(link).map(|port| self::port(system, link, port)).collect(),
        routes: routes.iter().filter(|route| is_shown(route, table)).map(|route| route_info(system, route)).collect(),
    }
}

/// `ip route show` leaves the kernel's local, broadcast and multicast routes out, too.
fn is_shown(route: &Route, table: u32) -> bool {
    route.table() == table && !["local", "broadcast", "anycast", "multicast"].contains(&route.type_name().as_str())
}

fn port(system: &System, vrf: &Link, link: &Link) -> Port {
    Port {
        ifindex: link.ifindex,
        ifname: link.name.clone(),
        flags: link.flag_names(),
        mtu: link.mtu,
        master: vrf.name.clone(),
        operstate: link.operstate_name(),
        addr_info: addr_info(system, link),
    }
}

fn addr_info(system: &System, link: &Link) -> Vec<AddrInfo> {
    let info = |address: &Address| AddrInfo {
        family: address.family(),
        local: address.local.to_string(),
        address: address.peer.map(|peer| peer.to_string()),
        prefixlen: address.prefix_len,
        broadcast: address.broadcast.map(|broadcast| broadcast.to_string()),
        scope: address.scope_name(),
        label: address.label.clone(),
        valid_life_time: address.lifetimes.0,
        preferred_life_time: address.lifetimes.1,
    };
    system.addresses_of(link.ifindex).map(info).collect()
}

fn route_info(system: &System, route: &Route) -> RouteInfo {
    RouteInfo {
        kind: (!route.is_unicast()).then(|| route.type_name()),
        dst: destination_text(route),
        gateway: route.gateway().map(|gateway| gateway.to_string()),
        dev: route.oif().and_then(|oif| system.link_by_index(oif)).map(|link| link.name.clone()),
        protocol: route.protocol_name(),
        metric: route.metric(),
        family: route.family(),
    }
}

/// The VRF as a tree.
impl fmt::Display for Vrf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.flags.contains(&"UP") { "up" } else { "down" };
        writeln!(f, "{} (table {}, {state}){}", self.ifname, self.table, listed(&self.addr_info))?;
        for port in &self.ports {
            let state = port.operstate.to_lowercase();
            writeln!(f, "  port {} ({state}){}", port.ifname, listed(&port.addr_info))?;
        }
        for route in &self.routes {
            writeln!(f, "  route {route}")?;
        }
        Ok(())
    }
}

fn listed(addresses: &[AddrInfo]) -> String {
    let mut text = String::new();
    for AddrInfo { local, prefixlen, valid_life_time, .. } in addresses {
        let _ = write!(text, " {local}/{prefixlen}");
        if *valid_life_time != FOREVER {
            let _ = write!(text, " ({valid_life_time} s)");
        }
    }
    text
}

impl fmt::Display for RouteInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(kind) = &self.kind {
            write!(f, "{kind} ")?;
        }
        f.write_str(&self.dst)?;
        if self.dst == "default" && self.family == Family::V6 {
            f.write_str(" (ipv6)")?;
        }
        if let Some(gateway) = &self.gateway {
            write!(f, " via {gateway}")?;
        }
        if let Some(dev) = &self.dev {
            write!(f, " dev {dev}")?;
        }
        match self.metric {
            Some(metric) => write!(f, " metric {metric}"),
            None => Ok(()),
        }
    }
}

//! What belongs to each VRF, put into the shape in which it is shown.

use super::Snapshot;
use super::shape::{AddrInfo, NextHop, Port, RouteInfo, RuleInfo, SocketInfo, Vrf};
use crate::inspect::membership::By;
use crate::inspect::processes::Process;
use crate::model::address::Address;
use crate::model::link::Link;
use crate::model::route::{Route, destination_text};
use crate::model::rule::{Action, Rule, table_name};
use crate::plan::emulate::{self, Emulated};
use crate::plan::system::System;
use crate::sys::sock_diag::Connection;

impl Vrf {
    /// Puts together what belongs to a VRF.
    pub(super) fn new(snapshot: &Snapshot, link: &Link) -> Self {
        let Snapshot { inventory, sysctls, .. } = snapshot;
        let system = &inventory.system;
        let table = link.table.unwrap_or_default();
        let routes = inventory.table(table);
        let processes: Vec<Process> = snapshot.processes.iter().filter(|p| p.vrf == link.name).cloned().collect();
        Self {
            ifindex: link.ifindex,
            ifname: link.name.clone(),
            flags: link.flag_names(),
            is_up: link.is_up(),
            mtu: link.mtu,
            operstate: link.operstate_name(),
            table,
            emulated: false,
            addr_info: addr_info(system, link),
            ports: system.ports(link).map(|port| Port::new(system, link, port)).collect(),
            routes: routes.filter(|route| is_shown(route)).map(RouteInfo::new).collect(),
            rules: inventory.rules.iter().filter(|rule| concerns(rule, &link.name)).map(RuleInfo::new).collect(),
            tunnels: snapshot.tunnels.get(&link.name).into_iter().flatten().cloned().collect(),
            sysctls: sysctls.iter().cloned().collect(),
            sockets: snapshot.sockets.as_ref().map(|_| sockets(snapshot, link, &processes)),
            processes,
        }
    }

    /// The same of an emulated one, of which its port is the device.
    pub(super) fn emulated(snapshot: &Snapshot, emulated: &Emulated) -> Self {
        let Emulated { name, table, port } = *emulated;
        let Snapshot { inventory, .. } = snapshot;
        let device = Link { name: name.to_owned(), table: Some(table), ..port.clone() };
        let rules = inventory.rules.iter().filter(|rule| emulate::belongs(rule, name, table));
        Self {
            emulated: true,
            addr_info: Vec::new(),
            ports: vec![Port::new(&inventory.system, &device, port)],
            rules: rules.map(RuleInfo::new).collect(),
            ..Self::new(snapshot, &device)
        }
    }
}

impl Vrf {
    pub fn name(&self) -> &str {
        &self.ifname
    }

    pub fn processes(&self) -> &[Process] {
        &self.processes
    }

    /// The sockets of its processes that are outside it, if sockets were asked for.
    pub fn stray_sockets(&self) -> impl Iterator<Item = &SocketInfo> {
        self.sockets.iter().flatten().filter(|socket| socket.stray)
    }
}

impl Port {
    fn new(system: &System, vrf: &Link, link: &Link) -> Self {
        Self {
            ifindex: link.ifindex,
            ifname: link.name.clone(),
            flags: link.flag_names(),
            mtu: link.mtu,
            master: vrf.name.clone(),
            operstate: link.operstate_name(),
            addr_info: addr_info(system, link),
        }
    }
}

impl RouteInfo {
    fn new(route: &Route) -> Self {
        let next_hop = |hop: &crate::model::route::NextHop| {
            Some(NextHop { gateway: hop.gateway?.to_string(), weight: hop.weight })
        };
        Self {
            kind: (!route.is_unicast()).then(|| route.type_name()),
            dst: destination_text(route),
            is_default: route.is_default() || route.destination().is_none(),
            gateway: route.gateway().map(|gateway| gateway.to_string()),
            dev: route.device.clone(),
            protocol: route.protocol_name(),
            prefsrc: route.source().map(|source| source.to_string()),
            metric: route.metric(),
            nexthops: route.next_hops().iter().filter_map(next_hop).collect(),
            family: route.family(),
        }
    }
}

impl RuleInfo {
    fn new(rule: &Rule) -> Self {
        Self {
            priority: rule.priority,
            src: rule.selectors.from.map_or_else(|| "all".to_owned(), |(address, _)| address.to_string()),
            iif: rule.selectors.iif.clone(),
            oif: rule.selectors.oif.clone(),
            l3mdev: rule.is_l3mdev,
            table: (!rule.is_l3mdev && rule.action == Action::Lookup).then(|| table_name(rule.table)),
            action: (rule.action == Action::Unreachable).then_some("unreachable"),
            family: rule.family,
        }
    }
}

/// `ip route show` leaves the kernel's local, broadcast and multicast routes out, too.
fn is_shown(route: &Route) -> bool {
    !["local", "broadcast", "anycast", "multicast"].contains(&route.type_name().as_str())
}

/// The l3mdev rules, and those of old kernels that name the device.
fn concerns(rule: &Rule, name: &str) -> bool {
    rule.is_l3mdev || [&rule.selectors.iif, &rule.selectors.oif].into_iter().flatten().any(|device| device == name)
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

fn sockets(snapshot: &Snapshot, vrf: &Link, processes: &[Process]) -> Vec<SocketInfo> {
    let mut found = Vec::new();
    for socket in snapshot.sockets.iter().flat_map(|sockets| &sockets.all) {
        let owners = snapshot.sockets.as_ref().and_then(|sockets| sockets.owners.get(&u64::from(socket.inode)));
        for process in processes.iter().filter(|process| owners.is_some_and(|pids| pids.contains(&process.pid))) {
            let bound = snapshot.inventory.system.link_by_index(socket.bound);
            let own_vrf = bound.and_then(|link| snapshot.inventory.system.vrf_of(link));
            found.push(SocketInfo {
                pid: process.pid,
                command: process.command.clone(),
                protocol: socket.protocol_name(),
                state: socket.state_name(),
                local: end(socket.local),
                peer: end(socket.peer),
                dev: bound.map(|link| link.name.clone()),
                stray: socket.bound != vrf.ifindex
                    && own_vrf.is_none_or(|own| own.ifindex != vrf.ifindex)
                    && !is_the_way_in(process, socket),
            });
        }
    }
    found
}

/// The connection over which a login came was there before the login was put into the VRF.
fn is_the_way_in(process: &Process, socket: &Connection) -> bool {
    process.mechanism == By::Session && process.command.starts_with("sshd") && socket.state_name() == "ESTAB"
}

fn end((address, port): (std::net::IpAddr, u16)) -> String {
    std::net::SocketAddr::new(address, port).to_string()
}

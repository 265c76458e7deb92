//! The VRFs as trees, for people.

use std::fmt;

use super::Vrf;
use super::shape::{AddrInfo, RouteInfo, RuleInfo, SocketInfo};
use crate::model::address::FOREVER;
use crate::model::family::Family;

impl fmt::Display for Vrf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.is_up { "up" } else { "down" };
        let how = if self.emulated { "emulated, " } else { "" };
        writeln!(f, "{} ({how}table {}, {state}){}", self.ifname, self.table, listed(&self.addr_info))?;
        if self.emulated {
            writeln!(
                f,
                "  unlike a VRF: unbound sockets receive from its port, and its addresses are the machine's, too"
            )?;
        }
        for port in &self.ports {
            writeln!(f, "  port {} ({}){}", port.ifname, port.operstate.to_lowercase(), listed(&port.addr_info))?;
        }
        self.routes.iter().try_for_each(|route| writeln!(f, "  route {route}"))?;
        self.rules.iter().try_for_each(|rule| writeln!(f, "  rule {rule}"))?;
        self.tunnels.iter().try_for_each(|tunnel| writeln!(f, "  tunnel {tunnel} (its outside)"))?;
        self.sysctls.iter().try_for_each(|(name, value)| writeln!(f, "  sysctl {name} = {value}"))?;
        for process in &self.processes {
            writeln!(f, "  process {} {} ({})", process.pid, process.command, by(process))?;
        }
        self.sockets.iter().flatten().try_for_each(|socket| writeln!(f, "  socket {socket}"))
    }
}

fn by(process: &crate::inspect::processes::Process) -> &'static str {
    use crate::inspect::membership::By;
    match process.mechanism {
        By::Bpf => "bpf",
        By::Preload => "preload",
        By::Seccomp => "seccomp",
        By::IpVrfExec => "ip vrf exec",
        By::Systemd => "systemd",
        By::Session => "session",
        By::OciHook => "oci-hook",
        By::User => "user",
    }
}

fn listed(addresses: &[AddrInfo]) -> String {
    let one = |AddrInfo { local, prefixlen, valid_life_time, .. }: &AddrInfo| match *valid_life_time {
        FOREVER => format!(" {local}/{prefixlen}"),
        seconds => format!(" {local}/{prefixlen} ({seconds} s)"),
    };
    addresses.iter().map(one).collect()
}

impl fmt::Display for RouteInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(kind) = &self.kind {
            write!(f, "{kind} ")?;
        }
        f.write_str(&self.dst)?;
        if self.is_default && self.family == Family::V6 {
            f.write_str(" (ipv6)")?;
        }
        if let Some(gateway) = &self.gateway {
            write!(f, " via {gateway}")?;
        }
        if let Some(dev) = &self.dev {
            write!(f, " dev {dev}")?;
        }
        if let Some(metric) = self.metric {
            write!(f, " metric {metric}")?;
        }
        self.nexthops.iter().try_for_each(|hop| write!(f, " nexthop via {} weight {}", hop.gateway, hop.weight))
    }
}

impl fmt::Display for RuleInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}:", self.family, self.priority)?;
        if self.src != "all" {
            write!(f, " from {}", self.src)?;
        }
        for (word, device) in [("iif", &self.iif), ("oif", &self.oif)] {
            device.iter().try_for_each(|device| write!(f, " {word} {device}"))?;
        }
        if self.l3mdev {
            f.write_str(" l3mdev")?;
        }
        if let Some(table) = &self.table {
            write!(f, " lookup {table}")?;
        }
        self.action.iter().try_for_each(|action| write!(f, " {action}"))
    }
}

impl fmt::Display for SocketInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pid, command, protocol, state, local, peer, dev, stray } = self;
        write!(f, "{pid} {command}: {protocol} {state} {local} {peer}")?;
        dev.iter().try_for_each(|dev| write!(f, " dev {dev}"))?;
        if *stray { f.write_str(" OUTSIDE the VRF") } else { Ok(()) }
    }
}

//! One change of the kernel's state, with its inverse.
//!
//! A step is a plain value: plans are lists of steps, a dry run prints them, a transaction makes them, and a rollback
//! makes their inverses, now or, from a file, by another process later.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::model::address::Address;
use crate::model::device::Device;
use crate::model::neighbour::Neighbour;
use crate::model::nexthop::Nexthop;
use crate::model::nft::{TUNNELS, ZONES};
use crate::model::place::Place;
use crate::model::route::Route;
use crate::model::rule::Rule;
use crate::model::shell;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// `ip rule add`.
    AddRule(Rule),
    /// `ip rule del`.
    DeleteRule(Rule),
    /// Both: puts a rule that is there behind the others of its preference, at no instant without it; so does its inverse.
    MoveRule(Rule),
    /// `ip link add NAME type vrf table TABLE`.
    AddVrf(Device, u32),
    /// `ip link del NAME`.
    DeleteVrf(Device, u32),
    /// `ip link property add dev NAME altname ALTNAME` (5.5).
    AddAltname(Device, String),
    /// `ip link property del dev NAME altname ALTNAME`.
    DeleteAltname(Device, String),
    /// `ip link set NAME up`.
    SetUp(Device),
    /// `ip link set NAME down`.
    SetDown(Device),
    /// `ip link set NAME master VRF`.
    Enslave(Device, Device),
    /// `ip link set NAME nomaster`, from this master.
    Release(Device, Device),
    /// `ip addr add`.
    AddAddress(Address),
    /// `ip addr del`.
    DeleteAddress(Address),
    /// `ip addr change`: other flags, without a moment between.
    ReplaceAddress {
        /// The old address.
        from: Box<Address>,
        /// The new one.
        to: Box<Address>,
    },
    /// `ip neigh add`.
    AddNeighbour(Neighbour),
    /// `ip neigh del`.
    DeleteNeighbour(Neighbour),
    /// `ip nexthop add`.
    AddNexthop(Nexthop),
    /// `ip nexthop del`, with which the kernel drops the routes that name it.
    DeleteNexthop(Nexthop),
    /// `ip route add`.
    AddRoute(Route),
    /// `ip route del`.
    DeleteRoute(Route),
    /// `ip route replace`: another way to the same destination, without a moment between.
    ReplaceRoute {
        /// The old route.
        from: Route,
        /// The new route.
        to: Route,
    },
    /// `sysctl -w`: the file below /proc/sys, what it holds, and what it is to hold.
    SetSysctl {
        /// `net/ipv4/ip_forward`.
        key: String,
        /// The old value.
        from: String,
        /// The new value.
        to: String,
    },
    /// Gives a small file another content; None is no file.
    WriteFile {
        /// Where it is.
        path: PathBuf,
        /// The old content.
        from: Option<String>,
        /// The new content.
        to: Option<String>,
    },
    /// `nft -f`: the table of the conntrack zones as a whole, in one transaction of the kernel; None is no table.
    SetZones {
        /// The old table, as nft lists it.
        from: Option<String>,
        /// The new one.
        to: Option<String>,
    },
    /// The same for the table by which tunnels receive in their VRFs.
    SetTunnels {
        /// The old table, as nft lists it.
        from: Option<String>,
        /// The new one.
        to: Option<String>,
    },
    /// `wg set NAME fwmark MARK`: the mark of a WireGuard tunnel's outer packets.
    SetFwmark {
        device: Device,
        /// The old mark, 0 for none.
        from: u32,
        /// The new one.
        to: u32,
    },
    /// `ip link change NAME type KIND dev DEVICE`: the device of a tunnel's outer packets; None is no device, which ip(8)
    /// cannot say.
    SetOutside {
        device: Device,
        /// The kind of tunnel.
        kind: String,
        /// The old device.
        from: Option<Device>,
        /// The new one.
        to: Option<Device>,
    },
    /// `vrfsetup user`: binds a user's sockets to a VRF; None is no VRF.
    SetUser {
        /// The user's number.
        uid: u32,
        /// The VRF before.
        from: Option<Place>,
        /// The VRF from now on.
        to: Option<Place>,
    },
}

impl Step {
    /// Gives the devices that the kernel has made since the step was planned their indices.
    pub fn bind(&mut self, made: &HashMap<String, u32>) {
        let bind = |device: &mut Device| {
            if device.ifindex == 0 {
                device.ifindex = made.get(&device.name).copied().unwrap_or(0);
            }
        };
        match self {
            Self::SetUp(device) | Self::SetDown(device) => bind(device),
            Self::Enslave(port, vrf) | Self::Release(port, vrf) => {
                bind(port);
                bind(vrf);
            }
            Self::AddAddress(address) | Self::DeleteAddress(address) => bind(&mut address.device),
            Self::AddRoute(route) | Self::DeleteRoute(route) => route.lead_over(|name| made.get(name).copied()),
            Self::ReplaceRoute { to, .. } => to.lead_over(|name| made.get(name).copied()),
            Self::SetOutside { to: Some(to), .. } => bind(to),
            _ => {}
        }
    }

    /// Whether it may be sent together with these, and so be made although one of them is refused: until the rollback,
    /// one address or route too many does no harm. A device that has yet to be made has no index to give it.
    pub fn may_follow(&self, earlier: &[Self]) -> bool {
        let names_device = match self {
            Self::AddAddress(_) => true,
            Self::AddRoute(route) if !route.may_wait_for_its_source() => route.device.is_some(),
            _ => return false,
        };
        earlier.iter().all(|step| match step {
            Self::AddVrf(..) => !names_device,
            step => !step.is_made_alone(),
        })
    }

    /// What the step makes of a list of rules: the kernel puts a new one behind those of the same preference, and
    /// deletes the first that is the same.
    pub fn apply_to_rules(&self, rules: &mut Vec<Rule>) {
        match self {
            Self::AddRule(rule) => {
                let at = rules.iter().position(|other| other.priority > rule.priority).unwrap_or(rules.len());
                rules.insert(at, rule.clone());
            }
            Self::DeleteRule(rule) => {
                let at = rules.iter().position(|other| other == rule);
                at.map(|at| rules.remove(at));
            }
            Self::MoveRule(rule) => {
                let steps = [Self::AddRule(rule.clone()), Self::DeleteRule(rule.clone())];
                steps.iter().for_each(|step| step.apply_to_rules(rules));
            }
            _ => {}
        }
    }

    /// Whether it cannot be sent together with others: it is no request of routing netlink, or may have to be sent
    /// again.
    pub fn is_made_alone(&self) -> bool {
        match self {
            Self::SetSysctl { .. } | Self::WriteFile { .. } | Self::MoveRule(_) => true,
            Self::SetZones { .. } | Self::SetUser { .. } | Self::SetTunnels { .. } | Self::SetFwmark { .. } => true,
            Self::AddAltname(..) | Self::DeleteAltname(..) | Self::SetOutside { .. } => true,
            Self::AddNeighbour(_) | Self::DeleteNeighbour(_) | Self::AddNexthop(_) | Self::DeleteNexthop(_) => true,
            Self::AddRoute(route) => route.may_wait_for_its_source(),
            _ => false,
        }
    }

    /// Whether it needs a kernel that has VRFs.
    pub fn makes_vrf(&self) -> bool {
        matches!(self, Self::AddVrf(..))
    }

    /// The step that undoes this one.
    pub fn inverse(self) -> Self {
        match self {
            Self::AddRule(rule) => Self::DeleteRule(rule),
            Self::DeleteRule(rule) => Self::AddRule(rule),
            Self::MoveRule(rule) => Self::MoveRule(rule),
            Self::AddVrf(device, table) => Self::DeleteVrf(device, table),
            Self::DeleteVrf(device, table) => Self::AddVrf(device, table),
            Self::AddAltname(device, name) => Self::DeleteAltname(device, name),
            Self::DeleteAltname(device, name) => Self::AddAltname(device, name),
            Self::SetUp(device) => Self::SetDown(device),
            Self::SetDown(device) => Self::SetUp(device),
            Self::Enslave(port, vrf) => Self::Release(port, vrf),
            Self::Release(port, vrf) => Self::Enslave(port, vrf),
            Self::AddAddress(address) => Self::DeleteAddress(address),
            Self::DeleteAddress(address) => Self::AddAddress(address),
            Self::ReplaceAddress { from, to } => Self::ReplaceAddress { from: to, to: from },
            Self::AddNeighbour(neighbour) => Self::DeleteNeighbour(neighbour),
            Self::DeleteNeighbour(neighbour) => Self::AddNeighbour(neighbour),
            Self::AddNexthop(nexthop) => Self::DeleteNexthop(nexthop),
            Self::DeleteNexthop(nexthop) => Self::AddNexthop(nexthop),
            Self::AddRoute(route) => Self::DeleteRoute(route),
            Self::DeleteRoute(route) => Self::AddRoute(route),
            Self::ReplaceRoute { from, to } => Self::ReplaceRoute { from: to, to: from },
            Self::SetSysctl { key, from, to } => Self::SetSysctl { key, from: to, to: from },
            Self::WriteFile { path, from, to } => Self::WriteFile { path, from: to, to: from },
            Self::SetZones { from, to } => Self::SetZones { from: to, to: from },
            Self::SetTunnels { from, to } => Self::SetTunnels { from: to, to: from },
            Self::SetFwmark { device, from, to } => Self::SetFwmark { device, from: to, to: from },
            Self::SetOutside { device, kind, from, to } => Self::SetOutside { device, kind, from: to, to: from },
            Self::SetUser { uid, from, to } => Self::SetUser { uid, from: to, to: from },
        }
    }
}

/// The step as the command, of ip(8) where there is one, that would do the same.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddRule(rule) => write!(f, "ip {}rule add {}", rule.family.ip_flag(), rule.arguments()),
            Self::DeleteRule(rule) => write!(f, "ip {}rule del {}", rule.family.ip_flag(), rule.arguments()),
            Self::MoveRule(rule) => write!(f, "{} && {}", Self::DeleteRule(rule.clone()), Self::AddRule(rule.clone())),
            Self::AddVrf(device, table) => write!(f, "ip link add {} type vrf table {table}", device.word()),
            Self::DeleteVrf(device, _) => write!(f, "ip link del {}", device.word()),
            Self::AddAltname(device, name) => {
                write!(f, "ip link property add dev {} altname {}", device.word(), shell::word(name))
            }
            Self::DeleteAltname(device, name) => {
                write!(f, "ip link property del dev {} altname {}", device.word(), shell::word(name))
            }
            Self::SetUp(device) => write!(f, "ip link set {} up", device.word()),
            Self::SetDown(device) => write!(f, "ip link set {} down", device.word()),
            Self::Enslave(port, vrf) => write!(f, "ip link set {} master {}", port.word(), vrf.word()),
            Self::Release(port, _) => write!(f, "ip link set {} nomaster", port.word()),
            Self::AddAddress(address) => write!(f, "ip addr add {}", address.arguments()),
            Self::DeleteAddress(address) => write!(f, "ip addr del {}", address.arguments()),
            Self::ReplaceAddress { to, .. } => write!(f, "ip addr change {}", to.arguments()),
            Self::AddNeighbour(neighbour) => write!(f, "ip neigh add {neighbour}"),
            Self::DeleteNeighbour(neighbour) => write!(f, "ip neigh del {neighbour}"),
            Self::AddNexthop(nexthop) => write!(f, "ip nexthop add {nexthop}"),
            Self::DeleteNexthop(nexthop) => write!(f, "ip nexthop del id {}", nexthop.id),
            Self::AddRoute(route) => write!(f, "ip {}route add {route}", route.family().ip_flag()),
            Self::DeleteRoute(route) => write!(f, "ip {}route del {route}", route.family().ip_flag()),
            Self::ReplaceRoute { to, .. } => write!(f, "ip {}route replace {to}", to.family().ip_flag()),
            Self::SetSysctl { key, to, .. } => write!(f, "sysctl -w {}", shell::word(&format!("{key}={to}"))),
            Self::WriteFile { path, to: Some(text), .. } => {
                write!(f, "printf '{}' > {}", shell::printed(text), shell::word(&path.to_string_lossy()))
            }
            Self::WriteFile { path, to: None, .. } => write!(f, "rm {}", shell::word(&path.to_string_lossy())),
            Self::SetZones { to, .. } => f.write_str(&ZONES.command(to.as_deref())),
            Self::SetTunnels { to, .. } => f.write_str(&TUNNELS.command(to.as_deref())),
            Self::SetFwmark { device, to, .. } => write!(f, "wg set {} fwmark {to:#x}", device.word()),
            Self::SetOutside { device, kind, to: Some(to), .. } => {
                write!(f, "ip link change {} type {kind} dev {}", device.word(), to.word())
            }
            Self::SetOutside { device, to: None, .. } => {
                write!(f, "# {} names no device for its outside any more", device.word())
            }
            Self::SetUser { uid, to: Some(place), .. } if place.is_nowhere() => {
                write!(f, "# user {uid} is closed: all its sockets fail")
            }
            Self::SetUser { uid, to: Some(place), .. } => write!(f, "vrfsetup user {uid} {place}"),
            Self::SetUser { uid, to: None, .. } => write!(f, "vrfsetup user --remove {uid}"),
        }
    }
}

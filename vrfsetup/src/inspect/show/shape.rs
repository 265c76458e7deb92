//! The shape of what is shown. Key names are those of `ip -j`.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::inspect::processes::Process;
use crate::model::family::Family;

/// One VRF.
#[derive(Debug, Serialize)]
pub struct Vrf {
    pub(super) ifindex: u32,
    pub(super) ifname: String,
    pub(super) flags: Vec<&'static str>,
    #[serde(skip)]
    pub(super) is_up: bool,
    pub(super) mtu: u32,
    pub(super) operstate: &'static str,
    pub(super) table: u32,
    /// Its one port is all that there is of it.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) emulated: bool,
    pub(super) addr_info: Vec<AddrInfo>,
    pub(super) ports: Vec<Port>,
    pub(super) routes: Vec<RouteInfo>,
    pub(super) rules: Vec<RuleInfo>,
    /// Tunnels whose outside is, or is to be, in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) tunnels: Vec<String>,
    pub(super) sysctls: BTreeMap<&'static str, String>,
    pub(super) processes: Vec<Process>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sockets: Option<Vec<SocketInfo>>,
}

/// One port of a VRF.
#[derive(Debug, Serialize)]
pub struct Port {
    pub(super) ifindex: u32,
    pub(super) ifname: String,
    pub(super) flags: Vec<&'static str>,
    pub(super) mtu: u32,
    pub(super) master: String,
    pub(super) operstate: &'static str,
    pub(super) addr_info: Vec<AddrInfo>,
}

/// One address, as in `ip -j addr`.
#[derive(Debug, Serialize)]
pub struct AddrInfo {
    pub(super) family: Family,
    pub(super) local: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) address: Option<String>,
    pub(super) prefixlen: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) broadcast: Option<String>,
    pub(super) scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) label: Option<String>,
    pub(super) valid_life_time: u32,
    pub(super) preferred_life_time: u32,
}

/// One route, as in `ip -j route`.
#[derive(Debug, Serialize)]
pub struct RouteInfo {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<String>,
    pub(super) dst: String,
    #[serde(skip)]
    pub(super) is_default: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) gateway: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) dev: Option<String>,
    pub(super) protocol: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) prefsrc: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) metric: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) nexthops: Vec<NextHop>,
    pub(super) family: Family,
}

/// One of a route's several next hops.
#[derive(Debug, Serialize)]
pub struct NextHop {
    pub(super) gateway: String,
    pub(super) weight: u16,
}

/// One rule that the VRF's packets meet, as in `ip -j rule`.
#[derive(Debug, Serialize)]
pub struct RuleInfo {
    pub(super) priority: u32,
    pub(super) src: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) iif: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) oif: Option<String>,
    #[serde(skip_serializing_if = "is_false", serialize_with = "null")]
    pub(super) l3mdev: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) table: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) action: Option<&'static str>,
    pub(super) family: Family,
}

/// One socket of a process in the VRF.
#[derive(Clone, Debug, Serialize)]
pub struct SocketInfo {
    /// The process.
    pub pid: u32,
    /// Its name.
    pub command: String,
    /// `tcp`, `udp` or `raw`.
    pub protocol: String,
    /// As `ss` calls it.
    pub state: &'static str,
    /// This machine's end.
    pub local: String,
    /// The other end.
    pub peer: String,
    /// The interface that it is bound to, if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dev: Option<String>,
    /// Whether it is outside the VRF that the process is in, and should not be.
    pub stray: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the signature is serde's
fn is_false(value: &bool) -> bool {
    !value
}

/// `ip -j rule` says `"l3mdev": null` where it applies.
#[allow(clippy::trivially_copy_pass_by_ref)] // the signature is serde's
fn null<S: Serializer>(_: &bool, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_none()
}

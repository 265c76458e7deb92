//! The default domain's routes that are declared: those into a VRF alone. Others are neither exported nor pruned, and
//! `[default]` is no place for them.

use super::config::{Config, Vrf};
use crate::model::link::Link;
use crate::model::route::Route;
use crate::plan::system::System;

/// Whether a route leads over a VRF or a port, one that is there or one that is declared. Where it names no interface
/// the kernel decides.
pub(super) fn leads_into_vrf(system: &System, config: &Config, route: &Route) -> bool {
    let Some(name) = &route.device else { return true };
    let is_port = |vrf: &Vrf| vrf.ports.iter().any(|port| port.get_ref() == name);
    let master = |link: &Link| link.master.and_then(|master| system.link_by_index(master));
    let is_there = |link: &Link| link.is_vrf() || master(link).is_some_and(Link::is_vrf);
    config.vrf.iter().any(|(vrf, declared)| vrf == name || is_port(declared)) || system.link(name).is_some_and(is_there)
}

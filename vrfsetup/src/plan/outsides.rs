//! Tunnels that name a device for their outer packets (GRE, ERSPAN, IPIP, SIT and those around IPv6; VXLAN and xfrm,
//! which keep the device that they were made with): which VRF that is in, and the steps by which it is the one that is wanted.
//!
//! The kernel alone knows where such a tunnel is. What is remembered is where it is to be, so that it follows a VRF that is
//! made again.

use std::collections::{BTreeSet, HashMap};

use crate::model::device::Device;
use crate::model::link::{Link, changes_its_outside};
use crate::model::step::Step;
use crate::model::tunnel::{Named, Tunnel};
use crate::plan::memory::Memory;
use crate::plan::system::System;
use crate::plan::zones::Members;

/// Whether it names a device for its outside that can be changed while it is there. One that was made in another network
/// namespace takes the number of a device for one of those there.
pub fn is_changed(link: &Link) -> bool {
    !link.is_of_elsewhere && link.kind.as_deref().is_some_and(changes_its_outside)
}

/// The tunnels that name a VRF or a port of one, each with what it names and with the VRF.
pub fn all(system: &System) -> impl Iterator<Item = (&Link, &Link, &Link)> {
    system.links.iter().filter(|link| link.has_outside_below()).filter_map(|link| {
        let below = system.link_by_index(link.lower?)?;
        Some((link, below, system.vrf_of(below)?))
    })
}

/// The tunnels whose outside is, or is to be, in a VRF: their names, by the VRF's. Found once for all VRFs, of which there may
/// be thousands.
pub fn by_vrf(system: &System, memory: &Memory) -> HashMap<String, BTreeSet<String>> {
    let there = all(system).map(|(link, _, vrf)| (vrf.name.clone(), link.name.clone()));
    let expected = memory.tunnels.iter().map(|(name, tunnel)| (tunnel.vrf.clone(), name.clone()));
    let mut by_vrf: HashMap<String, BTreeSet<String>> = HashMap::new();
    for (vrf, tunnel) in there.chain(expected) {
        by_vrf.entry(vrf).or_default().insert(tunnel);
    }
    by_vrf
}

/// The tunnels that would send by the default domain, or nowhere, without this VRF and with these ports of it in the default
/// domain; and a VXLAN, which goes with the VRF that it names.
pub fn without<'a>(system: &'a System, vrf: &'a Link, ports: &'a [&Link]) -> impl Iterator<Item = &'a Link> {
    let is_left = |below: &Link| {
        let is_it = |port: &&Link| port.ifindex == below.ifindex || Some(port.ifindex) == below.master;
        ports.iter().any(is_it)
    };
    let of_vrf = all(system).filter(|(_, _, of)| of.ifindex == vrf.ifindex);
    of_vrf.filter(move |(_, below, _)| below.is_vrf() || is_left(below)).map(|(link, ..)| link)
}

/// Whether what its outside is sent by is gone, though it still names it.
pub fn is_lost(system: &System, link: &Link) -> bool {
    link.names_its_outside() && link.lower.is_some_and(|lower| system.link_by_index(lower).is_none())
}

/// Whether the kernel then takes any other way: around IPv6, and for xfrm.
pub fn falls_back(link: &Link) -> bool {
    const AROUND_IPV6: [&str; 5] = ["ip6gre", "ip6gretap", "ip6tnl", "ip6erspan", "xfrm"];
    link.kind.as_deref().is_some_and(|kind| AROUND_IPV6.contains(&kind))
}

/// What was expected as if it were WireGuard's, before anybody could know of what kind it is, and names a device: this
/// tunnel as it is to be, where it has to be remembered.
pub fn as_it_came(system: &System, name: &str, tunnel: &Tunnel) -> Option<Option<Tunnel>> {
    let link = changed(system, name).filter(|_| tunnel.named.is_none())?;
    Some(wanted(system, None, link, &tunnel.vrf))
}

/// The tunnel as it is to be in this VRF; None where it names the VRF and nobody has to remember anything.
pub fn wanted(system: &System, known: Option<&Tunnel>, link: &Link, vrf: &str) -> Option<Tunnel> {
    let below = link.lower.and_then(|lower| system.link_by_index(lower));
    let known = known.and_then(|known| known.named.as_ref());
    if known.is_none() && below.is_some_and(|below| below.is_vrf() && below.name == vrf) {
        return None;
    }
    let own = below.filter(|below| system.vrf_of(below).is_none()).map(Link::device);
    let was = own.or_else(|| known.and_then(|known| known.was.clone()));
    Some(Tunnel { vrf: vrf.to_owned(), mark: 0, was: 0, named: Some(Named { was }) })
}

/// The step by which a tunnel names its VRF; none while there is no such VRF.
pub fn step_into(system: &System, members: &Members, name: &str, tunnel: &Tunnel) -> Option<Step> {
    let link = tunnel.named.as_ref().and_then(|_| changed(system, name))?;
    members.tables.get(&tunnel.vrf)?;
    let there = system.link(&tunnel.vrf).filter(|vrf| vrf.is_vrf()).map(Link::device);
    step(system, link, Some(there.unwrap_or_else(|| Device { ifindex: 0, name: tunnel.vrf.clone() })))
}

/// The step by which a tunnel is in the default domain again: it names what it named, if that is still there and not in a
/// VRF. One that somebody has put there himself stays as it is.
pub fn step_back(system: &System, name: &str, tunnel: Option<&Tunnel>) -> Option<Step> {
    let link = changed(system, name)?;
    let below = link.lower.and_then(|lower| system.link_by_index(lower));
    if link.lower.is_none() || below.is_some_and(|below| system.vrf_of(below).is_none()) {
        return None;
    }
    let was = tunnel.and_then(|tunnel| tunnel.named.as_ref()?.was.as_ref());
    let was = was.and_then(|was| known_again(system, was)).filter(|was| system.vrf_of(was).is_none());
    step(system, link, was.map(Link::device))
}

/// A device that was made again has another number, and one that was renamed, another name: the name counts first, for the
/// kernel may give a number that is free to anything.
fn known_again<'a>(system: &'a System, was: &Device) -> Option<&'a Link> {
    system.link(&was.name).or_else(|| system.link_by_index(was.ifindex))
}

fn changed<'a>(system: &'a System, name: &str) -> Option<&'a Link> {
    system.link(name).filter(|link| link.name == name && is_changed(link))
}

fn step(system: &System, link: &Link, to: Option<Device>) -> Option<Step> {
    let name =
        |lower: u32| system.link_by_index(lower).map_or_else(|| format!("if{lower}"), |below| below.name.clone());
    let from = link.lower.map(|lower| Device { ifindex: lower, name: name(lower) });
    let kind = link.kind.clone().unwrap_or_default();
    (from != to).then(|| Step::SetOutside { device: link.device(), kind, from, to })
}

#[cfg(test)]
mod tests;

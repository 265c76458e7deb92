//! What stands between a command and the connection it was typed over.
//!
//! sudo clears SSH_CONNECTION, so the kernel is asked instead: an established TCP connection, or a connected UDP socket,
//! whose other end is on another machine and that uses an address of the interface, or leaves by it, is somebody's
//! session.

use std::net::IpAddr;

use crate::error::Error;
use crate::model::family::Family;
use crate::model::link::Link;
use crate::model::prefix::contains;
use crate::model::route::Route;
use crate::model::rule::{Action, TABLE_LOCAL};
use crate::model::step::Step;
use crate::plan::port::Move;
use crate::plan::system::System;
use crate::sys::netlink::Kernel;
use crate::sys::sock_diag::{self, Connection};
use crate::transaction::path::{Hop, Paths};
use crate::transaction::session::Session;

/// Refuses a change that would cut off an established connection from another machine.
///
/// # Errors
/// There is one, or the kernel will not say.
pub fn refuse_if_in_use(kernel: &Kernel, system: &System, links: &[&Link]) -> Result<(), Error> {
    if links.is_empty() {
        return Ok(());
    }
    let (all, mut paths) = (connections()?, Paths::new(kernel, system));
    for connection in all.iter().filter(|connection| !is_to_itself(system, connection, &all)) {
        let user = links.iter().find(|link| is_of(system, link, connection));
        if let Some(link) = user.copied().or_else(|| way_out(&mut paths, links, connection)) {
            return Err(Error::InUse { device: link.name.clone(), connection: connection.clone() });
        }
    }
    Ok(())
}

/// Refuses a move that takes the default domain's default route along, or brings one.
///
/// # Errors
/// There is one.
pub fn refuse_default_route(moved: &Move, link: &Link) -> Result<(), Error> {
    match &moved.default_route {
        Some(route) => Err(Error::DefaultRoute { device: link.name.clone(), route: route.to_string() }),
        None => Ok(()),
    }
}

/// Refuses steps by which an established connection from another machine would lose its route, or its address.
///
/// # Errors
/// There is one, or the kernel will not say.
pub fn refuse_if_cut(session: &Session, system: &System, steps: &[Step]) -> Result<(), Error> {
    let is_harmless = |step: &Step| lost_route(step).is_none() && !moves_local(step) && !seals_any(step);
    if session.takes_risks() || steps.iter().all(is_harmless) {
        return Ok(());
    }
    let (all, mut paths) = (connections()?, Paths::new(session.kernel, system));
    for connection in &all {
        let by_rule = steps.iter().any(moves_local).then(|| by_local_rule(system, connection)).flatten();
        let is_to_itself = is_to_itself(system, connection, &all);
        let by_way = || if is_to_itself { None } else { by_changed_way(&mut paths, system, connection, steps) };
        if let Some(link) = by_rule.or_else(by_way) {
            return Err(Error::InUse { device: link.name.clone(), connection: connection.clone() });
        }
    }
    Ok(())
}

/// The route that is no longer there after this step.
fn lost_route(step: &Step) -> Option<&Route> {
    match step {
        Step::DeleteRoute(route) | Step::ReplaceRoute { from: route, .. } => Some(route),
        _ => None,
    }
}

fn seals_any(step: &Step) -> bool {
    match step {
        Step::AddRule(rule) => rule.is_l3mdev && rule.action == Action::Unreachable,
        Step::AddRoute(route) => route.is_seal(),
        _ => false,
    }
}

/// Whether the step ends what falls through from the VRF's table into the default domain.
fn seals(step: &Step, vrf: &Link, family: Family) -> bool {
    seals_any(step)
        && match step {
            Step::AddRule(rule) => rule.family == family,
            Step::AddRoute(route) => route.family() == family && Some(route.table()) == vrf.table,
            _ => false,
        }
}

/// Whether the local table comes before or behind the VRFs' by this.
fn moves_local(step: &Step) -> bool {
    match step {
        Step::AddRule(rule) => rule.table == TABLE_LOCAL && !rule.is_l3mdev,
        Step::DeleteRule(rule) => rule.is_l3mdev && rule.action != Action::Unreachable,
        _ => false,
    }
}

/// The VRF of a connection of which one end is a local address in another domain: who is asked first, the VRF's table or
/// the local one, decides what becomes of its packets.
fn by_local_rule<'a>(system: &'a System, connection: &Connection) -> Option<&'a Link> {
    let vrf = system.vrf_of(system.link_by_index(connection.bound)?)?;
    let is_in_vrf = |address: IpAddr| {
        let mut links = std::iter::once(vrf).chain(system.ports(vrf));
        links.any(|link| has_address(system, link, address))
    };
    let is_elsewhere = |address: IpAddr| system.is_own(address) && !is_in_vrf(address);
    (is_elsewhere(connection.local.0) || is_elsewhere(connection.peer.0)).then_some(vrf)
}

/// The interface by which the connection's packets, or those of a tunnel around them, leave, if by a route that goes; or
/// their VRF, if they leave by falling through.
fn by_changed_way<'a>(
    paths: &mut Paths<'a>,
    system: &'a System,
    connection: &Connection,
    steps: &[Step],
) -> Option<&'a Link> {
    paths.of(connection).iter().find_map(|hop| by_changed_hop(system, hop, steps))
}

fn by_changed_hop<'a>(system: &'a System, Hop { flow, route: taken, .. }: &Hop, steps: &[Step]) -> Option<&'a Link> {
    let peer = flow.to;
    let vrf = system.link_by_index(flow.oif).and_then(|bound| system.vrf_of(bound));
    let falls_through = |vrf: &&Link| vrf.table != Some(taken.table());
    let is_sealed = |vrf: &&Link| steps.iter().any(|step| seals(step, vrf, peer.into()));
    if let Some(vrf) = vrf.filter(falls_through).filter(is_sealed) {
        return Some(vrf);
    }
    let any = if peer.is_ipv4() { ([0; 4].into(), 0) } else { ([0u8; 16].into(), 0) };
    let is_it = |route: &Route| {
        let leads_there = route.oif() == taken.oif() && route.gateway() == taken.gateway();
        leads_there && contains(route.destination().unwrap_or(any), peer)
    };
    steps.iter().filter_map(lost_route).find(|route| is_it(route))?;
    system.link_by_index(taken.oif()?)
}

/// The VRF that a connection is in; None in the default domain.
fn domain<'a>(system: &'a System, connection: &Connection) -> Option<&'a Link> {
    system.vrf_of(system.link_by_index(connection.bound)?)
}

/// Whether both ends are this machine's. Another machine may have an address that this one has in another VRF.
fn is_to_itself(system: &System, connection: &Connection, all: &[Connection]) -> bool {
    let peer = connection.peer.0;
    let is_of_domain = |link: &Link| system.vrf_of(link).map(|vrf| vrf.ifindex);
    let own = domain(system, connection).map(|vrf| vrf.ifindex);
    let is_own = |link: &&Link| is_of_domain(link) == own && has_address(system, link, peer);
    let is_other_end = |other: &Connection| (other.local, other.peer) == (connection.peer, connection.local);
    peer.is_loopback()
        || system.links.iter().any(|link| is_own(&link))
        || (system.is_own(peer) && all.iter().any(is_other_end))
}

/// Whether the connection's address is this interface's, rather than the same one of an interface in another VRF. Of an
/// unbound connection nobody knows by which of them it came.
fn is_of(system: &System, link: &Link, connection: &Connection) -> bool {
    let local = connection.local.0;
    let own = domain(system, connection).map(|vrf| vrf.ifindex);
    let is_in_domain = |link: &Link| system.vrf_of(link).map(|vrf| vrf.ifindex) == own;
    let mut others = system.links.iter().filter(|other| is_in_domain(other));
    let mut is_elsewhere = || own.is_some() && others.any(|other| has_address(system, other, local));
    has_address(system, link, local) && (is_in_domain(link) || !is_elsewhere())
}

fn connections() -> Result<Vec<Connection>, Error> {
    sock_diag::established().map_err(Error::unreadable("the established connections"))
}

fn has_address(system: &System, link: &Link, address: IpAddr) -> bool {
    system.addresses_of(link.ifindex).any(|own| own.local == address)
}

/// The one of these interfaces by which the connection's packets leave, or those of a tunnel around them.
fn way_out<'a>(paths: &mut Paths, links: &[&'a Link], connection: &Connection) -> Option<&'a Link> {
    let path = paths.of(connection);
    let taken = |link: &&&Link| path.iter().flat_map(|hop| &hop.links).any(|taken| taken.ifindex == link.ifindex);
    links.iter().find(taken).copied()
}

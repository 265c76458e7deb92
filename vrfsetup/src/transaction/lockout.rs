//! What stands between a command and the connection it was typed over.
//!
//! sudo clears SSH_CONNECTION, so the kernel is asked instead: an established TCP connection, or a connected UDP socket,
//! whose other end is on another machine and that uses an address of the interface, or leaves by it, is somebody's
//! session.

use std::net::IpAddr;

use crate::error::Error;
use crate::model::link::Link;
use crate::model::prefix::contains;
use crate::model::route::Route;
use crate::model::rule::TABLE_LOCAL;
use crate::model::step::Step;
use crate::plan::port::Move;
use crate::plan::system::System;
use crate::sys::netlink::Kernel;
use crate::sys::sock_diag::{self, Connection};
use crate::transaction::session::Session;

/// Refuses a change that would cut off an established connection from another machine.
///
/// # Errors
/// There is one, or the kernel will not say.
pub fn refuse_if_in_use(kernel: &Kernel, system: &System, links: &[&Link]) -> Result<(), Error> {
    if links.is_empty() {
        return Ok(());
    }
    for connection in connections()?.into_iter().filter(|connection| !system.is_own(connection.peer.0)) {
        let user = links.iter().find(|link| has_address(system, link, connection.local.0));
        if let Some(link) = user.copied().or_else(|| way_out(kernel, links, &connection)) {
            return Err(Error::InUse { device: link.name.clone(), connection });
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
    let is_harmless = !steps.iter().any(|step| lost_route(step).is_some() || moves_local(step));
    if session.takes_risks() || is_harmless {
        return Ok(());
    }
    for connection in connections()? {
        let by_rule = steps.iter().any(moves_local).then(|| by_local_rule(system, &connection)).flatten();
        let by_route = || by_lost_route(session.kernel, system, &connection, steps);
        if let Some(link) = by_rule.or_else(by_route) {
            return Err(Error::InUse { device: link.name.clone(), connection });
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

fn moves_local(step: &Step) -> bool {
    matches!(step, Step::AddRule(rule) if rule.table == TABLE_LOCAL && !rule.is_l3mdev)
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

/// The interface by which the connection's packets leave, if by a route that goes.
fn by_lost_route<'a>(kernel: &Kernel, system: &'a System, connection: &Connection, steps: &[Step]) -> Option<&'a Link> {
    let (peer, local) = (connection.peer.0, connection.local.0);
    if system.is_own(peer) {
        return None;
    }
    let taken = kernel.route_to(peer, Some(local), connection.bound).ok()?;
    let any = if peer.is_ipv4() { ([0; 4].into(), 0) } else { ([0u8; 16].into(), 0) };
    let is_it = |route: &Route| {
        let leads_there = route.oif() == taken.oif() && route.gateway() == taken.gateway();
        leads_there && contains(route.destination().unwrap_or(any), peer)
    };
    steps.iter().filter_map(lost_route).find(|route| is_it(route))?;
    system.link_by_index(taken.oif()?)
}

fn connections() -> Result<Vec<Connection>, Error> {
    sock_diag::established().map_err(Error::unreadable("the established connections"))
}

fn has_address(system: &System, link: &Link, address: IpAddr) -> bool {
    system.addresses_of(link.ifindex).any(|own| own.local == address)
}

/// The one of these interfaces by which the connection's packets leave.
fn way_out<'a>(kernel: &Kernel, links: &[&'a Link], connection: &Connection) -> Option<&'a Link> {
    let (peer, local) = (connection.peer.0, connection.local.0);
    let oif = kernel.route_to(peer, Some(local), connection.bound).ok()?.oif()?;
    links.iter().find(|link| link.ifindex == oif).copied()
}

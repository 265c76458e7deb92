//! What stands between a command and the connection it was typed over.
//!
//! sudo clears SSH_CONNECTION, so the kernel is asked instead: an established TCP connection from another machine that
//! uses an address of the interface, or leaves by it, is somebody's session.

use std::net::IpAddr;

use crate::error::Error;
use crate::kernel::{Kernel, Refusal};
use crate::link::Link;
use crate::port::Move;
use crate::socket::{self, Connection};
use crate::system::System;

/// Refuses a change that would cut off an established connection from another machine.
///
/// # Errors
/// There is one, or the kernel will not say.
pub fn refuse_if_in_use(kernel: &Kernel, system: &System, links: &[&Link]) -> Result<(), Error> {
    if links.is_empty() {
        return Ok(());
    }
    let connections = socket::established()
        .map_err(|source| Error::unreadable("the established connections")(Refusal::from_io(&source)))?;
    for connection in connections.into_iter().filter(|connection| !system.is_own(connection.peer.0)) {
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

fn has_address(system: &System, link: &Link, address: IpAddr) -> bool {
    system.addresses_of(link.ifindex).any(|own| own.local == address)
}

/// The one of these interfaces by which the connection's packets leave.
fn way_out<'a>(kernel: &Kernel, links: &[&'a Link], connection: &Connection) -> Option<&'a Link> {
    let (peer, local) = (connection.peer.0, connection.local.0);
    let oif = kernel.route_to(peer, Some(local), connection.bound).ok()?.oif()?;
    links.iter().find(|link| link.ifindex == oif).copied()
}

//! TCP listeners that a program has bound to an interface which changes its routing domain. They come along, but the kernel
//! leaves their ports in the list of the old one; [`vrfsock::port`] says why nobody may have such a port in the new one.

use std::net::SocketAddr;

use vrfsock::port::is_free_for;

use crate::error::Error;
use crate::model::link::Link;
use crate::plan::system::System;
use crate::sys::sock_diag::Connection;
use crate::sys::sysctl;
use crate::transaction::session::Session;

/// Refuses to move interfaces whose listeners have ports that are in use where they go: the VRF of this name, or the default
/// domain.
///
/// # Errors
/// There is such a listener, or the kernel will not say.
pub fn refuse_if_port_is_taken(
    session: &Session,
    system: &System,
    moved: &[&Link],
    to: Option<&str>,
) -> Result<(), Error> {
    // Nobody can be in a VRF that is not made yet.
    let vrf = match to.map(|name| system.link(name)) {
        None => 0,
        Some(Some(vrf)) => vrf.ifindex,
        Some(None) => return Ok(()),
    };
    let is_moved = |listener: &&Connection| moved.iter().any(|link| link.ifindex == listener.bound);
    let of_moved: Vec<&Connection> = session.sockets.listening()?.iter().filter(is_moved).collect();
    if of_moved.is_empty() || sysctl::tcp_has_one_list() {
        return Ok(());
    }
    for listener in of_moved {
        if is_in_use(session, system, listener, vrf)? {
            let device = system.link_by_index(listener.bound).map_or_else(String::new, |link| link.name.clone());
            let domain = to.map_or("the default domain".to_owned(), |name| format!("'{name}'"));
            return Err(Error::PortTaken { device, address: address(listener), domain });
        }
    }
    Ok(())
}

/// Whether others have the listener's port in the list of this VRF, or of the default domain (0).
fn is_in_use(session: &Session, system: &System, listener: &Connection, vrf: u32) -> Result<bool, Error> {
    let address = address(listener);
    // One that comes back is in the list of where it goes, and not in that of where it is.
    if is_free_for(address, listener.bound, true) == Ok(true) {
        return Ok(false);
    }
    let ports = system.link_by_index(vrf).into_iter().flat_map(|vrf| system.ports(vrf)).map(|port| port.ifindex);
    for device in std::iter::once(vrf).chain(ports) {
        match is_free_for(address, device, false) {
            Ok(true) => {}
            Ok(false) => return Ok(true),
            // It may not be tried (the port needs a capability, the programs of a cgroup bind this process elsewhere), or
            // no socket can be so (a link-local address without a device): the kernel's list tells.
            Err(_) => return is_listed(session, system, listener, vrf),
        }
    }
    Ok(false)
}

fn is_listed(session: &Session, system: &System, listener: &Connection, vrf: u32) -> Result<bool, Error> {
    let is_there = |other: &Connection| other.bound != listener.bound && system.tcp_list_of(other.bound) == vrf;
    let mut all = session.sockets.tcp()?.iter();
    Ok(all.any(|other| other.local.1 == listener.local.1 && is_there(other)))
}

fn address(listener: &Connection) -> SocketAddr {
    SocketAddr::new(listener.local.0, listener.local.1)
}

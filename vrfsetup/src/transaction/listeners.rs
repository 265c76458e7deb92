//! TCP listeners that a program has bound to an interface which changes its routing domain. They come along, but the kernel
//! leaves their ports in the list of the old one; [`vrfsock::port`] says why nobody may have such a port in the new one.

use std::net::SocketAddr;

use vrfsock::port::is_free_for;

use crate::error::Error;
use crate::model::link::Link;
use crate::plan::port::Domain;
use crate::plan::system::System;
use crate::sys::sock_diag::Connection;
use crate::sys::sysctl;
use crate::transaction::session::Session;

/// Refuses to move interfaces whose listeners have ports that are in use where they go.
///
/// # Errors
/// There is such a listener, or the kernel will not say.
pub fn refuse_if_port_is_taken(session: &Session, system: &System, moved: &[&Link], to: &Domain) -> Result<(), Error> {
    let vrf = to.device.as_ref().map_or(Some(0), |vrf| (vrf.ifindex != 0).then_some(vrf.ifindex));
    // Nobody can be in a VRF that is not made yet, and one list of all domains is in order.
    let Some(vrf) = vrf.filter(|_| !has_one_list()) else { return Ok(()) };
    let is_moved = |listener: &&Connection| moved.iter().any(|link| link.ifindex == listener.bound);
    for listener in session.sockets.listening()?.iter().filter(is_moved) {
        let ports = system.link_by_index(vrf).into_iter().flat_map(|vrf| system.ports(vrf)).map(|port| port.ifindex);
        let address = SocketAddr::new(listener.local.0, listener.local.1);
        let is_in_use = |device| is_free_for(address, device) != Ok(true);
        // One that comes back is in the list of where it goes, and not in that of where it is.
        if is_in_use(listener.bound) && std::iter::once(vrf).chain(ports).any(is_in_use) {
            let device = system.link_by_index(listener.bound).map_or_else(String::new, |link| link.name.clone());
            let domain = to.device.as_ref().map_or("the default domain".to_owned(), |vrf| format!("'{}'", vrf.name));
            return Err(Error::PortTaken { device, address, domain });
        }
    }
    Ok(())
}

fn has_one_list() -> bool {
    sysctl::read("net/ipv4/tcp_l3mdev_accept").is_some_and(|accepts| accepts.trim() == "1")
}

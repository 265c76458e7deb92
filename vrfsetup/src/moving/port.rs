//! Whether the port of a TCP listener is in use where it is to go; [`vrfsock::port`] says why it must not be.

use std::os::fd::OwnedFd;

use vrfsock::port::is_free;

use super::domain_name;
use super::judge::{Kind, Target};
use crate::model::link::Link;
use crate::plan::system::System;
use crate::sys::sysctl;

/// Which other sockets have the port of a listener where it is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// Listeners that do not come along.
    Listeners,
    /// All that the kernel lists.
    All,
}

/// Why a socket that is bound to `from` cannot move, if it is for its port. `are_there`: whether there are such others.
pub fn why_it_stays(
    socket: &OwnedFd,
    kind: &Kind,
    from: u32,
    target: &Target,
    are_there: impl FnMut(Others) -> bool,
) -> Option<String> {
    // One list of all domains is in order.
    let is_one_list = || sysctl::read("net/ipv4/tcp_l3mdev_accept").is_some_and(|accepts| accepts.trim() == "1");
    if ![Kind::Listener, Kind::Bound].contains(kind) || is_one_list() {
        return None;
    }
    // The kernel takes the index of a device that is gone for that of one in the default domain.
    let from = (from == 0 || target.links.link_by_index(from).is_some()).then_some(from);
    if *kind == Kind::Bound {
        // After the end of a connection only the socket itself still knows its port. If it had it, listen(2) would complain in
        // the kernel's log (WARN_ON in inet_csk_get_port).
        let has_it = from.is_none_or(|from| is_free(socket, &[from], false) != Ok(true));
        return has_it.then(|| "it has a port, which stays in its domain, and does not listen yet".to_owned());
    }
    let to = target.vrf.as_ref().map_or(0, |vrf| vrf.ifindex);
    let ports: Vec<u32> = target.vrf.iter().flat_map(|vrf| target.links.ports(vrf)).map(|port| port.ifindex).collect();
    is_in_use(socket, from, to, &ports, are_there).then(|| {
        let to = domain_name(target.links, to);
        format!("its port is in use in {to}, if only by a connection that ended within the last minute")
    })
}

/// The device whose list of ports has the sockets that are bound to a device of this index: a VRF, or none.
pub fn list_of(links: &System, device: u32) -> u32 {
    let vrf = links.link_by_index(device).filter(|link| !link.is_vrf()).map_or(Some(device), |link| link.master);
    vrf.filter(|vrf| links.link_by_index(*vrf).is_some_and(Link::is_vrf)).unwrap_or(0)
}

/// Whether sockets of another list have the port of this listener in the domain of the device `to`, whose ports are `ports`; it
/// is bound to `from`, unless that is gone, and 0 is the default domain.
fn is_in_use(
    listener: &OwnedFd,
    from: Option<u32>,
    to: u32,
    ports: &[u32],
    mut are_there: impl FnMut(Others) -> bool,
) -> bool {
    match is_free(listener, &[&[to], ports].concat(), false) {
        Ok(true) => false,
        // Not before Linux 6.8 does the kernel list sockets that have a port and neither listen nor are connected; nor does it
        // panic.
        Err(_) => are_there(Others::All),
        // With SO_REUSEADDR only listeners are in the way.
        Ok(false) if are_there(Others::Listeners) || is_free(listener, &[to], true) != Ok(false) => true,
        // One that comes back is in the list of `to` itself, and so not in that of `from`.
        Ok(false) => match from {
            Some(from) => is_free(listener, &[from], true) != Ok(true),
            None => are_there(Others::All),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_of_a_vrf_has_its_list_and_what_is_gone_that_of_the_default_domain() {
        let port = |ifindex, name, master| Link { master, ..Link::plain(ifindex, name, None) };
        let bridge = Link { kind: Some("bridge".to_owned()), ..port(5, "br0", Some(3)) };
        let links = vec![port(2, "eth0", None), Link::plain(3, "blue", Some(10)), port(4, "blue0", Some(3)), bridge];
        let links = System::new([links, vec![port(6, "eth1", Some(5))]].concat(), Vec::new());
        for (device, list) in [(0, 0), (2, 0), (3, 3), (4, 3), (5, 3), (6, 0), (9, 0)] {
            assert_eq!(list_of(&links, device), list, "{device}");
        }
    }
}

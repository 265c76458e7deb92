//! Whether the port of a TCP listener is in use where it is to go; [`vrfsock::port`] says why it must not be.

use std::os::fd::OwnedFd;

use vrfsock::port::is_free;

use super::domain_name;
use super::judge::{Kind, Target};
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
    if ![Kind::Listener, Kind::Bound].contains(kind) || sysctl::tcp_has_one_list() {
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

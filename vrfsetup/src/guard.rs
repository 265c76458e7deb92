//! What stands between a command and the connection it was typed over.
//!
//! sudo clears SSH_CONNECTION, so the kernel is asked instead: an established TCP connection from another machine to an
//! address of the interface is somebody's session.

use crate::error::Error;
use crate::kernel::Refusal;
use crate::link::Link;
use crate::socket;
use crate::system::System;

/// Refuses a change that would cut off an established connection from another machine.
///
/// # Errors
/// There is one, or the kernel will not say.
pub fn refuse_if_in_use<'a>(system: &System, links: impl IntoIterator<Item = &'a Link>) -> Result<(), Error> {
    let mut connections = None;
    for link in links {
        if connections.is_none() {
            connections = Some(socket::established().map_err(|source| Error::Unreadable {
                what: "the established connections".to_owned(),
                refusal: Refusal::from_errno(source.raw_os_error().unwrap_or(libc::EIO)),
            })?);
        }
        let from_elsewhere = connections.iter().flatten().filter(|connection| !system.is_own(connection.peer.0));
        for connection in from_elsewhere {
            if system.addresses_of(link.ifindex).any(|address| address.local == connection.local.0) {
                return Err(Error::InUse { device: link.name.clone(), connection: connection.clone() });
            }
        }
    }
    Ok(())
}

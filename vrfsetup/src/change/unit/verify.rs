//! Verifies that a socket made here, in the service's own cgroup, is bound to the VRF.

use std::io;
use std::net::UdpSocket;
use std::os::unix::ffi::OsStrExt;

use nix::sys::socket::{getsockopt, sockopt};

use crate::error::Error;

/// Opens a socket of each family and reads back what it is bound to.
///
/// # Errors
/// One is not bound to the VRF. A family that the service may not use at all cannot leak.
pub fn verify_bound(vrf: &str) -> Result<(), Error> {
    verify_bound_to(vrf, vrf)
}

/// The same where another device may stand for the VRF.
///
/// # Errors
/// As [`verify_bound`].
pub fn verify_bound_to(wanted: &str, vrf: &str) -> Result<(), Error> {
    let unspecified = ["0.0.0.0:0", "[::]:0"];
    let mut opened = 0;
    for address in unspecified {
        let socket = match UdpSocket::bind(address) {
            Ok(socket) => socket,
            Err(error) if is_absent(&error) => continue,
            Err(error) => return Err(Error::unreadable("a socket's device")(error)),
        };
        opened += 1;
        let device = getsockopt(&socket, sockopt::BindToDevice).map_err(Error::unreadable("a socket's device"))?;
        if device.as_bytes() != wanted.as_bytes() {
            return Err(Error::Unbound(vrf.to_owned()));
        }
    }
    if opened == 0 { Err(Error::Unbound(vrf.to_owned())) } else { Ok(()) }
}

fn is_absent(error: &io::Error) -> bool {
    [Some(libc::EAFNOSUPPORT), Some(libc::EADDRNOTAVAIL)].contains(&error.raw_os_error())
}

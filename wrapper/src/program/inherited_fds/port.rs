//! Whether the port of a TCP socket is in use in the VRF that it is to be bound to; [`vrfsock::port`] says why it must not be.

use std::os::fd::AsFd;

use vrfnl::listener::{self, Listener};
use vrfsock::port;

use crate::sys::kernel;
use crate::vrf::device::Device;
use crate::vrf::netlink::Netlink;
use crate::vrf::ports::{self, Port};

/// The index of no device.
const DEFAULT: u32 = 0;

/// The devices whose sockets are in one list of ports with those of this device: a VRF and its ports. Empty where the list is
/// that of unbound sockets: of a device that is in no VRF, or of all with tcp_l3mdev_accept.
///
/// # Errors
/// The kernel's.
pub fn devices_around(device: &Device) -> nix::Result<Vec<u32>> {
    let accepts = kernel::read("/proc/sys/net/ipv4/tcp_l3mdev_accept").unwrap_or_default();
    if accepts.trim_ascii() == b"1" {
        return Ok(Vec::new());
    }
    Ok(ports::around(device)?.into_iter().map(|Port { ifindex, .. }| ifindex).collect())
}

/// Whether a TCP socket that does not listen has a port outside all VRFs: after the end of a connection it still tells one, and
/// has it no more.
pub fn has_one(socket: &impl AsFd) -> nix::Result<bool> {
    // What cannot be tried counts as one: a plain user may not bind to a port below 1024.
    Ok(port::of(socket)? != 0 && port::is_free(socket, &[DEFAULT], false) != Ok(true))
}

/// Whether others have the port of this listener in such a domain.
///
/// # Errors
/// It can neither be tried, nor does the kernel list sockets.
pub fn is_in_use(listener: &impl AsFd, domain: &[u32]) -> nix::Result<bool> {
    match port::is_free(listener, domain, false) {
        Ok(is_free) => Ok(!is_free),
        // Sockets that are bound and do no more are not in the list before Linux 6.8, which does not panic.
        Err(_) => is_listed(port::of(listener)?, domain),
    }
}

/// Whether the kernel lists a TCP socket, in whatever state, that has this port and is bound to one of these devices.
fn is_listed(port: u16, domain: &[u32]) -> nix::Result<bool> {
    let (mut netlink, mut is_listed) = (Netlink::open_sockets()?, false);
    for family in [libc::AF_INET, libc::AF_INET6] {
        netlink.ask(&listener::of_any_state(family as u8), true, |body| {
            is_listed |= listener::parse(body).is_some_and(|found| has(&found, port, domain));
        })?;
    }
    Ok(is_listed)
}

fn has(found: &Listener, port: u16, domain: &[u32]) -> bool {
    found.at.1 == port.to_be_bytes() && domain.contains(&found.device)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_port_is_listed_by_the_device_of_whoever_has_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let accepted = listener.accept().unwrap();
        assert_eq!(is_listed(port, &[DEFAULT]), Ok(true));
        drop(listener);
        assert_eq!(is_listed(port, &[DEFAULT]), Ok(true), "its connection has it");
        assert_eq!(is_listed(port, &[]), Ok(false));
        drop((client, accepted));
    }

    #[test]
    fn neither_another_port_nor_another_device_counts() {
        let found = Listener { at: (2, 4011u16.to_be_bytes(), [0; 16]), device: 7, inode: 1 };
        assert!(has(&found, 4011, &[3, 7]));
        assert!(!has(&found, 4012, &[3, 7]) && !has(&found, 4011, &[3]));
    }
}

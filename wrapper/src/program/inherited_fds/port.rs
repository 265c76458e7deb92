//! Whether the port of a TCP socket is in use in the VRF that it is to be bound to.
//!
//! The kernel lists the ports of TCP by routing domain, and SO_BINDTODEVICE leaves a socket in the list that it was bound in. A
//! listen(2) later ends in a WARN_ON of the kernel; and where others have the port in the VRF, connections share records of
//! both lists, which Linux 7.2 frees too early: it panics.

use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;
use nix::sys::socket::sockopt::{IpFreebind, Ipv6V6Only};
use nix::sys::socket::{SockaddrStorage, bind, getsockname, getsockopt, setsockopt};
use vrfnl::listener::{self, Listener};

use crate::sys::{kernel, socket};
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
    Ok(number_of(socket)? != 0 && is_free(socket, DEFAULT) != Ok(true))
}

/// Whether others have the port of this listener in such a domain.
///
/// # Errors
/// It can neither be tried, nor does the kernel list sockets.
pub fn is_in_use(listener: &impl AsFd, domain: &[u32]) -> nix::Result<bool> {
    for device in domain {
        match is_free(listener, *device) {
            Ok(true) => {}
            Ok(false) => return Ok(true),
            // Sockets that are bound and do no more are not in the list before Linux 6.8, which does not panic.
            Err(_) => return is_listed(number_of(listener)?, domain),
        }
    }
    Ok(false)
}

/// Whether a socket like this one can be bound there.
fn is_free(like: &impl AsFd, device: u32) -> nix::Result<bool> {
    let address = getsockname::<SockaddrStorage>(like.as_fd().as_raw_fd())?;
    let probe = socket::open(socket::domain_of(like)?, libc::SOCK_STREAM, 0)?;
    if address.as_sockaddr_in6().is_some() {
        setsockopt(&probe, Ipv6V6Only, &getsockopt(like, Ipv6V6Only)?)?;
    }
    // The socket may have an address that is not there, or no longer.
    setsockopt(&probe, IpFreebind, &true)?;
    socket::bind_to_index(&probe, device)?;
    match bind(probe.as_raw_fd(), &address) {
        Err(Errno::EADDRINUSE) => Ok(false),
        // The programs of a cgroup that this process is in may have bound it to another device.
        Ok(()) if socket::index_of(&probe)? != device => Err(Errno::EPERM),
        outcome => outcome.map(|()| true),
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

/// Its port; 0 if it has none.
fn number_of(socket: &impl AsFd) -> nix::Result<u16> {
    let address = getsockname::<SockaddrStorage>(socket.as_fd().as_raw_fd())?;
    let v4 = address.as_sockaddr_in().map(|address| address.port());
    Ok(v4.or_else(|| Some(address.as_sockaddr_in6()?.port())).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn};

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

    #[test]
    fn one_has_a_port_at_an_address_that_is_not_there_too() {
        let made = || {
            let kind = (AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC);
            nix::sys::socket::socket(kind.0, kind.1, kind.2, None).unwrap()
        };
        for (address, has) in [(None, false), (Some([127, 0, 0, 1]), true), (Some([192, 0, 2, 99]), true)] {
            let socket = made();
            setsockopt(&socket, IpFreebind, &true).unwrap();
            if let Some([a, b, c, d]) = address {
                bind(socket.as_raw_fd(), &SockaddrIn::new(a, b, c, d, 0)).unwrap();
            }
            assert_eq!(has_one(&socket), Ok(has), "{address:?}");
        }
    }
}

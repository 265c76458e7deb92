//! Whether the port of a TCP socket is in use in another routing domain.
//!
//! The kernel lists the ports of TCP by routing domain, and a socket in the list of the domain that it was bound in:
//! SO_BINDTODEVICE does not move it to another list. So nothing keeps it from a domain in which its port is in use, and where it
//! is, its connections share records of the kernel with those of the other list. Linux 7.2 frees such a record too early, and
//! panics. Where the port is not in use, a listen(2) later still ends in a WARN_ON (inet_csk_get_port).
#![forbid(unsafe_code)]

use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;
use nix::sys::socket::sockopt::{IpFreebind, Ipv6V6Only, ReuseAddr};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockProtocol, SockType, SockaddrStorage, bind, getsockname, getsockopt, setsockopt, socket,
};

use crate::device;

/// The port that a socket has; 0 if none.
///
/// # Errors
/// As getsockname(2).
pub fn of(socket: &impl AsFd) -> nix::Result<u16> {
    let address = getsockname::<SockaddrStorage>(socket.as_fd().as_raw_fd())?;
    let v4 = address.as_sockaddr_in().map(|address| address.port());
    Ok(v4.or_else(|| Some(address.as_sockaddr_in6()?.port())).unwrap_or(0))
}

/// Whether a TCP socket like this one, with its address and port, can be bound to each of these devices: a VRF's list has the
/// sockets of its ports as well, which are in nobody's way but their own device's. `shares`: with SO_REUSEADDR, so that of others
/// only listeners are in the way.
///
/// # Errors
/// It cannot be tried: EPERM where the programs of a cgroup keep this process from the device, EACCES for a port that needs
/// CAP_NET_BIND_SERVICE.
pub fn is_free(like: &impl AsFd, devices: &[u32], shares: bool) -> nix::Result<bool> {
    devices.iter().try_fold(true, |all, device| Ok(all && is_free_at(like, *device, shares)?))
}

fn is_free_at(like: &impl AsFd, device: u32, shares: bool) -> nix::Result<bool> {
    let address = getsockname::<SockaddrStorage>(like.as_fd().as_raw_fd())?;
    let is_v6_only = address.as_sockaddr_in6().is_some() && getsockopt(like, Ipv6V6Only)?;
    can_bind(&address, is_v6_only, device, shares)
}

/// The same for a socket that another process has, by its address; one of IPv6 is tried as one that takes IPv4 as well.
///
/// # Errors
/// As [`is_free`].
pub fn is_free_for(address: SocketAddr, device: u32, shares: bool) -> nix::Result<bool> {
    can_bind(&SockaddrStorage::from(address), false, device, shares)
}

fn can_bind(address: &SockaddrStorage, is_v6_only: bool, device: u32, shares: bool) -> nix::Result<bool> {
    let family = if address.as_sockaddr_in6().is_some() { AddressFamily::Inet6 } else { AddressFamily::Inet };
    let probe = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, SockProtocol::Tcp)?;
    if family == AddressFamily::Inet6 {
        setsockopt(&probe, Ipv6V6Only, &is_v6_only)?;
    }
    setsockopt(&probe, ReuseAddr, &shares)?;
    // The socket may have an address that is not there, or no longer.
    setsockopt(&probe, IpFreebind, &true)?;
    device::bind(&probe, device)?;
    match bind(probe.as_raw_fd(), address) {
        Err(Errno::EADDRINUSE) => Ok(false),
        // The programs of a cgroup that this process is in may have bound it to another device.
        Ok(()) if device::of(&probe)? != device => Err(Errno::EPERM),
        outcome => outcome.map(|()| true),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::OwnedFd;

    use nix::sys::socket::{Shutdown, SockaddrIn, shutdown};

    use super::*;

    const DEFAULT: [u32; 1] = [0];

    #[test]
    fn a_listener_of_a_list_is_in_its_own_way_only_if_it_may_not_share() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            // std sets SO_REUSEADDR, so that the listener alone is in the way of a probe that has it.
            let Ok(listener) = TcpListener::bind(address) else { continue };
            assert_eq!([false, true].map(|shares| is_free(&listener, &DEFAULT, shares)), [Ok(false); 2], "{address}");
            assert_eq!(is_free(&listener, &[], false), Ok(true));
        }
    }

    #[test]
    fn the_port_of_another_process_is_found_by_its_address() {
        for address in ["127.0.0.1:0", "0.0.0.0:0", "[::]:0"] {
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let address = listener.local_addr().unwrap();
            assert_eq!(is_free_for(address, 0, false), Ok(false), "{address}");
            drop(listener);
            assert_eq!(is_free_for(address, 0, false), Ok(true), "{address}");
        }
    }

    #[test]
    fn what_does_not_listen_has_the_port_as_well() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let kept = listener.try_clone().unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let connection = listener.accept().unwrap();
        shutdown(kept.as_raw_fd(), Shutdown::Both).unwrap();
        assert_eq!([false, true].map(|shares| is_free(&kept, &DEFAULT, shares)), [Ok(false), Ok(true)]);
        drop((client, connection));
    }

    #[test]
    fn a_socket_has_its_port_at_an_address_that_is_not_there_too() {
        for (address, has) in [(None, false), (Some([127, 0, 0, 1]), true), (Some([192, 0, 2, 99]), true)] {
            let made: OwnedFd =
                socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, SockProtocol::Tcp).unwrap();
            setsockopt(&made, IpFreebind, &true).unwrap();
            if let Some([a, b, c, d]) = address {
                bind(made.as_raw_fd(), &SockaddrIn::new(a, b, c, d, 0)).unwrap();
            }
            assert_eq!(of(&made).map(|port| port != 0), Ok(has), "{address:?}");
            assert_eq!(has, is_free(&made, &DEFAULT, false) == Ok(false), "{address:?}");
        }
    }
}

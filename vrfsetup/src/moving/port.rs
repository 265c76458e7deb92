//! Whether the port of a TCP listener is in use where it is to go.
//!
//! The kernel lists ports by routing domain, and a socket in the list of the domain that it was bound in: SO_BINDTODEVICE
//! does not move it to another list. So nothing keeps it from a domain in which its port is in use, and where it is, its
//! connections share records of the kernel with those of the other list. Linux 7.2 frees such a record too early, and panics.

use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::sockopt::{Ipv6V6Only, ReuseAddr};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockProtocol, SockType, SockaddrStorage, bind, getsockname, getsockopt, setsockopt, socket,
};

use super::domain_name;
use super::judge::{Kind, Target};
use crate::sys::{pidfd, sysctl};

/// Why a socket that is bound to `from` cannot move, if it is for its port. `is_listened_at`: whether another socket, which does
/// not come along, listens at this port where it is to go. A device that is gone is told by whoever binds to it.
pub fn why_it_stays(
    socket: &OwnedFd,
    kind: &Kind,
    from: u32,
    target: &Target,
    is_listened_at: impl FnOnce() -> bool,
) -> Option<String> {
    // One list of all domains is in order.
    let is_one_list = || sysctl::read("net/ipv4/tcp_l3mdev_accept").is_some_and(|accepts| accepts.trim() == "1");
    if ![Kind::Listener, Kind::Bound].contains(kind) || is_one_list() {
        return None;
    }
    let to = target.vrf.as_ref().map_or(0, |vrf| vrf.ifindex);
    if *kind == Kind::Bound {
        // After the end of a connection only the socket itself still knows its port. If it had it, listen(2) would complain in
        // the kernel's log (WARN_ON in inet_csk_get_port).
        let has_it = !is_free(socket, from, false).unwrap_or(false);
        return has_it.then(|| "it has a port, which stays in its domain, and does not listen yet".to_owned());
    }
    let is_in_use = is_in_use(socket, from, to, is_listened_at).unwrap_or(false);
    let to = domain_name(target.links, to);
    is_in_use.then(|| format!("its port is in use in {to}, if only by a connection that ended within the last minute"))
}

/// Whether sockets of another list have the port of this listener in the domain of the device `to`; it is bound to `from`, and
/// 0 is the default domain.
///
/// # Errors
/// There is no such device, or the kernel makes no sockets.
fn is_in_use(listener: &OwnedFd, from: u32, to: u32, is_listened_at: impl FnOnce() -> bool) -> nix::Result<bool> {
    let is_free = |device, shares| is_free(listener, device, shares);
    // With SO_REUSEADDR only listeners are in the way. One that comes back is in the list of `to` itself.
    let is_back = || Ok(!is_free(to, true)? && is_free(from, true).unwrap_or(true));
    Ok(!is_free(to, false)? && (is_listened_at() || !is_back()?))
}

/// Whether a socket like this one can be bound in the domain of this device.
fn is_free(like: &OwnedFd, device: u32, shares: bool) -> nix::Result<bool> {
    let address = getsockname::<SockaddrStorage>(like.as_raw_fd())?;
    let family = if address.as_sockaddr_in6().is_some() { AddressFamily::Inet6 } else { AddressFamily::Inet };
    let probe = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, SockProtocol::Tcp)?;
    if family == AddressFamily::Inet6 {
        setsockopt(&probe, Ipv6V6Only, &getsockopt(like, Ipv6V6Only)?)?;
    }
    setsockopt(&probe, ReuseAddr, &shares)?;
    pidfd::bind(&probe, device)?;
    // An address that is not there is nobody's there.
    Ok(bind(probe.as_raw_fd(), &address) != Err(Errno::EADDRINUSE))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    const DEFAULT: u32 = 0;

    fn copy(listener: &TcpListener) -> OwnedFd {
        listener.try_clone().unwrap().into()
    }

    #[test]
    fn a_listener_of_a_list_is_in_its_own_way_only_if_it_may_not_share() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            // std sets SO_REUSEADDR, so that the listener alone is in the way of a probe that has it.
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let listener = copy(&listener);
            assert_eq!([false, true].map(|shares| is_free(&listener, DEFAULT, shares)), [Ok(false); 2], "{address}");
        }
    }

    #[test]
    fn what_does_not_listen_has_the_port_as_well() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let kept = copy(&listener);
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let connection = listener.accept().unwrap();
        nix::sys::socket::shutdown(kept.as_raw_fd(), nix::sys::socket::Shutdown::Both).unwrap();
        assert_eq!([false, true].map(|shares| is_free(&kept, DEFAULT, shares)), [Ok(false), Ok(true)]);
        drop((client, connection));
    }
}

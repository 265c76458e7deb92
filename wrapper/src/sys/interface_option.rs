//! Options by which a socket names the VRF besides its binding, for when the kernel takes that.
//!
//! `connect(AF_UNSPEC)` takes the binding from a datagram or raw socket, and what it sends then goes where these say; IPv4
//! multicast always does.

use std::os::fd::AsFd;

use crate::sys::socket;

/// An option that names an interface by its index.
#[derive(Debug, PartialEq, Eq)]
pub enum InterfaceOption {
    /// IP_UNICAST_IF
    Unicast4,
    /// IPV6_UNICAST_IF: once the socket is bound, the kernel says EINVAL.
    Unicast6,
    /// IP_MULTICAST_IF: EINVAL for another interface than that which the socket is bound to.
    Multicast4,
    /// IPV6_MULTICAST_IF: likewise.
    Multicast6,
}

use InterfaceOption::{Multicast4, Multicast6, Unicast4, Unicast6};

/// Those that a socket of this family and type has, before and after it is bound.
pub fn of(domain: i32, kind: i32) -> (&'static [InterfaceOption], &'static [InterfaceOption]) {
    match (domain, kind) {
        (libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_RAW) => (&[Unicast4], &[Multicast4]),
        (libc::AF_INET6, libc::SOCK_DGRAM) => (&[Unicast4, Unicast6], &[Multicast4, Multicast6]),
        (libc::AF_INET6, libc::SOCK_RAW) => (&[Unicast6], &[Multicast6]),
        _ => (&[], &[]),
    }
}

/// Binds a socket to a device, and sets its options in their order.
pub fn bind(socket: &impl AsFd, name: &[u8], before: &[InterfaceOption], after: &[InterfaceOption]) -> nix::Result<()> {
    // A VRF that was made again under its name has another index.
    let index = if before.is_empty() { 0 } else { socket::index_by_name(socket, name)? };
    before.iter().try_for_each(|option| option.set(socket, index))?;
    socket::bind_to_device(socket, name)?;
    after.iter().try_for_each(|option| option.set(socket, index))
}

/// Unbinds a socket, whose options name no interface then.
pub fn unbind(socket: &impl AsFd, before: &[InterfaceOption], after: &[InterfaceOption]) -> nix::Result<()> {
    socket::bind_to_device(socket, b"\0")?;
    before.iter().chain(after).try_for_each(|option| option.set(socket, 0))
}

impl InterfaceOption {
    fn set(&self, socket: &impl AsFd, index: u32) -> nix::Result<()> {
        // struct ip_mreqn: two addresses, and the index.
        let request = (u128::from(index) << 64).to_le_bytes();
        let (level, option, value) = match self {
            Unicast4 => (libc::IPPROTO_IP, IP_UNICAST_IF, &index.to_be_bytes()[..]),
            Unicast6 => (libc::IPPROTO_IPV6, IPV6_UNICAST_IF, &index.to_be_bytes()[..]),
            Multicast4 => (libc::IPPROTO_IP, libc::IP_MULTICAST_IF, &request[..12]),
            Multicast6 => (libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_IF, &index.to_ne_bytes()[..]),
        };
        socket::set(socket, level, option, value)
    }
}

const IP_UNICAST_IF: i32 = 50;
const IPV6_UNICAST_IF: i32 = 76;

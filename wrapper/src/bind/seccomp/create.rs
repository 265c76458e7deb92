//! Which socket a caller gets for its three numbers, and with which options: bound, and with a way back into the VRF for
//! when the kernel unbinds it.
//!
//! `connect(AF_UNSPEC)` takes the binding from a datagram or raw socket, and what it sends then goes where its options
//! say; IPv4 multicast always does. So these have options of their own that name the VRF. For one of them the kernel
//! looks at the binding, so that the order counts.

use std::os::fd::OwnedFd;

use nix::errno::Errno;

use crate::bind::verify::DENIED;
use crate::sys::socket::{self, AF_SMC};
use crate::vrf::device::Device;

/// Families whose inner inet sockets nobody can bind.
pub const UNBINDABLE: [i32; 2] = [21, 33]; // AF_RDS, AF_RXRPC
/// Families whose packets a routing table sends. AF_SMC is TCP underneath.
pub const ROUTED: [i32; 3] = [libc::AF_INET, libc::AF_INET6, AF_SMC];
// The protocols of AF_SMC, and the same as one of AF_INET and AF_INET6 (6.11).
const SMCPROTO_SMC: i32 = 0;
const SMCPROTO_SMC6: i32 = 1;
const IPPROTO_SMC: i32 = 256;
const SOCK_TYPE: i32 = 0xf; // without SOCK_CLOEXEC and SOCK_NONBLOCK

/// The arguments of socket(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Address family.
    pub domain: i32,
    /// Type, and flags.
    pub kind: i32,
    /// Protocol.
    pub protocol: i32,
}

/// What comes of a call.
#[derive(Debug, PartialEq, Eq)]
pub enum Plan {
    /// Nothing.
    Refused(Errno),
    /// A socket that no routing table sends for.
    Unrouted(Wanted),
    /// A socket that is bound, with options that are set before and after that.
    Bound(Wanted, &'static [InterfaceOption], &'static [InterfaceOption]),
}

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

impl Wanted {
    fn base(&self) -> i32 {
        self.kind & SOCK_TYPE
    }

    /// Whether the kernel asks for a right or a group before it makes this socket.
    pub fn asks_for_rights(&self) -> bool {
        let is_ping = self.protocol == libc::IPPROTO_ICMP || self.protocol == libc::IPPROTO_ICMPV6;
        !matches!(self.base(), libc::SOCK_STREAM | libc::SOCK_DGRAM | libc::SOCK_SEQPACKET) || is_ping
    }

    /// The sockets inside MPTCP's and SMC's are the kernel's own: subflows are bound by nobody, and SMC's is not where
    /// sendto(2) connects (MSG_FASTOPEN). To a peer that has neither they are TCP, and so they are here.
    fn as_tcp(self) -> Self {
        let (domain, protocol) = match (self.base(), self.domain, self.protocol) {
            (libc::SOCK_STREAM, AF_SMC, SMCPROTO_SMC) => (libc::AF_INET, libc::IPPROTO_TCP),
            (libc::SOCK_STREAM, AF_SMC, SMCPROTO_SMC6) => (libc::AF_INET6, libc::IPPROTO_TCP),
            (libc::SOCK_STREAM, domain, libc::IPPROTO_MPTCP | IPPROTO_SMC) => (domain, libc::IPPROTO_TCP),
            (_, domain, protocol) => (domain, protocol),
        };
        Self { domain, protocol, ..self }
    }
}

/// Decides.
pub fn plan(wanted: Wanted) -> Plan {
    use InterfaceOption::{Multicast4, Multicast6, Unicast4, Unicast6};
    if UNBINDABLE.contains(&wanted.domain) {
        return Plan::Refused(DENIED);
    }
    if !ROUTED.contains(&wanted.domain) {
        return Plan::Unrouted(wanted);
    }
    let (before, after): (&[_], &[_]) = match (wanted.domain, wanted.base()) {
        (libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_RAW) => (&[Unicast4], &[Multicast4]),
        (libc::AF_INET6, libc::SOCK_DGRAM) => (&[Unicast4, Unicast6], &[Multicast4, Multicast6]),
        (libc::AF_INET6, libc::SOCK_RAW) => (&[Unicast6], &[Multicast6]),
        _ => (&[], &[]),
    };
    Plan::Bound(wanted.as_tcp(), before, after)
}

/// Makes the socket. `open` is socket(2), with what rights the caller has.
pub fn make(device: &Device, wanted: Wanted, open: impl Fn(Wanted) -> nix::Result<OwnedFd>) -> nix::Result<OwnedFd> {
    let (wanted, before, after) = match plan(wanted) {
        Plan::Refused(errno) => return Err(errno),
        Plan::Unrouted(wanted) => return open(wanted),
        Plan::Bound(wanted, before, after) => (wanted, before, after),
    };
    let socket = open(wanted)?;
    // A VRF that was made again under its name has another index.
    let index = if before.is_empty() { 0 } else { socket::index_by_name(&socket, device.name_bytes())? };
    before.iter().try_for_each(|option| option.set(&socket, index))?;
    socket::bind_to_device(&socket, device.name_bytes())?;
    after.iter().try_for_each(|option| option.set(&socket, index))?;
    Ok(socket)
}

impl InterfaceOption {
    fn set(&self, socket: &OwnedFd, index: u32) -> nix::Result<()> {
        // struct ip_mreqn: two addresses, and the index.
        let request = (u128::from(index) << 64).to_le_bytes();
        let (level, option, value) = match self {
            Self::Unicast4 => (libc::IPPROTO_IP, IP_UNICAST_IF, &index.to_be_bytes()[..]),
            Self::Unicast6 => (libc::IPPROTO_IPV6, IPV6_UNICAST_IF, &index.to_be_bytes()[..]),
            Self::Multicast4 => (libc::IPPROTO_IP, libc::IP_MULTICAST_IF, &request[..12]),
            Self::Multicast6 => (libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_IF, &index.to_ne_bytes()[..]),
        };
        socket::set(socket, level, option, value)
    }
}

const IP_UNICAST_IF: i32 = 50;
const IPV6_UNICAST_IF: i32 = 76;

//! Which socket a caller gets for its three numbers: bound, and with the options that lead back into the VRF
//! (`sys::interface_option`).

use std::os::fd::OwnedFd;

use nix::errno::Errno;

use crate::bind::verify::DENIED;
use crate::sys::interface_option::{self, InterfaceOption};
use crate::sys::socket::AF_SMC;
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
    if UNBINDABLE.contains(&wanted.domain) {
        return Plan::Refused(DENIED);
    }
    if !ROUTED.contains(&wanted.domain) {
        return Plan::Unrouted(wanted);
    }
    let (before, after) = interface_option::of(wanted.domain, wanted.base());
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
    interface_option::bind(&socket, device.name_bytes(), before, after)?;
    Ok(socket)
}

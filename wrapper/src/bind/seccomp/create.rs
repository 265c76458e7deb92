//! Which socket a caller gets for its three numbers: bound, and with the options that lead back into the VRF
//! (`sys::interface_option`).

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use vrfabi::socket::{ROUTED, SOCK_TYPE, as_tcp};

use crate::bind::verify::DENIED;
use crate::sys::interface_option::{self, InterfaceOption};
use crate::vrf::device::Device;

/// Families whose inner inet sockets nobody can bind.
pub const UNBINDABLE: [i32; 2] = [21, 33]; // AF_RDS, AF_RXRPC

/// The arguments of socket(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Address family.
    pub domain: i32,
    /// Type, and flags.
    pub kind: i32,
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

impl From<[u32; 3]> for Wanted {
    fn from([domain, kind, protocol]: [u32; 3]) -> Self {
        Self { domain: domain as i32, kind: kind as i32, protocol: protocol as i32 }
    }
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

    /// What is made instead of a socket whose inner ones nobody can bind.
    fn as_tcp(self) -> Self {
        let (domain, protocol) = as_tcp(self.domain, self.kind, self.protocol);
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

//! Numbers of socket(2) that libc does not have, and which socket is made instead of one that cannot be bound.

use libc::c_int;

/// Shared memory communications: a socket of this family has a TCP socket inside.
pub const AF_SMC: c_int = 43;
/// SMC as a protocol of AF_INET and AF_INET6 (6.11).
pub const IPPROTO_SMC: c_int = 256;
/// The option that tells the cookie of the network namespace that a socket was made in (5.14).
pub const SO_NETNS_COOKIE: c_int = 71;
/// The type of a socket, without SOCK_CLOEXEC and SOCK_NONBLOCK.
pub const SOCK_TYPE: c_int = 0xf;
// The protocols of AF_SMC.
const SMCPROTO_SMC: c_int = 0;
const SMCPROTO_SMC6: c_int = 1;

/// Families whose packets a routing table sends. AF_SMC is TCP underneath. AF_PACKET and AF_XDP name their own device.
pub const ROUTED: [c_int; 3] = [libc::AF_INET, libc::AF_INET6, AF_SMC];

/// Whether a family is one of [`ROUTED`], without a loop.
#[inline]
pub const fn is_routed(domain: c_int) -> bool {
    matches!(domain, libc::AF_INET | libc::AF_INET6 | AF_SMC)
}

/// The domain and protocol to use for a socket of these three numbers. The sockets inside MPTCP's and SMC's are the
/// kernel's own: subflows are bound by nobody, and SMC's is not where sendto(2) connects (MSG_FASTOPEN). To a peer that
/// has neither they are TCP, and so they are here.
#[inline(always)]
pub const fn as_tcp(domain: c_int, kind: c_int, protocol: c_int) -> (c_int, c_int) {
    match (kind & SOCK_TYPE, domain, protocol) {
        (libc::SOCK_STREAM, AF_SMC, SMCPROTO_SMC) => (libc::AF_INET, libc::IPPROTO_TCP),
        (libc::SOCK_STREAM, AF_SMC, SMCPROTO_SMC6) => (libc::AF_INET6, libc::IPPROTO_TCP),
        (libc::SOCK_STREAM, _, libc::IPPROTO_MPTCP | IPPROTO_SMC) => (domain, libc::IPPROTO_TCP),
        _ => (domain, protocol),
    }
}

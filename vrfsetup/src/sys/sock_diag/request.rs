//! What the kernel is asked for sockets.

use super::SOCKID;

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLMSG_HEADER: usize = 16;

/// A request for all sockets of a family and protocol.
pub(super) fn request(family: u8, protocol: u8, states: u32) -> Vec<u8> {
    let flags = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;
    message(SOCK_DIAG_BY_FAMILY, flags, &body(family, protocol, 0, states, &[0; SOCKID]))
}

/// `struct nlmsghdr`, and what follows it.
pub(super) fn message(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = ((NLMSG_HEADER + body.len()) as u32).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend(body);
    bytes
}

/// `struct inet_diag_req_v2`.
pub(super) fn body(family: u8, protocol: u8, raw_protocol: u8, states: u32, id: &[u8; SOCKID]) -> Vec<u8> {
    let mut bytes = vec![family, protocol, 0, raw_protocol];
    bytes.extend(states.to_ne_bytes());
    bytes.extend(id);
    bytes
}

//! TCP sockets, those that listen above all, as sock_diag(7) lists them.

use crate::attr::u32_at;
use crate::message::Request;

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const TCP_LISTEN: u32 = 10;

/// A listener, or another socket that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Where it listens: the family, the port and the address. Alike for two that share a port.
    pub at: (u8, [u8; 2], [u8; 16]),
    /// The index of the device that it is bound to; 0 if none.
    pub device: u32,
    /// By which processes have it; 0 if none has any more.
    pub inode: u32,
}

/// Asks for all of a family in this network namespace: a dump.
pub fn all(family: u8) -> Request {
    in_states(family, 1 << TCP_LISTEN)
}

/// The same for TCP sockets in whatever state, and what is left of them after their end.
pub fn of_any_state(family: u8) -> Request {
    in_states(family, u32::MAX)
}

fn in_states(family: u8, states: u32) -> Request {
    let mut body = [0; 56]; // struct inet_diag_req_v2
    let head = [[family, libc::IPPROTO_TCP as u8, 0, 0], states.to_ne_bytes()];
    body.iter_mut().zip(head.as_flattened()).for_each(|(to, from)| *to = *from);
    Request::new(SOCK_DIAG_BY_FAMILY, libc::NLM_F_DUMP, &body)
}

/// Reads one of the answers (`struct inet_diag_msg`).
pub fn parse(body: &[u8]) -> Option<Listener> {
    let at = (*body.first()?, body.get(4..6)?.try_into().ok()?, body.get(8..24)?.try_into().ok()?);
    Some(Listener { at, device: u32_at(body, 40)?, inode: u32_at(body, 68)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_the_family_the_protocol_and_the_state() {
        let request = all(libc::AF_INET6 as u8);
        let bytes = request.as_bytes();
        assert_eq!((bytes.len(), bytes.get(16..20)), (16 + 56, Some(&[10, 6, 0, 0][..])));
        assert_eq!(u32_at(bytes, 20), Some(1 << 10));
    }

    #[test]
    fn an_answer_is_read_and_a_short_one_is_none() {
        let mut body = [0; 72];
        body[0] = 2;
        body[4..6].copy_from_slice(&[0x0f, 0xa1]);
        body[8] = 127;
        body[40..44].copy_from_slice(&7u32.to_ne_bytes());
        body[68..72].copy_from_slice(&4711u32.to_ne_bytes());
        let mut address = [0; 16];
        address[0] = 127;
        assert_eq!(parse(&body), Some(Listener { at: (2, [0x0f, 0xa1], address), device: 7, inode: 4711 }));
        assert_eq!(parse(&body[..71]), None);
    }
}

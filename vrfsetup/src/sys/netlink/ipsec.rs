//! IPsec's states, as `ip xfrm state` lists them: what the packets around those of an interface are routed by.

use std::net::IpAddr;

use rtnetlink::packet_core::NLM_F_DUMP;
use rtnetlink::sys::protocols::NETLINK_XFRM;
use vrfnl::{Attributes, address};

use super::KernelError;
use super::raw::request;
use super::reply::Reply;
use super::socket::Socket;

const XFRM_MSG_NEWSA: u16 = 0x10;
const XFRM_MSG_GETSA: u16 = 0x12;
const XFRMA_SET_MARK: u16 = 29;
const XFRMA_IF_ID: u16 = 31;
/// `struct xfrm_usersa_info`, and where the far end, the own one, the family and the mode stand in it.
const USERSA: usize = 224;
const TO: usize = 56;
const FROM: usize = 80;
const FAMILY: usize = 212;
const MODE: usize = 214;
const XFRM_MODE_TRANSPORT: u8 = 0;

/// A state that puts something around packets: in tunnel mode, and those like it (BEET, IP-TFS).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// The ends of its packets; whether this machine is the first or the second one the kernel does not say before 6.10.
    pub to: IpAddr,
    pub from: IpAddr,
    /// The mark of what it sends; 0 for none (`output-mark`, 4.14).
    pub mark: u32,
    /// The number of the xfrm interface that it belongs to; 0 for none (`if_id`, 4.19).
    pub interface: u32,
}

/// All of them.
///
/// # Errors
/// The kernel's own: EPERM without CAP_NET_ADMIN, EPROTONOSUPPORT where there is no IPsec.
pub fn states() -> Result<Vec<State>, KernelError> {
    let mut socket = Socket::open(NETLINK_XFRM)?;
    let (mut found, mut refusal) = (Vec::new(), None);
    // A list that a change has torn lacks at most what was changed just now.
    socket.exchange(&[request(XFRM_MSG_GETSA, NLM_F_DUMP, &[])], |_, reply| match reply.is_end() {
        true => refusal = reply.error(),
        false => found.extend(state(&reply)),
    })?;
    refusal.map_or(Ok(found), Err)
}

fn state(reply: &Reply) -> Option<State> {
    (reply.kind == XFRM_MSG_NEWSA).then(|| State::read(reply.body()))?
}

impl State {
    fn read(body: &[u8]) -> Option<Self> {
        let attributes = Attributes(body.get(USERSA..)?);
        let family = u16::from_ne_bytes(*body.get(FAMILY..)?.first_chunk()?);
        let end = |at: usize| address::of_family(family.into(), body.get(at..)?);
        let state = Self {
            to: end(TO)?,
            from: end(FROM)?,
            mark: attributes.find_u32(XFRMA_SET_MARK).unwrap_or(0),
            interface: attributes.find_u32(XFRMA_IF_ID).unwrap_or(0),
        };
        (body[MODE] != XFRM_MODE_TRANSPORT).then_some(state)
    }
}

#[cfg(test)]
mod tests {
    use super::super::raw::attribute;
    use super::*;

    fn told(family: i32, ends: [&[u8]; 2], mode: u8, more: &[(u16, u32)]) -> Vec<u8> {
        let mut body = vec![0; USERSA];
        body[TO..][..ends[0].len()].copy_from_slice(ends[0]);
        body[FROM..][..ends[1].len()].copy_from_slice(ends[1]);
        body[FAMILY..][..2].copy_from_slice(&(family as u16).to_ne_bytes());
        body[MODE] = mode;
        body.extend(more.iter().flat_map(|(kind, value)| attribute(*kind, &value.to_ne_bytes())));
        body
    }

    #[test]
    fn a_state_says_its_ends_its_mark_and_its_interface() {
        let (far, own) = ([192, 0, 2, 80], [198, 51, 100, 2]);
        let body = told(libc::AF_INET, [&far, &own], 1, &[(XFRMA_SET_MARK, 0x51), (30, 0xff), (XFRMA_IF_ID, 7)]);
        let state = State { to: far.into(), from: own.into(), mark: 0x51, interface: 7 };
        assert_eq!(State::read(&body), Some(state));
        let (far, own) = ([7; 16], [8; 16]);
        let body = told(libc::AF_INET6, [&far, &own], 1, &[]);
        let state = State { to: far.into(), from: own.into(), mark: 0, interface: 0 };
        assert_eq!(State::read(&body), Some(state));
        // In transport mode there is nothing around a packet.
        assert_eq!(State::read(&told(libc::AF_INET6, [&far, &own], 0, &[])), None);
        assert_eq!(State::read(&body[..USERSA - 1]), None);
    }
}

//! A message as the kernel sent it, read as far as somebody asks.

use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage;

use super::error::KernelError;

const HEADER: usize = 16;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;

/// One message of routing netlink.
pub type Message = NetlinkMessage<RouteNetlinkMessage>;

/// A message as it came.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// RTM_*, or one of netlink's own.
    pub kind: u16,
    /// NLM_F_*.
    pub flags: u16,
    /// The number of the request that it answers.
    pub number: u32,
    /// All of it.
    bytes: &'a [u8],
}

impl<'a> Reply<'a> {
    /// Whether it ends a list or answers a request that has no other answer.
    pub fn is_end(&self) -> bool {
        [NLMSG_DONE, NLMSG_ERROR].contains(&self.kind)
    }

    /// What stands behind the header.
    pub fn body(&self) -> &'a [u8] {
        self.bytes.get(HEADER..).unwrap_or_default()
    }

    /// Reads it; None for what the packet crate cannot read, which is as good as what this program has no use for.
    pub fn message(&self) -> Option<RouteNetlinkMessage> {
        match self.payload() {
            Some(NetlinkPayload::InnerMessage(inner)) => Some(inner),
            _ => None,
        }
    }

    /// The error that it reports; a list that failed half-way says so at its end.
    pub fn error(&self) -> Option<KernelError> {
        match self.payload() {
            Some(NetlinkPayload::Error(error)) if error.code.is_some() => Some(KernelError::from_message(&error)),
            Some(NetlinkPayload::Done(done)) if done.code < 0 => {
                Some(KernelError::from_errno(done.code.wrapping_neg()))
            }
            _ => None,
        }
    }

    fn payload(&self) -> Option<NetlinkPayload<RouteNetlinkMessage>> {
        Message::deserialize(self.bytes).ok().map(|message| message.payload)
    }
}

/// The messages of a datagram; ends where one says that it is longer than what there is.
pub struct Replies<'a>(pub &'a [u8]);

impl<'a> Iterator for Replies<'a> {
    type Item = Reply<'a>;

    fn next(&mut self) -> Option<Reply<'a>> {
        let half = |bytes: &[u8], at| Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
        let word = |bytes: &[u8], at| Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let length = word(self.0, 0)? as usize;
        let bytes = self.0.get(..length).filter(|message| message.len() >= HEADER)?;
        self.0 = self.0.get(align(length)..).unwrap_or_default();
        Some(Reply { kind: half(bytes, 4)?, flags: half(bytes, 6)?, number: word(bytes, 8)?, bytes })
    }
}

/// Where the next message begins.
pub fn align(length: usize) -> usize {
    (length + 3) & !3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_that_cannot_be_ends_the_datagram() {
        let mut bytes = vec![0; 40];
        bytes[0] = 20;
        for wrong in [0u8, 15, 21] {
            bytes[20] = wrong;
            assert_eq!(Replies(&bytes).count(), 1, "{wrong}");
        }
        assert_eq!(Replies(&bytes[..3]).count(), 0);
    }
}

//! The frame round each message: `struct nlmsghdr`, errors and the end of a dump.

use crate::attr::{align, u16_at, u32_at};

const HEADER: usize = 16;
const CAPACITY: usize = 176;

/// A request, built in place; no request that this crate builds is longer than its buffer.
#[derive(Clone, Debug)]
pub struct Request {
    bytes: [u8; CAPACITY],
    len: usize,
}

impl Request {
    /// A request of this type and these `NLM_F_*` flags, whose fixed part is `body`.
    pub(crate) fn new(kind: u16, flags: i32, body: &[u8]) -> Self {
        let mut request = Self { bytes: [0; CAPACITY], len: HEADER };
        request.put(4, &kind.to_ne_bytes());
        request.put(6, &((libc::NLM_F_REQUEST | flags) as u16).to_ne_bytes());
        request.push(body);
        request
    }

    /// Appends one attribute.
    pub(crate) fn attribute(mut self, kind: u16, payload: &[u8]) -> Self {
        self.push(&(4 + payload.len() as u16).to_ne_bytes());
        self.len -= 2; // the type word follows the length word without padding
        self.push(&kind.to_ne_bytes());
        self.len -= 2;
        self.push(payload);
        self
    }

    /// Sets the sequence number by which the answer is known again.
    pub fn sequence(mut self, number: u32) -> Self {
        self.put(8, &number.to_ne_bytes());
        self
    }

    /// The finished message.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    fn push(&mut self, bytes: &[u8]) {
        self.put(self.len, bytes);
        self.len += align(bytes.len());
        self.put(0, &(self.len as u32).to_ne_bytes());
    }

    /// Written so that the compiler leaves no panic in it: the shim, which has room for none, uses this too.
    fn put(&mut self, at: usize, bytes: &[u8]) {
        let room = self.bytes.get_mut(at..).unwrap_or_default();
        debug_assert!(bytes.len() <= room.len());
        room.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    }
}

/// One message of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// A message of this type (`RTM_NEWLINK`, …) with its body.
    Data(u16, &'a [u8]),
    /// The kernel refused, or broke a dump off, with this positive errno; 0 is an acknowledgement.
    Error(i32),
    /// The end of a dump, which is whole.
    Done,
}

/// Walks the messages of one received datagram; ends at the first one that does not fit.
#[derive(Clone, Copy, Debug)]
pub struct Messages<'a>(pub &'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let len = u32_at(self.0, 0)? as usize;
        let kind = u16_at(self.0, 4)?;
        // A datagram that was cut by a short buffer still has its first attributes: hand out what is there.
        let body = self.0.get(HEADER..len.min(self.0.len()))?;
        self.0 = self.0.get(align(len)..).unwrap_or_default();
        let errno = || u32_at(body, 0).map_or(libc::EPROTO, |e| (e as i32).wrapping_neg());
        Some(match i32::from(kind) {
            libc::NLMSG_DONE if errno() == 0 => Message::Done,
            libc::NLMSG_DONE | libc::NLMSG_ERROR => Message::Error(errno()),
            _ => Message::Data(kind, body),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_carries_length_type_and_padded_attributes() {
        let request = Request::new(18, 0, &[0; 16]).attribute(3, b"blue\0").sequence(7);
        let bytes = request.as_bytes();
        assert_eq!(u32_at(bytes, 0), Some(16 + 16 + 4 + 8));
        assert_eq!(u16_at(bytes, 4), Some(18));
        assert_eq!(u32_at(bytes, 8), Some(7));
        assert_eq!((u16_at(bytes, 32), u16_at(bytes, 34)), (Some(9), Some(3)));
        assert_eq!(&bytes[36..41], b"blue\0");
    }

    #[test]
    fn an_error_message_gives_a_positive_errno() {
        let mut bytes = Request::new(libc::NLMSG_ERROR as u16, 0, &(-libc::ENODEV).to_ne_bytes()).as_bytes().to_vec();
        assert_eq!(Messages(&bytes).next(), Some(Message::Error(libc::ENODEV)));
        bytes[4] = libc::NLMSG_DONE as u8;
        assert_eq!(Messages(&bytes).next(), Some(Message::Error(libc::ENODEV)), "the dump is not whole");
        bytes[16..20].fill(0);
        assert_eq!(Messages(&bytes).next(), Some(Message::Done));
        bytes[0] = 3; // shorter than its own header
        assert_eq!(Messages(&bytes).next(), None);
    }
}

//! The routing netlink socket: requests go out together in one datagram, which the kernel works off in order, and
//! every answer is heard before the next ones go.

use std::io;

use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::sys::protocols::NETLINK_ROUTE;
use rtnetlink::sys::{Socket, SocketAddr};

/// No message is longer; and the kernel fills half of it at a time when it lists something.
const BUFFER: usize = 1 << 16;
const HEADER: usize = 16;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;

/// One message.
pub type Message = NetlinkMessage<RouteNetlinkMessage>;

/// An open socket.
pub struct Door {
    socket: Socket,
    next: u32,
    buffer: Vec<u8>,
}

impl Door {
    /// Opens it in the thread's network namespace.
    ///
    /// # Errors
    /// Those of socket(2), bind(2) and connect(2).
    pub fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        // Without these two (4.12, 4.20) errors come without text and dumps without filters; neither is needed.
        let _ = socket.set_ext_ack(true);
        let _ = socket.set_netlink_get_strict_chk(true);
        Ok(Self { socket, next: 1, buffer: Vec::with_capacity(BUFFER) })
    }

    /// Sends the requests, and hands on each answer, unread, with the place of its request. The last request must be
    /// one that is always answered: with an acknowledgement, or with a list. The others need not be: what the kernel
    /// refuses it says in any case, and when the last one is answered they are done.
    ///
    /// # Errors
    /// Those of send(2) and recv(2): then nobody knows what was done.
    pub fn exchange(&mut self, requests: &mut [Message], mut hear: impl FnMut(usize, Heard)) -> io::Result<()> {
        let first = self.next;
        self.next = first.wrapping_add(requests.len() as u32);
        self.socket.send(&datagram(requests, first), 0)?;
        loop {
            self.receive()?;
            for heard in Messages(&self.buffer) {
                let place = heard.number.wrapping_sub(first) as usize;
                // Anything else answers an exchange that was broken off.
                if place < requests.len() {
                    hear(place, heard);
                }
                if place + 1 == requests.len() && heard.is_end() {
                    return Ok(());
                }
            }
        }
    }

    fn receive(&mut self) -> io::Result<()> {
        loop {
            self.buffer.clear();
            match self.socket.recv(&mut self.buffer, libc::MSG_TRUNC) {
                Ok(length) if length <= self.buffer.len() => return Ok(()),
                Ok(_) => return Err(io::Error::from_raw_os_error(libc::EMSGSIZE)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// The requests, one behind the other, numbered.
fn datagram(requests: &mut [Message], first: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (place, request) in requests.iter_mut().enumerate() {
        request.header.sequence_number = first.wrapping_add(place as u32);
        request.finalize();
        let (start, length) = (bytes.len(), request.buffer_len());
        bytes.resize(start + align(length), 0);
        request.serialize(&mut bytes[start..start + length]);
    }
    bytes
}

/// A message as it came.
#[derive(Clone, Copy, Debug)]
pub struct Heard<'a> {
    /// RTM_*, or one of netlink's own.
    pub kind: u16,
    /// NLM_F_*.
    pub flags: u16,
    number: u32,
    /// All of it.
    bytes: &'a [u8],
}

impl<'a> Heard<'a> {
    /// Whether it ends a list or answers a request that has no other answer.
    pub fn is_end(&self) -> bool {
        [NLMSG_DONE, NLMSG_ERROR].contains(&self.kind)
    }

    /// What stands behind the header.
    pub fn body(&self) -> &'a [u8] {
        self.bytes.get(HEADER..).unwrap_or_default()
    }

    /// Reads it; None for what the packet crate cannot read, which is as good as what this program has no use for.
    pub fn payload(&self) -> Option<NetlinkPayload<RouteNetlinkMessage>> {
        Message::deserialize(self.bytes).ok().map(|message| message.payload)
    }
}

/// The messages of a datagram; ends where one says that it is longer than what there is.
struct Messages<'a>(&'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = Heard<'a>;

    fn next(&mut self) -> Option<Heard<'a>> {
        let half = |bytes: &[u8], at| Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
        let word = |bytes: &[u8], at| Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let length = word(self.0, 0)? as usize;
        let bytes = self.0.get(..length).filter(|message| message.len() >= HEADER)?;
        self.0 = self.0.get(align(length)..).unwrap_or_default();
        Some(Heard { kind: half(bytes, 4)?, flags: half(bytes, 6)?, number: word(bytes, 8)?, bytes })
    }
}

fn align(length: usize) -> usize {
    (length + 3) & !3
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtnetlink::packet_route::link::{LinkAttribute, LinkMessage};

    #[test]
    fn requests_go_into_one_datagram_and_are_found_in_it_again() {
        let mut link = LinkMessage::default();
        link.attributes.push(LinkAttribute::IfName("blue".into()));
        let request = NetlinkMessage::from(RouteNetlinkMessage::GetLink(link));
        let bytes = datagram(&mut [request.clone(), request], 7);
        let numbers = Messages(&bytes).map(|message| (message.kind, message.number));
        assert_eq!(numbers.collect::<Vec<_>>(), [(18, 7), (18, 8)]);
        assert!(Messages(&bytes).all(|message| matches!(message.payload(), Some(NetlinkPayload::InnerMessage(_)))));
    }

    #[test]
    fn a_length_that_cannot_be_ends_the_datagram() {
        let mut bytes = vec![0; 40];
        bytes[0] = 20;
        for wrong in [0u8, 15, 21] {
            bytes[20] = wrong;
            assert_eq!(Messages(&bytes).count(), 1, "{wrong}");
        }
        assert_eq!(Messages(&bytes[..3]).count(), 0);
    }
}

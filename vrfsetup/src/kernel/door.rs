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

    /// Sends the requests, and hands on each answer with the place of its request. The last request must be one that is
    /// always answered: with an acknowledgement, or with a list. The others need not be: what the kernel refuses it
    /// says in any case, and when the last one is answered they are done.
    ///
    /// # Errors
    /// Those of send(2) and recv(2): then nobody knows what was done.
    pub fn exchange(&mut self, requests: &mut [Message], mut hear: impl FnMut(usize, Message)) -> io::Result<()> {
        let first = self.next;
        self.next = first.wrapping_add(requests.len() as u32);
        self.socket.send(&datagram(requests, first), 0)?;
        loop {
            self.receive()?;
            for bytes in Messages(&self.buffer) {
                // What the packet crate cannot read is passed over, as what this program has no use for.
                let Ok(message) = NetlinkMessage::deserialize(bytes) else { continue };
                let place = message.header.sequence_number.wrapping_sub(first) as usize;
                let is_end = matches!(message.payload, NetlinkPayload::Done(_) | NetlinkPayload::Error(_));
                // Anything else answers an exchange that was broken off.
                if place < requests.len() {
                    hear(place, message);
                }
                if is_end && place + 1 == requests.len() {
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

/// The messages of a datagram, header and all; ends where one says that it is longer than what there is.
struct Messages<'a>(&'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let length = u32::from_ne_bytes(self.0.get(..4)?.try_into().ok()?) as usize;
        let message = self.0.get(..length).filter(|message| message.len() >= HEADER)?;
        self.0 = self.0.get(align(length)..).unwrap_or_default();
        Some(message)
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
        let numbers = Messages(&bytes).map(|message| Message::deserialize(message).unwrap().header.sequence_number);
        assert_eq!(numbers.collect::<Vec<_>>(), [7, 8]);
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

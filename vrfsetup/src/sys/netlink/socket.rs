//! A netlink socket of any protocol: requests go out together in one datagram, which the kernel works off in order, and
//! every reply is read before the next ones go.

use std::io;

use rtnetlink::sys::{Socket as RawSocket, SocketAddr};

use super::reply::{Message, Replies, Reply, align};

/// No message is longer; and the kernel fills half of it at a time when it lists something.
const BUFFER: usize = 1 << 16;

/// Where the number of a request stands in its header.
const NUMBER: std::ops::Range<usize> = 8..12;

/// An open socket.
pub struct Socket {
    raw: RawSocket,
    next: u32,
    buffer: Vec<u8>,
}

impl Socket {
    /// Opens it in the thread's network namespace. `protocol` is NETLINK_*.
    ///
    /// # Errors
    /// Those of socket(2), bind(2) and connect(2).
    pub fn open(protocol: isize) -> io::Result<Self> {
        let mut raw = RawSocket::new(protocol)?;
        raw.bind_auto()?;
        raw.connect(&SocketAddr::new(0, 0))?;
        Ok(Self { raw, next: 1, buffer: Vec::with_capacity(BUFFER) })
    }

    /// Has the kernel send errors with text (4.12) and dumps with filters (4.20), where it can; neither is needed.
    pub fn ask_for_details(&self) {
        let _ = self.raw.set_ext_ack(true);
        let _ = self.raw.set_netlink_get_strict_chk(true);
    }

    /// Sends the requests, each with its header, and hands on each reply with the place of its request. The last
    /// request must be one that is always answered: with an acknowledgement, or with a list. The others need not be:
    /// what the kernel refuses it says in any case, and when the last one is answered they are done.
    ///
    /// # Errors
    /// Those of send(2) and recv(2): then nobody knows what was done.
    pub fn exchange(&mut self, requests: &[Vec<u8>], mut on_reply: impl FnMut(usize, Reply)) -> io::Result<()> {
        let first = self.next;
        self.next = first.wrapping_add(requests.len() as u32);
        self.raw.send(&datagram(requests, first), 0)?;
        loop {
            self.receive()?;
            for reply in Replies(&self.buffer) {
                let place = reply.number.wrapping_sub(first) as usize;
                // Anything else answers an exchange that was broken off.
                if place < requests.len() {
                    on_reply(place, reply);
                }
                if place + 1 == requests.len() && reply.is_end() {
                    return Ok(());
                }
            }
        }
    }

    fn receive(&mut self) -> io::Result<()> {
        loop {
            self.buffer.clear();
            match self.raw.recv(&mut self.buffer, libc::MSG_TRUNC) {
                Ok(length) if length <= self.buffer.len() => return Ok(()),
                Ok(_) => return Err(io::Error::from_raw_os_error(libc::EMSGSIZE)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// A request of routing netlink as it is sent.
pub fn bytes_of(mut request: Message) -> Vec<u8> {
    request.finalize();
    let mut bytes = vec![0; request.buffer_len()];
    request.serialize(&mut bytes);
    bytes
}

/// The requests, one behind the other, numbered.
fn datagram(requests: &[Vec<u8>], first: u32) -> Vec<u8> {
    let mut datagram = Vec::new();
    for (place, request) in requests.iter().enumerate() {
        let start = datagram.len();
        datagram.extend(request);
        datagram.resize(start + align(request.len()), 0);
        let number = first.wrapping_add(place as u32);
        datagram[start..][NUMBER].copy_from_slice(&number.to_ne_bytes());
    }
    datagram
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtnetlink::packet_route::RouteNetlinkMessage;
    use rtnetlink::packet_route::link::{LinkAttribute, LinkMessage};

    #[test]
    fn requests_go_into_one_datagram_and_are_found_in_it_again() {
        let mut link = LinkMessage::default();
        link.attributes.push(LinkAttribute::IfName("blue".into()));
        let request = bytes_of(Message::from(RouteNetlinkMessage::GetLink(link)));
        let bytes = datagram(&[request.clone(), request], 7);
        let numbers = Replies(&bytes).map(|message| (message.kind, message.number));
        assert_eq!(numbers.collect::<Vec<_>>(), [(18, 7), (18, 8)]);
        assert!(Replies(&bytes).all(|message| message.message().is_some()));
    }
}

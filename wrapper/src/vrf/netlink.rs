//! A netlink socket, of routing or of socket diagnosis: one request, its answers. What they mean is read by `vrfnl`.

use std::os::fd::{AsRawFd, OwnedFd};

use crate::error::Error;
use crate::sys::{self, syscall};
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, send, socket};
use vrfnl::{Message, Messages, Request};

/// The kernel makes the pieces of a dump as large as this, fills them with zeros first, and adds what it keeps for itself (320
/// bytes): two pages, then. Routes by hundreds of gateways are longer, and links with dozens of alternative names.
const BUFFER: usize = 8 * 1024 - 320;
/// The kernel makes no larger ones.
const LARGEST: usize = 32 * 1024;
/// The kernel knows of a larger buffer when it has been read into. Names may be added meanwhile; more often than this it is
/// something else.
const TRIES: usize = 8;

/// A routing socket in the current network namespace.
pub struct Netlink {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

impl Netlink {
    /// Opens it. Its dumps obey their filters.
    pub fn open() -> Result<Self, Error> {
        Self::connect().map_err(Error::NoRouting)
    }

    /// The same, with the kernel's own words.
    pub fn connect() -> nix::Result<Self> {
        let netlink = Self::open_lenient()?;
        set_strict_check(&netlink.socket);
        Ok(netlink)
    }

    /// Opens it with a call less, for dumps whose filters older kernels obey as well: the ports of a link.
    pub fn open_lenient() -> nix::Result<Self> {
        Self::of(SockProtocol::NetlinkRoute)
    }

    /// Opens one of socket diagnosis.
    pub fn open_sockets() -> nix::Result<Self> {
        Self::of(SockProtocol::NetlinkSockDiag)
    }

    fn of(protocol: SockProtocol) -> nix::Result<Self> {
        let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
        Ok(Self { socket, buffer: Vec::with_capacity(BUFFER) })
    }

    /// Asks, and hands each message of the answer to `each`; a dump has many, anything else one.
    /// EMSGSIZE: one of them was longer than the buffer, which has room for it now (see [`Self::with_room`]).
    pub fn ask(&mut self, request: &Request, is_dump: bool, mut each: impl FnMut(&[u8])) -> nix::Result<()> {
        self.exchange(request, is_dump, |body| {
            each(body);
            true
        })
    }

    /// Asks for a dump and reads while `goes_on` says true. Returns whether the dump was read to its end: otherwise the rest
    /// stays unread in the socket. EMSGSIZE as for [`Self::ask`].
    pub fn read_while(&mut self, request: &Request, mut goes_on: impl FnMut(&[u8]) -> bool) -> nix::Result<bool> {
        let mut is_read = true;
        self.exchange(request, true, |body| {
            is_read = goes_on(body);
            is_read
        })?;
        Ok(is_read)
    }

    /// Does this from its beginning until there is room for all answers.
    pub fn with_room<T>(&mut self, mut work: impl FnMut(&mut Self) -> nix::Result<T>) -> nix::Result<T> {
        (1..TRIES)
            .map(|_| work(self))
            .find(|outcome| !matches!(outcome, Err(Errno::EMSGSIZE)))
            .unwrap_or_else(|| work(self))
    }

    /// What is read of the links in the answer to a dump.
    pub fn links<T>(&mut self, request: &Request, mut read: impl FnMut(&[u8]) -> Option<T>) -> nix::Result<Vec<T>> {
        self.with_room(|netlink| {
            let mut links = Vec::new();
            netlink.ask(request, true, |body| links.extend(read(body)))?;
            Ok(links)
        })
    }

    fn exchange(
        &mut self,
        request: &Request,
        is_dump: bool,
        mut goes_on: impl FnMut(&[u8]) -> bool,
    ) -> nix::Result<()> {
        let request = request.as_bytes();
        // Of what was not sent no answer would ever come.
        if send(self.socket.as_raw_fd(), request, MsgFlags::empty())? != request.len() {
            return Err(Errno::EIO);
        }
        let mut longest = 0;
        loop {
            self.buffer.clear();
            longest = syscall::receive_into_room(&self.socket, &mut self.buffer)?.max(longest);
            let is_cut = longest > self.buffer.capacity();
            for message in Messages(&self.buffer) {
                match message {
                    // A piece of the dump had no room for even one message.
                    Message::Error(libc::EMSGSIZE) => return Err(self.make_room(LARGEST)),
                    Message::Error(errno) if errno != 0 => return Err(Errno::from_raw(errno)),
                    Message::Error(_) | Message::Done if is_cut => return Err(self.make_room(longest)),
                    Message::Error(_) | Message::Done => return Ok(()),
                    // The rest of a dump is read before it is asked for again.
                    Message::Data(..) if is_cut => {}
                    Message::Data(_, body) if !goes_on(body) || !is_dump => return Ok(()),
                    Message::Data(..) => {}
                }
            }
            if is_cut && !is_dump {
                return Err(self.make_room(longest));
            }
        }
    }

    /// For the next answer.
    fn make_room(&mut self, length: usize) -> Errno {
        self.buffer.clear();
        self.buffer.reserve(length);
        Errno::EMSGSIZE
    }
}

/// Makes dumps obey their filters (4.20); without it they send more, and the reader sorts it out.
fn set_strict_check(netlink: &OwnedFd) {
    let on: libc::c_int = 1;
    // Failure only means an older kernel.
    let _ = sys::socket::set(netlink, libc::SOL_NETLINK, libc::NETLINK_GET_STRICT_CHK, &on.to_ne_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use vrfnl::link;

    fn index(body: &[u8]) -> Option<u32> {
        link::parse(body).map(|link| link.ifindex)
    }

    /// One that has no room for any link, nor for its name.
    fn small() -> Netlink {
        Netlink { buffer: Vec::with_capacity(36), ..Netlink::connect().unwrap() }
    }

    #[test]
    fn an_answer_that_has_no_room_is_asked_for_again() {
        let mut found = None;
        let mut ask = |netlink: &mut Netlink| {
            netlink.ask(&link::get(b"lo").unwrap(), false, |body| found = link::name(body).map(<[u8]>::to_vec))
        };
        small().with_room(&mut ask).unwrap();
        assert_eq!(found.as_deref(), Some(&b"lo"[..]));
    }

    #[test]
    fn a_list_with_a_link_that_has_no_room_is_read_again() {
        let (all, mut netlink) = (link::ports(0), small());
        assert!(netlink.ask(&all, true, |body| panic!("{body:?}")) == Err(Errno::EMSGSIZE));
        assert!(netlink.links(&all, index).unwrap().contains(&1), "there is room for it now");
        assert!(small().links(&all, index).unwrap().contains(&1));
    }
}

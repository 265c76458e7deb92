//! A routing netlink socket: one request, its answers. What they mean is read by `vrfnl`.

use std::os::fd::{AsRawFd, OwnedFd};

use crate::error::Error;
use crate::sys::{self, syscall};
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, send, socket};
use vrfnl::{Message, Messages, Request};

/// Enough for one link with all its attributes; dumps come in pieces of at most this size.
const BUFFER: usize = 32 * 1024;

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
        let kind = SockType::Raw;
        let socket = socket(AddressFamily::Netlink, kind, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute)?;
        Ok(Self { socket, buffer: Vec::with_capacity(BUFFER) })
    }

    /// Asks, and hands each message of the answer to `each`; a dump has many, anything else one.
    pub fn ask(&mut self, request: &Request, is_dump: bool, mut each: impl FnMut(&[u8])) -> nix::Result<()> {
        self.exchange(request, is_dump, |body| {
            each(body);
            true
        })
    }

    /// Asks for a dump and reads while `goes_on` says true. Returns the socket only if the dump was read to its end:
    /// otherwise the rest stays unread in it.
    pub fn read_while(
        mut self,
        request: &Request,
        mut goes_on: impl FnMut(&[u8]) -> bool,
    ) -> nix::Result<Option<Self>> {
        let mut is_read = true;
        self.exchange(request, true, |body| {
            is_read = goes_on(body);
            is_read
        })?;
        Ok(is_read.then_some(self))
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
        loop {
            self.buffer.clear();
            syscall::read_into_room(&self.socket, &mut self.buffer)?;
            for message in Messages(&self.buffer) {
                match message {
                    Message::Error(errno) if errno != 0 => return Err(Errno::from_raw(errno)),
                    Message::Error(_) | Message::Done => return Ok(()),
                    Message::Data(_, body) if !goes_on(body) || !is_dump => return Ok(()),
                    Message::Data(..) => {}
                }
            }
        }
    }
}

/// Makes dumps obey their filters (4.20); without it they send more, and the reader sorts it out.
fn set_strict_check(netlink: &OwnedFd) {
    let on: libc::c_int = 1;
    // Failure only means an older kernel.
    let _ = sys::socket::set(netlink, libc::SOL_NETLINK, libc::NETLINK_GET_STRICT_CHK, &on.to_ne_bytes());
}

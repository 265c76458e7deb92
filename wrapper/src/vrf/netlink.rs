//! A routing netlink socket: one request, its answers. What they mean is read by `vrfnl`.

use std::os::fd::{AsRawFd, OwnedFd};

use crate::error::Error;
use crate::sys;
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};
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
        let netlink = Self::open_lenient()?;
        set_strict_check(&netlink.socket);
        Ok(netlink)
    }

    /// Opens it with a call less, for dumps whose filters older kernels obey as well: the ports of a link.
    pub fn open_lenient() -> Result<Self, Error> {
        let kind = SockType::Raw;
        let socket = socket(AddressFamily::Netlink, kind, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute)
            .map_err(Error::kernel("open a routing socket"))?;
        Ok(Self { socket, buffer: vec![0; BUFFER] })
    }

    /// Asks, and hands each message of the answer to `each`; a dump has many, anything else one.
    pub fn ask(&mut self, request: &Request, is_dump: bool, mut each: impl FnMut(&[u8])) -> nix::Result<()> {
        self.exchange(request, is_dump, |body| {
            each(body);
            true
        })
    }

    /// Asks for a dump and reads until `found` says true. Takes the socket along, for the rest stays unread in it.
    pub fn search(mut self, request: &Request, mut found: impl FnMut(&[u8]) -> bool) -> nix::Result<bool> {
        let mut is_found = false;
        self.exchange(request, true, |body| {
            is_found = found(body);
            !is_found
        })?;
        Ok(is_found)
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
            let length = recv(self.socket.as_raw_fd(), &mut self.buffer, MsgFlags::empty())?;
            for message in Messages(&self.buffer[..length]) {
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

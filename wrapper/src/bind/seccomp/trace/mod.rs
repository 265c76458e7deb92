//! What the supervisor writes down under `--trace`: each inet socket that is asked for, and each connection, on the standard
//! error that vrfrun was given. Decides nothing: a call ends as it would without.
//!
//! What is asked for by pointers is read at one moment: a program whose other threads write there meanwhile can connect
//! elsewhere than the line says. The device of a socket that connects is the kernel's own word.

mod line;

use std::cell::Cell;
use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::bind::seccomp::callers::Callers;
use crate::bind::seccomp::create::{UNBINDABLE, Wanted};
use crate::bind::seccomp::filter::asked::{Connect, Cookie};
use crate::error::{self, text};
use crate::options::{Mechanism, TraceFormat};
use crate::sys::socket;
use crate::vrf::device::Device;
use line::{Bound, Call, Line};

/// What a trace needs to know of the run.
pub struct About<'a> {
    /// How lines are written.
    pub format: TraceFormat,
    /// Who binds what the supervisor does not; None outside any VRF.
    pub by: Option<&'static str>,
    /// The device; None outside any VRF.
    pub device: Option<&'a Device>,
    /// The shim's cookie.
    pub cookie: Option<u64>,
}

/// What became of a socket.
#[derive(Clone, Copy, Debug)]
pub enum Made {
    /// The supervisor bound it.
    BySupervisor,
    /// The kernel makes it, and whoever the trace is about binds it.
    ByOther,
    /// The kernel makes it in another network namespace.
    Elsewhere,
    /// It was refused.
    Failed(Errno),
}

/// Who waits for the end of a call.
pub struct Caller<'a> {
    pub callers: &'a Callers,
    /// The thread.
    pub pid: u32,
    /// Whether it still waits: only then does its number stand for it.
    pub is_valid: &'a dyn Fn() -> bool,
    /// Where calls come from, which tells when nobody is left.
    pub listener: BorrowedFd<'a>,
}

impl Caller<'_> {
    fn is_elsewhere(&self) -> bool {
        self.callers.is_elsewhere(self.pid)
    }
}

/// Writes it down.
pub struct Trace<'a> {
    about: &'a About<'a>,
    /// Its other end is vrfrun's, and exec closes it: before that it is vrfrun itself whose sockets are seen.
    until_exec: OwnedFd,
    has_begun: Cell<bool>,
}

impl<'a> Trace<'a> {
    /// Begins when nobody has the other end of this connection any more.
    pub fn new(about: &'a About<'a>, until_exec: OwnedFd) -> Self {
        Self { about, until_exec, has_begun: Cell::new(false) }
    }

    /// Whether the shim asks for this socket, and binds it.
    pub fn is_shims(&self, cookie: Option<Cookie>) -> bool {
        self.about.cookie.is_some_and(|shims| cookie.is_some_and(|cookie| cookie.is(shims)))
    }

    /// A socket is asked for.
    pub fn socket(&self, caller: &Caller, wanted: Wanted, made: Made) {
        let Wanted { domain, kind, protocol } = wanted;
        let is_shown = vrfabi::socket::is_routed(domain) || UNBINDABLE.contains(&domain);
        if !is_shown || !self.has_begun() {
            return;
        }
        let device = self.about.device.map(|device| text(&device.name));
        let (by, bound) = match made {
            Made::BySupervisor => (Some(Mechanism::Seccomp.name()), device.map_or(Bound::Nowhere, Bound::To)),
            Made::Failed(errno) => (None, Bound::Failed(errno)),
            Made::Elsewhere => (None, Bound::Elsewhere),
            Made::ByOther if caller.is_elsewhere() => (None, Bound::Elsewhere),
            // Its inner sockets say nothing.
            Made::ByOther if UNBINDABLE.contains(&domain) => (None, Bound::Unknown),
            Made::ByOther => (self.about.by, device.map_or(Bound::Nowhere, Bound::For)),
        };
        let socket = Some((domain, kind, protocol));
        self.write(caller, |pid, program| Line { pid, program, call: Call::Socket, socket, by, bound });
    }

    /// A socket is to be connected.
    pub fn connect(&self, caller: &Caller, connect: Connect) {
        if !self.has_begun() {
            return;
        }
        let copy = caller.callers.descriptor(caller.pid, connect.fd).ok();
        let socket = copy.as_ref().and_then(|copy| numbers_of(copy).ok());
        let destination = match destination(caller, connect) {
            Ok(Some(address)) => Some(address),
            // Of a program that may not be looked into, every connection is shown.
            Err(_) if socket.is_none_or(|(domain, ..)| vrfabi::socket::is_routed(domain)) => None,
            // Another family, or an association that is dissolved.
            Ok(None) | Err(_) => return,
        };
        let bound = match copy.map(|copy| socket::device_of(&copy)) {
            _ if caller.is_elsewhere() => Bound::Elsewhere,
            Some(Ok(Some(device))) => Bound::To(text(&device)),
            Some(Ok(None)) => Bound::Nowhere,
            Some(Err(_)) | None => Bound::Unknown,
        };
        let call = Call::Connect(destination);
        self.write(caller, |pid, program| Line { pid, program, call, socket, by: None, bound });
    }

    fn write(&self, caller: &Caller, line: impl FnOnce(u32, String) -> Line) {
        let (pid, program) = caller.callers.process(caller.pid).unwrap_or_else(|_| (caller.pid, "?".into()));
        let line = line(pid, program);
        if (caller.is_valid)() && can_write(caller.listener) {
            match self.about.format {
                TraceFormat::Text => error::note(&line),
                TraceFormat::Json => error::say(&line.json()),
            }
        }
    }

    fn has_begun(&self) -> bool {
        if !self.has_begun.get() {
            let mut other_end = [PollFd::new(self.until_exec.as_fd(), PollFlags::empty())];
            let is_closed = poll(&mut other_end, PollTimeout::ZERO).is_ok_and(|ready| ready > 0);
            self.has_begun.set(is_closed);
        }
        self.has_begun.get()
    }
}

/// Waits until standard error takes a line: a full one that does not block would lose it. False where no client is left
/// who would wait for that.
fn can_write(listener: BorrowedFd) -> bool {
    let stderr = io::stderr();
    let wanted = PollFlags::POLLOUT;
    let mut both = [PollFd::new(stderr.as_fd(), wanted), PollFd::new(listener, PollFlags::empty())];
    poll(&mut both, PollTimeout::NONE).is_ok() && both[0].any().unwrap_or(true)
}

/// Family, type and protocol.
fn numbers_of(socket: &OwnedFd) -> nix::Result<(i32, i32, i32)> {
    Ok((socket::domain_of(socket)?, socket::type_of(socket)?, socket::protocol_of(socket)?))
}

/// None: it is no address of IPv4 or IPv6.
fn destination(caller: &Caller, connect: Connect) -> nix::Result<Option<SocketAddr>> {
    let mut bytes = [0; size_of::<libc::sockaddr_in6>()];
    let length = bytes.len().min(connect.length as usize);
    caller.callers.memory(caller.pid, connect.address, &mut bytes[..length])?;
    Ok(address(&bytes[..length]))
}

/// Reads a `sockaddr`.
fn address(bytes: &[u8]) -> Option<SocketAddr> {
    let family = u16::from_ne_bytes(*bytes.first_chunk()?);
    let port = u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?);
    match i32::from(family) {
        libc::AF_INET => {
            let ip: [u8; 4] = *bytes.get(4..)?.first_chunk()?;
            Some(SocketAddr::new(IpAddr::from(ip), port))
        }
        libc::AF_INET6 => {
            let ip: [u8; 16] = *bytes.get(8..)?.first_chunk()?;
            // RFC 2133's structure, which the kernel takes as well, ends here.
            let scope =
                bytes.get(24..).and_then(|rest| rest.first_chunk()).map_or(0, |scope| u32::from_ne_bytes(*scope));
            Some(SocketAddrV6::new(ip.into(), port, 0, scope).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_the_kernel_reads_them() {
        let mut v4 = vec![2, 0, 1, 187, 192, 0, 2, 1];
        assert_eq!(address(&v4).map(|address| address.to_string()), Some("192.0.2.1:443".into()));
        let v6 = [&[10, 0, 1, 187, 0, 0, 0, 0, 0xfe, 0x80][..], &[0; 13], &[1, 3, 0, 0, 0]].concat();
        assert_eq!(address(&v6).map(|address| address.to_string()), Some("[fe80::1%3]:443".into()));
        assert_eq!(address(&v6[..24]).map(|address| address.to_string()), Some("[fe80::1]:443".into()));
        for length in 0..8 {
            assert_eq!(address(&v4[..length]), None);
        }
        for family in [0, 1, 16] {
            v4[0] = family; // AF_UNSPEC, AF_UNIX, AF_NETLINK
            assert_eq!(address(&v4), None);
        }
    }
}

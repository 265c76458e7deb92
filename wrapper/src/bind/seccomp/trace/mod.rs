//! What the supervisor writes down under `--trace`: each inet socket that is asked for, and each connection, on the standard
//! error that vrfrun was given. Decides nothing: a call ends as it would without.
//!
//! What is asked for by pointers is read at one moment: a program whose other threads write there meanwhile can connect
//! elsewhere than the line says. The device of a socket that connects is the kernel's own word.

mod line;

use std::cell::Cell;
use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, OwnedFd};

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

    /// A socket is asked for. `is_valid` says whether the caller still waits: only then does its number stand for it.
    pub fn socket(&self, callers: &Callers, pid: u32, wanted: Wanted, made: Made, is_valid: impl Fn() -> bool) {
        let Wanted { domain, kind, protocol } = wanted;
        let is_shown = vrfabi::socket::is_routed(domain) || UNBINDABLE.contains(&domain);
        if !is_shown || !self.has_begun() {
            return;
        }
        let own = |by| (by, self.about.device.map_or(Bound::Nowhere, |device| Bound::To(text(&device.name))));
        let (by, bound) = match made {
            Made::BySupervisor => own(Some(Mechanism::Seccomp.name())),
            Made::Elsewhere => (None, Bound::Elsewhere),
            Made::ByOther if callers.is_elsewhere(pid) => (None, Bound::Elsewhere),
            // Its inner sockets say nothing.
            Made::ByOther if UNBINDABLE.contains(&domain) => (None, Bound::Unknown),
            Made::ByOther => own(self.about.by),
            Made::Failed(errno) => (None, Bound::Failed(errno)),
        };
        let socket = Some((domain, kind, protocol));
        self.write(callers, pid, |pid, program| Line { pid, program, call: Call::Socket, socket, by, bound }, is_valid);
    }

    /// A socket is to be connected.
    pub fn connect(&self, callers: &Callers, pid: u32, connect: Connect, is_valid: impl Fn() -> bool) {
        if !self.has_begun() {
            return;
        }
        let copy = callers.descriptor(pid, connect.fd).ok();
        let socket = copy.as_ref().and_then(|copy| numbers_of(copy).ok());
        let destination = match destination(callers, pid, connect) {
            Ok(Some(address)) => Some(address),
            Err(_) if socket.is_some_and(|(domain, ..)| vrfabi::socket::is_routed(domain)) => None,
            // Another family, an association that is dissolved, or nothing is known.
            Ok(None) | Err(_) => return,
        };
        let bound = match copy.map(|copy| socket::device_of(&copy)) {
            _ if callers.is_elsewhere(pid) => Bound::Elsewhere,
            Some(Ok(Some(device))) => Bound::To(text(&device)),
            Some(Ok(None)) => Bound::Nowhere,
            Some(Err(_)) | None => Bound::Unknown,
        };
        let call = Call::Connect(destination);
        self.write(callers, pid, |pid, program| Line { pid, program, call, socket, by: None, bound }, is_valid);
    }

    fn write(
        &self,
        callers: &Callers,
        thread: u32,
        line: impl FnOnce(u32, String) -> Line,
        is_valid: impl Fn() -> bool,
    ) {
        let (pid, program) = callers.process(thread).unwrap_or_else(|_| (thread, "?".into()));
        let line = line(pid, program);
        if is_valid() {
            // Of a stderr that does not block, a full one would lose the line.
            let stderr = io::stderr();
            let _ = poll(&mut [PollFd::new(stderr.as_fd(), PollFlags::POLLOUT)], PollTimeout::NONE);
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

/// Family, type and protocol.
fn numbers_of(socket: &OwnedFd) -> nix::Result<(i32, i32, i32)> {
    Ok((socket::domain_of(socket)?, socket::type_of(socket)?, socket::protocol_of(socket)?))
}

/// None: it is no address of IPv4 or IPv6.
fn destination(callers: &Callers, pid: u32, connect: Connect) -> nix::Result<Option<SocketAddr>> {
    let mut bytes = [0; size_of::<libc::sockaddr_in6>()];
    let length = bytes.len().min(connect.length as usize);
    callers.memory(pid, connect.address, &mut bytes[..length])?;
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

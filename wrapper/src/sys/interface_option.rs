//! Options by which a socket names the VRF besides its binding, for when the kernel takes that.
//!
//! `connect(AF_UNSPEC)` takes the binding from a datagram or raw socket, and what it sends then goes where these say; IPv4
//! multicast always does. For some of them the kernel looks at the binding, so that the order counts.

use std::os::fd::AsFd;

use nix::errno::Errno;

use crate::sys::socket;

/// An option that names an interface by its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InterfaceOption {
    /// IP_UNICAST_IF
    Unicast4,
    /// IPV6_UNICAST_IF: once the socket is bound, the kernel says EINVAL.
    Unicast6,
    /// IP_MULTICAST_IF: EINVAL for another interface than that which the socket is bound to.
    Multicast4,
    /// IPV6_MULTICAST_IF: likewise.
    Multicast6,
}

use InterfaceOption::{Multicast4, Multicast6, Unicast4, Unicast6};

/// Those that a socket of this family and type has, before and after it is bound.
pub fn of(domain: i32, kind: i32) -> (&'static [InterfaceOption], &'static [InterfaceOption]) {
    match (domain, kind) {
        (libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_RAW) => (&[Unicast4], &[Multicast4]),
        (libc::AF_INET6, libc::SOCK_DGRAM) => (&[Unicast4, Unicast6], &[Multicast4, Multicast6]),
        (libc::AF_INET6, libc::SOCK_RAW) => (&[Unicast6], &[Multicast6]),
        _ => (&[], &[]),
    }
}

/// Binds a socket to a device, and sets its options in their order.
pub fn bind(socket: &impl AsFd, name: &[u8], before: &[InterfaceOption], after: &[InterfaceOption]) -> nix::Result<()> {
    // A VRF that was made again under its name has another index.
    let index = if before.is_empty() { 0 } else { socket::index_by_name(socket, name)? };
    before.iter().try_for_each(|option| option.set(socket, &option.value(index)))?;
    socket::bind_to_device(socket, name)?;
    after.iter().try_for_each(|option| option.set(socket, &option.value(index)))
}

/// Whether the kernel knows the first of them (3.4).
pub fn is_known() -> bool {
    let socket = socket::open(libc::AF_INET, libc::SOCK_DGRAM, 0);
    socket.is_ok_and(|socket| Unicast4.set(&socket, &Unicast4.value(0)).is_ok())
}

/// A socket as somebody else has left it: whether it is bound, and its options.
#[derive(Debug)]
pub struct Former {
    is_bound: bool,
    before: Vec<(InterfaceOption, Vec<u8>)>,
    after: Vec<(InterfaceOption, Vec<u8>)>,
}

impl Former {
    /// Reads it.
    pub fn of(socket: &impl AsFd) -> nix::Result<Self> {
        let (before, after) = of(socket::domain_of(socket)?, socket::type_of(socket)?);
        let read = |options: &[InterfaceOption]| {
            options.iter().map(|option| Ok((*option, option.get(socket)?))).collect::<nix::Result<Vec<_>>>()
        };
        Ok(Self { is_bound: socket::device_of(socket)?.is_some(), before: read(before)?, after: read(after)? })
    }

    /// Whether it was bound.
    pub fn is_bound(&self) -> bool {
        self.is_bound
    }

    /// Binds the socket to a device, unless it is bound to that already, and sets those options that say something else. EPERM:
    /// it is bound, and to name the device in IPV6_UNICAST_IF it would have to be unbound for a moment.
    pub fn bind(&self, socket: &impl AsFd, name: &[u8]) -> nix::Result<()> {
        let index = if self.before.is_empty() { 0 } else { socket::index_by_name(socket, name)? };
        let set = |options: &[(InterfaceOption, Vec<u8>)]| {
            let wrong = options.iter().filter(|(option, value)| *value != option.value(index));
            wrong.map(|(option, _)| *option).try_for_each(|option| option.set(socket, &option.value(index)))
        };
        if !self.is_bound {
            set(&self.before)?;
            socket::bind_to_device(socket, name)?;
            return set(&self.after);
        }
        set(&self.after)?;
        match set(&self.before) {
            Err(Errno::EINVAL) => {
                socket::bind_to_device(socket, b"\0")?;
                set(&self.before).and(socket::bind_to_device(socket, name))
            }
            outcome => outcome,
        }
    }

    /// Undoes it. EPERM: to unbind a socket takes CAP_NET_RAW. An interface that has gone meanwhile is none; so is the one that
    /// IP_MULTICAST_IF has named by its index, which nobody can read.
    pub fn restore(&self, socket: &impl AsFd, name: &[u8]) -> nix::Result<()> {
        let unbound = socket::bind_to_device(socket, b"\0");
        if !self.is_bound {
            unbound?;
        }
        for (option, value) in self.before.iter().chain(&self.after) {
            let _ = option.set(socket, value).or_else(|_| option.set(socket, &option.value(0)));
        }
        if self.is_bound && unbound.is_ok() { socket::bind_to_device(socket, name) } else { Ok(()) }
    }
}

const IP_UNICAST_IF: i32 = 50;
const IPV6_UNICAST_IF: i32 = 76;
/// `struct ip_mreqn`: two addresses, and the index.
const MULTICAST_REQUEST: usize = 12;

impl InterfaceOption {
    fn name(self) -> (i32, i32) {
        match self {
            Unicast4 => (libc::IPPROTO_IP, IP_UNICAST_IF),
            Unicast6 => (libc::IPPROTO_IPV6, IPV6_UNICAST_IF),
            Multicast4 => (libc::IPPROTO_IP, libc::IP_MULTICAST_IF),
            Multicast6 => (libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_IF),
        }
    }

    /// The value that names this interface; 0 is none.
    fn value(self, index: u32) -> Vec<u8> {
        match self {
            Unicast4 | Unicast6 => index.to_be_bytes().to_vec(),
            Multicast4 => [&[0; 8][..], &index.to_ne_bytes()].concat(),
            Multicast6 => index.to_ne_bytes().to_vec(),
        }
    }

    fn set(self, socket: &impl AsFd, value: &[u8]) -> nix::Result<()> {
        let (level, option) = self.name();
        socket::set(socket, level, option, value)
    }

    /// The value by which `set` makes it so again. Of IP_MULTICAST_IF the kernel tells the address only.
    fn get(self, socket: &impl AsFd) -> nix::Result<Vec<u8>> {
        let ((level, option), mut value) = (self.name(), [0; 4]);
        socket::get_at(socket, level, option, &mut value)?;
        let mut bytes = value.to_vec();
        if self == Multicast4 {
            bytes.splice(0..0, [0; 4]);
            bytes.resize(MULTICAST_REQUEST, 0);
        }
        Ok(bytes)
    }
}

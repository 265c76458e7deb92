//! Verification: opens sockets, and asks the kernel which device they are bound to.
//!
//! Nothing else counts: not an environment variable, not a cgroup's name, not that an attach succeeded.

use std::ffi::OsString;
use std::os::fd::OwnedFd;

use nix::errno::Errno;

use crate::error::text;
use crate::error::unavailable::Unavailable;
use crate::sys::feature::Feature;
use crate::sys::seccomp;
use crate::sys::socket::{self, device_of};
use crate::vrf::device::Device;

/// The families whose sockets are bound, and how users call them.
const FAMILIES: [(libc::c_int, &str); 2] = [(libc::AF_INET, "IPv4"), (libc::AF_INET6, "IPv6")];

/// What the filter answers to sockets that nobody bound.
pub const DENIED: Errno = Errno::ENETUNREACH;

/// Why a socket is not bound to the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It is bound to nothing; the sentence that says so.
    Unbound(Unavailable),
    /// Anything else.
    Other(Unavailable),
}

impl From<Unavailable> for Failure {
    fn from(reason: Unavailable) -> Self {
        Failure::Other(reason)
    }
}

impl From<Failure> for Unavailable {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unbound(reason) | Failure::Other(reason) => reason,
        }
    }
}

/// An ordinary program's sockets, made without any help, are bound to the device.
pub fn is_bound(device: &Device) -> Result<(), Failure> {
    each_family(|domain, family| match opened(domain, family, None)? {
        Some(socket) => expect(&socket, device, family).map(|()| true),
        None => Ok(false),
    })
}

/// The same of a socket of the first family that the kernel has: enough where programs are known to be the right ones.
pub fn is_one_bound(device: &Device) -> Result<(), Failure> {
    for (domain, family) in FAMILIES {
        if let Some(socket) = opened(domain, family, None)? {
            let outcome = expect(&socket, device, family);
            std::mem::forget(socket); // left open for exec to close: saves a close(2)
            return outcome;
        }
    }
    Err(no_family().into())
}

/// A UDP socket that lost its device (connect(AF_UNSPEC)) has it again when it connects, or the call fails. Nothing is
/// sent.
pub fn is_bound_on_use(device: &Device) -> Result<(), Unavailable> {
    each_family(|domain, family| {
        let Some(socket) = opened(domain, family, None)? else { return Ok(false) };
        socket::dissolve(&socket).map_err(Unavailable::kernel("dissolve a socket's association"))?;
        match socket::connect_to_loopback(&socket, domain) {
            Err(Errno::EPERM) => Ok(true),
            _ => Ok(expect(&socket, device, family).map(|()| true)?),
        }
    })
}

/// MPTCP's inner sockets are in the VRF as well, or there is no MPTCP. The MPTCP socket itself says nothing of them.
pub fn holds_mptcp(device: &Device) -> bool {
    let Ok(socket) = socket::open(libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_MPTCP) else { return true };
    let is_plain = socket::protocol_of(&socket).is_ok_and(|protocol| protocol != libc::IPPROTO_MPTCP);
    // With a device that is no VRF two sockets are in each other's way in any case.
    let is_shared = || if device.table.is_some() { is_port_shared(&socket) } else { seccomp::is_filtered() };
    is_plain || is_bound_on_use(device).is_ok() || is_shared()
}

/// A second socket, which is bound, cannot have the port of the first: so the first is in the same VRF.
fn is_port_shared(mptcp: &OwnedFd) -> bool {
    let Ok(tcp) = socket::open(libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_TCP) else { return false };
    let port = socket::bind_to_port(mptcp, 0);
    port.is_ok_and(|port| socket::bind_to_port(&tcp, port) == Err(Errno::EADDRINUSE))
}

/// An ordinary program's sockets are denied, and those that carry the cookie can be bound.
pub fn is_gated(device: &Device, cookie: u64) -> Result<(), Unavailable> {
    each_family(|domain, family| match open(domain, None) {
        Err(DENIED) => can_bind(device, domain, family, Some(cookie)),
        Err(errno) => Err(not_opened(family, errno)),
        Ok(_) => Err(Unavailable::new(format!("the filter let an unbound {family} socket through"))),
    })
}

/// An ordinary program's sockets are bound by the supervisor, and those that carry the cookie can be bound.
pub fn is_supervised(device: &Device, cookie: Option<u64>) -> Result<(), Unavailable> {
    is_bound(device)?;
    cookie.map_or(Ok(()), |cookie| is_bindable(device, Some(cookie)))
}

/// A socket of this process can be bound to the device.
pub fn is_bindable(device: &Device, cookie: Option<u64>) -> Result<(), Unavailable> {
    each_family(|domain, family| can_bind(device, domain, family, cookie))
}

/// The device that an ordinary socket of this process is bound to. Err if none can be opened.
pub fn binding() -> nix::Result<Option<OsString>> {
    device_of(&open(libc::AF_INET, None)?)
}

/// False if the kernel does not have the family.
fn can_bind(device: &Device, domain: i32, family: &str, cookie: Option<u64>) -> Result<bool, Unavailable> {
    let Some(socket) = opened(domain, family, cookie)? else { return Ok(false) };
    match device_of(&socket) {
        Ok(Some(other)) if other != device.name => return Err(ancestor_bound(&other)),
        // A second binding, even to the same device, needs CAP_NET_RAW, which the supervisor does not have in effect.
        Ok(Some(_)) => {
            if holds_mptcp(device) {
                return Err(Unavailable::new(format!("something binds sockets to '{}' already", text(&device.name))));
            }
            return Err(Unavailable::new(
                "another cgroup's BPF program binds sockets already, but not those inside MPTCP",
            )
            .hint("run it as root with -m bpf, or switch MPTCP off: sysctl net.mptcp.enabled=0"));
        }
        _ => {}
    }
    match socket::bind_to_device(&socket, device.name_bytes()) {
        Err(Errno::EPERM) => {
            return Err(
                Unavailable::new(Feature::UnprivilegedBind.missing()).hint("run it as root, or give it CAP_NET_RAW")
            );
        }
        Err(Errno::ENOPROTOOPT) => return Err(Unavailable::new(Feature::BoundDevice.missing())),
        Err(errno) => return Err(Unavailable::kernel(format!("bind an {family} socket"))(errno)),
        Ok(()) => {}
    }
    Ok(expect(&socket, device, family).map(|()| true)?)
}

fn expect(socket: &OwnedFd, device: &Device, family: &str) -> Result<(), Failure> {
    match device_of(socket).map_err(unreadable)? {
        Some(name) if name == device.name => Ok(()),
        Some(name) => Err(ancestor_bound(&name).into()),
        None => Err(Failure::Unbound(Unavailable::new(format!("an {family} socket stayed unbound")))),
    }
}

fn unreadable(errno: Errno) -> Unavailable {
    match errno {
        Errno::ENOPROTOOPT => Unavailable::new(Feature::BoundDevice.missing()),
        errno => Unavailable::kernel("read SO_BINDTODEVICE")(errno),
    }
}

/// Something above this process binds its sockets elsewhere. A supervisor is behind a filter; without one it can only be a
/// cgroup.
fn ancestor_bound(device: &OsString) -> Unavailable {
    let device = text(device);
    let by = "a BPF program of an ancestor cgroup binds sockets to";
    let above = if seccomp::is_filtered() { "a supervisor above (another vrfrun) or " } else { "" };
    Unavailable::new(format!("{above}{by} '{device}'"))
        .hint("run it outside; of two runs one in the other, both need root and -m bpf")
}

fn not_opened(family: &str, errno: Errno) -> Unavailable {
    match errno {
        DENIED => Unavailable::new("a seccomp filter above denies inet sockets (is this inside another vrfrun?)"),
        // What the supervisor asks of a socket besides.
        Errno::ENOPROTOOPT => Unavailable::new(Feature::UnicastInterface.missing()),
        // What a filter says instead of a family that is not there.
        Errno::EOPNOTSUPP | Errno::EPERM if seccomp::is_filtered() => no_family(),
        errno => Unavailable::kernel(format!("open an {family} socket"))(errno),
    }
}

/// Runs a check for each family, which says whether the kernel has it; at least one must be there.
fn each_family<E: From<Unavailable>>(check: impl Fn(libc::c_int, &str) -> Result<bool, E>) -> Result<(), E> {
    let mut seen = false;
    for (domain, family) in FAMILIES {
        seen |= check(domain, family)?;
    }
    if seen { Ok(()) } else { Err(no_family().into()) }
}

/// A filter may say the same as a kernel without them.
fn no_family() -> Unavailable {
    if seccomp::is_filtered() {
        return Unavailable::new("a seccomp filter above denies inet sockets, or the kernel has neither IPv4 nor IPv6")
            .hint("allow AF_INET and AF_INET6: RestrictAddressFamilies= of a unit, --protocol= of firejail");
    }
    Unavailable::new("the kernel has neither IPv4 nor IPv6")
}

/// None if the kernel does not have the family.
fn opened(domain: libc::c_int, family: &str, cookie: Option<u64>) -> Result<Option<OwnedFd>, Unavailable> {
    match open(domain, cookie) {
        Ok(socket) => Ok(Some(socket)),
        Err(Errno::EAFNOSUPPORT) => Ok(None),
        Err(errno) => Err(not_opened(family, errno)),
    }
}

fn open(domain: libc::c_int, cookie: Option<u64>) -> nix::Result<OwnedFd> {
    socket::open_with_cookie(domain, libc::SOCK_DGRAM, 0, cookie.unwrap_or(0))
}

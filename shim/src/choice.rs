//! What a C program chooses: sockets in a named VRF, and the VRF of everything that follows.

use crate::constructor;
use crate::current::{self, Binding};
use crate::hook;
use crate::link;
use crate::name::Name;
use crate::names::{self, Slot};
use crate::start;
use crate::sys::{self, Errno};
use core::ffi::c_int;
use vrfabi::socket::is_routed;

/// A new socket in this VRF.
pub(crate) fn socket_in(vrf: Name, domain: c_int, kind: c_int, protocol: c_int) -> Result<c_int, Errno> {
    if !is_routed(domain) {
        return Err(Errno(libc::EAFNOSUPPORT));
    }
    link::vrf_table(&vrf)?;
    hook::bound_socket(&vrf, domain, kind, protocol)
}

/// Binds a socket that exists.
pub(crate) fn bind_socket(fd: c_int, vrf: Name) -> Result<(), Errno> {
    let domain = sys::domain(fd)?;
    if !is_routed(domain) {
        return Err(Errno(libc::EAFNOSUPPORT));
    }
    link::vrf_table(&vrf)?;
    hook::bind_existing(fd, domain, &vrf)
}

/// Chooses for the whole process; None takes the choice back.
pub(crate) fn set_process(vrf: Option<Name>) -> Result<(), Errno> {
    proved(vrf).map(current::set_process)
}

/// Chooses for the calling thread; None takes the choice back.
pub(crate) fn set_thread(vrf: Option<Name>) -> Result<(), Errno> {
    proved(vrf).map(current::set_thread)
}

/// The VRF of the calling thread's next socket; None where nothing binds it. What vrfrun's programs and supervisor do, a socket
/// shows.
pub(crate) fn current() -> Result<Option<Name>, Errno> {
    match current::binding() {
        Binding::Plain => {
            let trial = sys::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0, start::cookie())?;
            let device = sys::bound_device(trial);
            sys::close(trial);
            device
        }
        Binding::To(name) => Ok(Some(name)),
        Binding::Closed => Err(Errno(libc::ENETUNREACH)),
    }
}

/// The VRF that a socket is in; None if it is bound to nothing.
pub(crate) fn of_socket(fd: c_int) -> Result<Option<Name>, Errno> {
    sys::bound_device(fd)?.map(|device| link::vrf_of_device(device, fd)).transpose()
}

/// Stores a choice after trying it, so that a call that cannot work fails here and not at the first socket.
fn proved(vrf: Option<Name>) -> Result<Option<Slot>, Errno> {
    let Some(name) = vrf else { return Ok(None) };
    if !constructor::covers_libc() {
        return Err(Errno(libc::EOPNOTSUPP));
    }
    link::vrf_table(&name)?;
    let trial = hook::bound_socket(&name, libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0)?;
    sys::close(trial);
    names::intern(name).map(Some).ok_or(Errno(libc::ENOMEM))
}

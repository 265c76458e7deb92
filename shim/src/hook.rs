//! What happens to a program's calls: inet sockets are bound before anybody sees them, the rest passes untouched.

use crate::current::{self, Binding};
use crate::interface;
use crate::name::{self, Name};
use crate::start;
use crate::sys::{self, Errno};
use core::ffi::{c_int, c_void};
use vrfabi::socket::{as_tcp, is_routed};

/// socket(2) as the program meant it, in the VRF of the calling thread.
#[inline]
pub(crate) fn socket(domain: c_int, kind: c_int, protocol: c_int) -> Result<c_int, Errno> {
    if !is_routed(domain) {
        return sys::socket(domain, kind, protocol, 0);
    }
    match current::binding() {
        Binding::To(name) => bound_socket(&name, domain, kind, protocol),
        Binding::Plain => sys::socket(domain, kind, protocol, start::cookie()),
        Binding::Closed => Err(Errno(libc::ENETUNREACH)),
    }
}

/// A socket in this VRF; none at all if it cannot be bound.
#[inline]
pub(crate) fn bound_socket(name: &Name, domain: c_int, kind: c_int, protocol: c_int) -> Result<c_int, Errno> {
    let (domain, protocol) = as_tcp(domain, kind, protocol);
    // The index of the device is remembered. When it turns out to be wrong, the device is another by the same name: once
    // more, with a new socket.
    let mut is_last = !interface::is_datagram(domain, kind);
    loop {
        let fd = sys::socket(domain, kind, protocol, start::cookie())?;
        match interface::bind(fd, domain, kind, name, is_last) {
            Ok(()) => return Ok(fd),
            Err(why) => {
                sys::close(fd);
                if is_last {
                    return bound_before(name, domain, kind, protocol, why);
                }
                is_last = true;
            }
        }
    }
}

/// Where sockets are bound as they are made (by vrfrun's programs or supervisor), and so refuse to be bound: nothing is to be
/// done for the same device, and another one takes CAP_NET_RAW. A new socket shows which it is; the first one was changed.
#[cold]
#[inline(never)]
fn bound_before(name: &Name, domain: c_int, kind: c_int, protocol: c_int, why: Errno) -> Result<c_int, Errno> {
    let fd = sys::socket(domain, kind, protocol, start::cookie())?;
    let moved = match sys::bound_index(fd) {
        Ok(index) if index > 0 && is_index_of(fd, index, name) => Ok(()),
        Ok(index) if index > 0 => sys::set(fd, libc::SOL_SOCKET, libc::SO_BINDTODEVICE, &[0])
            .and_then(|()| interface::bind(fd, domain, kind, name, true)),
        _ => Err(why),
    };
    moved.map(|()| fd).inspect_err(|_| sys::close(fd))
}

fn is_index_of(socket: c_int, index: c_int, name: &Name) -> bool {
    sys::device_index(socket, name) == Ok(index as u32)
}

/// Binds a socket that exists, and may be bound to the same device already, also by an alternative name.
pub(crate) fn bind_existing(fd: c_int, domain: c_int, name: &Name) -> Result<(), Errno> {
    let bound = sys::bound_index(fd).unwrap_or(0);
    if bound > 0 && is_index_of(fd, bound, name) {
        return Ok(());
    }
    let kind = sys::option(fd, libc::SOL_SOCKET, libc::SO_TYPE)?;
    interface::move_to(fd, domain, kind, name, bound)
}

/// setsockopt(2), except that binding a socket to the device it is bound to already succeeds: unprivileged, the kernel
/// says EPERM to that too, and chrony, traceroute and mtr give up over it.
///
/// # Safety
/// As for setsockopt(2).
pub(crate) unsafe fn setsockopt(
    fd: c_int,
    level: c_int,
    option: c_int,
    value: *const c_void,
    len: u32,
) -> Result<(), Errno> {
    // SAFETY: the program's own arguments, passed on.
    match unsafe { sys::setsockopt(fd, level, option, value, len) } {
        // SAFETY: EPERM comes after the kernel has read the value, so that it can be read.
        Err(Errno(libc::EPERM)) if level == libc::SOL_SOCKET && unsafe { asks_for_same(fd, option, value, len) } => {
            Ok(())
        }
        answer => answer,
    }
}

unsafe fn asks_for_same(fd: c_int, option: c_int, value: *const c_void, len: u32) -> bool {
    match option {
        // No name asks to unbind. The kernel reads nothing then, and there may be nothing: NULL and 0 is such a request.
        libc::SO_BINDTODEVICE if value.is_null() || len == 0 => false,
        libc::SO_BINDTODEVICE => {
            // SAFETY: the kernel read as many bytes from there.
            let asked = unsafe { core::slice::from_raw_parts(value.cast::<u8>(), (len as usize).min(name::SIZE - 1)) };
            Name::from_option(asked).is_some_and(|asked| sys::bound_device(fd) == Ok(Some(asked)))
        }
        // SAFETY: the kernel read an int from there; the program need not have aligned it.
        libc::SO_BINDTOIFINDEX => sys::bound_index(fd) == Ok(unsafe { value.cast::<i32>().read_unaligned() }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_without_a_name_is_for_no_device() {
        let fd = sys::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0, 0).unwrap();
        for (value, len) in [(core::ptr::null(), 0), (c"lo".as_ptr().cast(), 0)] {
            // SAFETY: no byte is to be read.
            assert!(!unsafe { asks_for_same(fd, libc::SO_BINDTODEVICE, value, len) });
        }
        sys::close(fd);
    }
}

//! SO_BINDTODEVICE and SO_BINDTOIFINDEX: a program that binds its socket to the device it is bound to already has what it
//! asks for. The kernel says EPERM to that, unprivileged, and `ping -I blue` gives up over it.
//!
//! Nothing is changed here: it is answered with success, or goes on to the kernel as it came.

use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

use nix::errno::Errno;

use crate::bind::seccomp::callers::Callers;
use crate::sys::socket;

/// Whether the caller's setsockopt asks for what is so.
pub fn is_so(callers: &Callers, pid: u32, args: &[u64; 6]) -> nix::Result<bool> {
    let (number, option, address, length) = (args[0] as i32, args[2] as i32, args[3], args[4] as i32);
    let mut value = [0; libc::IFNAMSIZ - 1]; // the kernel reads no more either
    let wanted = usize::try_from(length).map_err(|_| Errno::EINVAL)?.min(value.len());
    callers.memory(pid, address, &mut value[..wanted])?;
    let socket = callers.descriptor(pid, number)?;
    if option == libc::SO_BINDTODEVICE {
        has_name(&socket, &value[..wanted])
    } else {
        has_index(&socket, &value[..wanted])
    }
}

fn has_name(socket: &OwnedFd, value: &[u8]) -> nix::Result<bool> {
    let asked = value.split(|&b| b == 0).next().unwrap_or_default();
    if socket::device_of(socket)?.is_some_and(|name| name.as_bytes() == asked) {
        return Ok(true);
    }
    // By an alternative name, too: that of an emulated VRF is its port's.
    let index = vrfsock::device::of(socket)?;
    Ok(index != 0 && socket::index_by_name(socket, asked) == Ok(index))
}

fn has_index(socket: &OwnedFd, value: &[u8]) -> nix::Result<bool> {
    let asked = value.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes));
    Ok(asked.is_some_and(|asked| asked != 0) && asked == Some(vrfsock::device::of(socket)?))
}

//! Sockets with what nix does not offer: the cookie for the filter, and the options that bind to a device.

use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;

use nix::errno::Errno;

/// Shared memory communications: a socket of this family has a TCP socket inside.
pub const AF_SMC: libc::c_int = 43;

/// `socket(2)`, close-on-exec.
pub fn open(domain: libc::c_int, kind: libc::c_int, protocol: libc::c_int) -> nix::Result<OwnedFd> {
    open_with_cookie(domain, kind, protocol, 0)
}

/// `socket(2)`, close-on-exec, with the cookie in its sixth, unused argument.
pub fn open_with_cookie(
    domain: libc::c_int,
    kind: libc::c_int,
    protocol: libc::c_int,
    cookie: u64,
) -> nix::Result<OwnedFd> {
    let kind = kind | libc::SOCK_CLOEXEC;
    // SAFETY: plain numbers; the kernel reads three of them, the filter the last one.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_socket, domain, kind, protocol, 0, 0, cookie) })?;
    // SAFETY: the kernel just made this descriptor, nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// `setsockopt(2)` with the bytes of a value.
pub fn set(socket: &impl AsFd, level: libc::c_int, option: libc::c_int, value: &[u8]) -> nix::Result<()> {
    let (fd, length) = (socket.as_fd().as_raw_fd(), value.len() as libc::socklen_t);
    // SAFETY: the kernel reads `length` bytes from a live slice.
    Errno::result(unsafe { libc::setsockopt(fd, level, option, value.as_ptr().cast(), length) }).map(drop)
}

/// Binds a socket to a device by name, which needs no NUL.
pub fn bind_to_device(socket: &impl AsFd, name: &[u8]) -> nix::Result<()> {
    set(socket, libc::SOL_SOCKET, libc::SO_BINDTODEVICE, name)
}

/// The device that a socket is bound to (SO_BINDTODEVICE, readable since 3.8).
pub fn device_of(socket: &impl AsFd) -> nix::Result<Option<OsString>> {
    let mut name = [0u8; libc::IFNAMSIZ];
    let length = get(socket, libc::SO_BINDTODEVICE, &mut name)?;
    let name = name.split(|&b| b == 0).next().filter(|_| length > 0).unwrap_or_default();
    Ok((!name.is_empty()).then(|| OsString::from_vec(name.to_vec())))
}

/// The family of a socket; ENOTSOCK for everything else.
pub fn domain_of(socket: &impl AsFd) -> nix::Result<libc::c_int> {
    let mut domain = [0; size_of::<libc::c_int>()];
    get(socket, libc::SO_DOMAIN, &mut domain)?;
    Ok(libc::c_int::from_ne_bytes(domain))
}

/// `getsockopt(2)` at the socket's own level; returns how many bytes were written.
fn get(socket: &impl AsFd, option: libc::c_int, value: &mut [u8]) -> nix::Result<usize> {
    let (fd, mut length) = (socket.as_fd().as_raw_fd(), value.len() as libc::socklen_t);
    // SAFETY: the kernel writes at most `length` bytes into a live slice and says how many.
    let result = unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, option, value.as_mut_ptr().cast(), &raw mut length) };
    Errno::result(result).map(|_| length as usize)
}

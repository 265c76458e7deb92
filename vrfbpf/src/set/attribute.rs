//! Extended attributes of an open directory (xattr(7)).

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;

/// fgetxattr(2): how many bytes of the value were written. ENODATA if there is none, or it may not be seen.
pub fn get(file: impl AsFd, name: &CStr, value: &mut [u8]) -> nix::Result<usize> {
    let fd = file.as_fd().as_raw_fd();
    // SAFETY: the kernel reads a C string and writes at most `len` bytes into a live slice.
    let result = unsafe { libc::fgetxattr(fd, name.as_ptr(), value.as_mut_ptr().cast(), value.len()) };
    Errno::result(result).map(|length| length as usize)
}

/// fsetxattr(2).
pub fn set(file: impl AsFd, name: &CStr, value: &[u8]) -> nix::Result<()> {
    let fd = file.as_fd().as_raw_fd();
    // SAFETY: the kernel reads a C string and `len` bytes of a live slice.
    Errno::result(unsafe { libc::fsetxattr(fd, name.as_ptr(), value.as_ptr().cast(), value.len(), 0) }).map(drop)
}

/// fremovexattr(2).
pub fn remove(file: impl AsFd, name: &CStr) -> nix::Result<()> {
    let fd = file.as_fd().as_raw_fd();
    // SAFETY: the kernel reads a C string.
    Errno::result(unsafe { libc::fremovexattr(fd, name.as_ptr()) }).map(drop)
}

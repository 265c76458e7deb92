//! Whether this process may have new code: some sandboxes deny memory that is written first and run then.

use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::sys::seccomp;

/// Whether memory has been denied to become code (6.3).
const PR_GET_MDWE: libc::c_int = 66;
const PAGE: usize = 4096;

/// Neither a file in memory can be run, nor memory that was written. Looks closely only where something forbids one of
/// them.
pub fn is_code_fixed() -> bool {
    // SAFETY: numbers only.
    let is_denied = unsafe { libc::prctl(PR_GET_MDWE, 0, 0, 0, 0) } > 0;
    (is_denied || seccomp::is_filtered()) && !can_run_file() && !can_run_written()
}

/// A file without a name can be mapped as code.
fn can_run_file() -> bool {
    let file = memfd_create(c"vrfrun", MFdFlags::MFD_CLOEXEC);
    file.is_ok_and(|file| Mapping::new(libc::PROT_READ | libc::PROT_EXEC, libc::MAP_PRIVATE, file.as_raw_fd()).is_ok())
}

/// Memory that can be written can be made code as well.
fn can_run_written() -> bool {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let Ok(page) = Mapping::new(libc::PROT_READ | libc::PROT_WRITE, flags, -1) else { return false };
    let rights = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
    // SAFETY: the page is ours, and nothing is in it.
    unsafe { libc::mprotect(page.0, PAGE, rights) == 0 }
}

/// A page that nobody uses.
struct Mapping(*mut libc::c_void);

impl Mapping {
    fn new(rights: libc::c_int, flags: libc::c_int, fd: libc::c_int) -> nix::Result<Self> {
        // SAFETY: the kernel chooses a place where nothing is.
        match unsafe { libc::mmap(std::ptr::null_mut(), PAGE, rights, flags, fd, 0) } {
            libc::MAP_FAILED => Err(Errno::last()),
            page => Ok(Self(page)),
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: ours, and nothing refers to it.
        unsafe { libc::munmap(self.0, PAGE) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nothing_forbids_it_there_is_new_code() {
        assert!(can_run_file() || can_run_written());
        assert!(!is_code_fixed());
    }
}

//! Whether this process may have new code: some sandboxes deny memory that is written first and run then.
#![forbid(unsafe_code)]

use std::os::fd::AsFd;

use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::sys::seccomp;
use crate::sys::syscall::{Page, denied_code};

/// Neither a file in memory can be run, nor memory that was written. Looks closely only where something forbids one of
/// them.
pub fn is_code_fixed() -> bool {
    let is_denied = denied_code() > 0;
    (is_denied || seccomp::is_filtered()) && !can_run_file() && !can_run_written()
}

/// A file without a name can be mapped as code.
fn can_run_file() -> bool {
    let file = memfd_create(c"vrfrun", MFdFlags::MFD_CLOEXEC);
    file.is_ok_and(|file| Page::of_file(file.as_fd(), libc::PROT_READ | libc::PROT_EXEC).is_ok())
}

/// Memory that can be written can be made code as well.
fn can_run_written() -> bool {
    let rights = libc::PROT_READ | libc::PROT_WRITE;
    Page::new(rights).is_ok_and(|page| page.protect(rights | libc::PROT_EXEC).is_ok())
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

//! Installing a filter (seccomp(2)), with no_new_privs only where the kernel demands it.

use std::os::fd::{FromRawFd, OwnedFd};

use libc::sock_filter;
use nix::errno::Errno;
use nix::sys::prctl::set_no_new_privs;

use crate::bind::seccomp::filter::as_program;
use crate::sys::capability::{CAP_SYS_ADMIN, is_effective};

/// Installs the filter for this process and all it will start. It cannot be taken back.
pub fn install(filter: &[sock_filter]) -> nix::Result<()> {
    allow_filters()?;
    set_mode(filter, 0).map(drop)
}

/// Installs the filter and returns the descriptor on which its supervisor listens. EBUSY: a filter above has one.
pub fn install_with_listener(filter: &[sock_filter], flags: libc::c_ulong) -> nix::Result<OwnedFd> {
    allow_filters()?;
    let fd = set_mode(filter, libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | flags)?;
    // SAFETY: the kernel just made this descriptor (close-on-exec), nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Who has CAP_SYS_ADMIN needs no no_new_privs, and then sudo and set-uid programs still work below.
pub fn allow_filters() -> nix::Result<()> {
    if is_effective(CAP_SYS_ADMIN) { Ok(()) } else { set_no_new_privs() }
}

/// Before 5.16 a filter also switches the processor's speculation off where it can, as a sandbox wants it. This filter
/// is none: the program is to be as quick below it as above (the flag is of 4.17).
fn set_mode(filter: &[sock_filter], flags: libc::c_ulong) -> nix::Result<libc::c_long> {
    match set(filter, flags | libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW) {
        Err(Errno::EINVAL) => set(filter, flags),
        outcome => outcome,
    }
}

fn set(filter: &[sock_filter], flags: libc::c_ulong) -> nix::Result<libc::c_long> {
    let program = as_program(filter);
    // SAFETY: the kernel copies the instructions, which live as long as `filter`.
    Errno::result(unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program) })
}

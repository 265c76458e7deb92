//! Installing a filter (seccomp(2)), with no_new_privs only where the kernel demands it.

use std::os::fd::OwnedFd;

use libc::sock_filter;
use nix::errno::Errno;
use nix::sys::prctl::set_no_new_privs;

use crate::error::unavailable::{CALLS_ALLOWED, Unavailable};
use crate::sys::capability::{CAP_SYS_ADMIN, is_effective};
use crate::sys::feature::Feature;
use crate::sys::seccomp;

/// What binds all programs without a filter or a supervisor.
pub const AS_ROOT: &str = "run it as root with -m bpf";

/// Installs the filter for this process and all it will start. It cannot be undone.
pub fn install(filter: &[sock_filter]) -> nix::Result<()> {
    allow_filters()?;
    with_speculation(|flags| seccomp::set_filter(filter, flags))
}

/// Installs the filter and returns the descriptor on which its supervisor listens. EBUSY: a filter above has one.
pub fn install_with_listener(filter: &[sock_filter], flags: libc::c_ulong) -> nix::Result<OwnedFd> {
    allow_filters()?;
    with_speculation(|more| seccomp::set_filter_with_listener(filter, flags | more))
}

/// The feature is not there, or a filter above denies it: what to do about that.
pub fn missing(feature: Feature) -> Unavailable {
    let hint = if seccomp::is_filtered() { CALLS_ALLOWED } else { AS_ROOT };
    Unavailable::new(feature.missing()).hint(hint)
}

/// For `map_err`: why there is no filter.
pub fn refused(errno: Errno) -> Unavailable {
    if !Feature::Filter.probe() {
        return missing(Feature::Filter);
    }
    Unavailable::kernel("install the seccomp filter")(errno)
}

/// Who has CAP_SYS_ADMIN needs no no_new_privs, and then sudo and set-uid programs still work below.
pub fn allow_filters() -> nix::Result<()> {
    if is_effective(CAP_SYS_ADMIN) { Ok(()) } else { set_no_new_privs() }
}

/// Before 5.16 a filter also switches the processor's speculation off where it can, as a sandbox wants it. This filter
/// is none: the program is to be as quick below it as above (the flag is of 4.17).
fn with_speculation<T>(set: impl Fn(libc::c_ulong) -> nix::Result<T>) -> nix::Result<T> {
    match set(libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW) {
        Err(Errno::EINVAL) => set(0),
        outcome => outcome,
    }
}

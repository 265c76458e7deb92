//! Capabilities: whether this process has one in effect; and the supervisor's, which are kept in hand where it needs
//! one to read another process, and never in effect otherwise.
#![forbid(unsafe_code)]

use crate::sys::syscall::{self, CapabilitySets as Sets};

const CAP_SYS_PTRACE: u32 = 19;
/// Installs seccomp filters without no_new_privs, and makes mount namespaces.
pub const CAP_SYS_ADMIN: u32 = 21;

/// Whether the process has this capability (of the first 32) in effect, in its own user namespace.
pub fn is_effective(capability: u32) -> bool {
    get().is_ok_and(|sets| sets.effective & 1 << capability != 0)
}

/// Takes every capability out of effect, and gives up all but the one to read another process's memory.
pub fn drop_all() -> nix::Result<()> {
    syscall::capset(&[Sets { permitted: get()?.permitted & 1 << CAP_SYS_PTRACE, ..Sets::default() }, Sets::default()])
}

/// Does the work with CAP_SYS_PTRACE in effect, if it is permitted.
pub fn with_ptrace<T>(work: impl FnOnce() -> T) -> T {
    let Ok(Sets { permitted, .. }) = get() else { return work() };
    let in_effect = permitted & 1 << CAP_SYS_PTRACE;
    if in_effect == 0
        || syscall::capset(&[Sets { effective: in_effect, permitted, ..Sets::default() }, Sets::default()]).is_err()
    {
        return work();
    }
    let outcome = work();
    if syscall::capset(&[Sets { permitted, ..Sets::default() }, Sets::default()]).is_err() {
        // A supervisor that cannot lay its capability down must not go on; its clients' calls then fail.
        std::process::abort();
    }
    outcome
}

/// The first 32 capabilities.
fn get() -> nix::Result<Sets> {
    syscall::capget().map(|sets| sets[0])
}

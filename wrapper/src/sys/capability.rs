//! Capabilities: whether this process has one in effect; and the supervisor's, which are kept in hand where it needs
//! one to read another process, and never in effect otherwise.

use nix::errno::Errno;

const VERSION_3: u32 = 0x2008_0522;
const CAP_SYS_PTRACE: u32 = 19;
/// Installs seccomp filters without no_new_privs, and makes mount namespaces.
pub const CAP_SYS_ADMIN: u32 = 21;

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

/// `struct __user_cap_data_struct`, twice: 64 bits in two halves.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Sets {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Whether the process has this capability (of the first 32) in effect, in its own user namespace.
pub fn is_effective(capability: u32) -> bool {
    get().is_ok_and(|sets| sets.effective & 1 << capability != 0)
}

/// Takes every capability out of effect, and gives up all but the one to read another process's memory.
pub fn lay_down() -> nix::Result<()> {
    set(&[Sets { permitted: get()?.permitted & 1 << CAP_SYS_PTRACE, ..Sets::default() }, Sets::default()])
}

/// Does the work with CAP_SYS_PTRACE in effect, if it is permitted.
pub fn with_ptrace<T>(work: impl FnOnce() -> T) -> T {
    let Ok(Sets { permitted, .. }) = get() else { return work() };
    let in_effect = permitted & 1 << CAP_SYS_PTRACE;
    if in_effect == 0 || set(&[Sets { effective: in_effect, permitted, ..Sets::default() }, Sets::default()]).is_err() {
        return work();
    }
    let outcome = work();
    if set(&[Sets { permitted, ..Sets::default() }, Sets::default()]).is_err() {
        // A supervisor that cannot lay its capability down must not go on; its clients' calls then fail.
        std::process::abort();
    }
    outcome
}

fn get() -> nix::Result<Sets> {
    let mut header = Header { version: VERSION_3, pid: 0 };
    let mut sets = [Sets::default(); 2];
    // SAFETY: the kernel reads the header and writes two structures of its own layout.
    Errno::result(unsafe { libc::syscall(libc::SYS_capget, &raw mut header, sets.as_mut_ptr()) })?;
    Ok(sets[0])
}

fn set(sets: &[Sets; 2]) -> nix::Result<()> {
    let mut header = Header { version: VERSION_3, pid: 0 };
    // SAFETY: the kernel reads the header and two structures of its own layout.
    Errno::result(unsafe { libc::syscall(libc::SYS_capset, &raw mut header, sets.as_ptr()) }).map(drop)
}

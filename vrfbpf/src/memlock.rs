//! Locked memory: before Linux 5.11, programs and maps count as locked memory of the user that makes them for as long as
//! they are there, against the limit of whoever makes more.

use nix::errno::Errno;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};

/// Does what EPERM may keep from being done for want of lockable memory.
pub(crate) fn with_memlock<T>(work: impl Fn() -> nix::Result<T>) -> nix::Result<T> {
    match work() {
        Err(Errno::EPERM) => {
            let (soft, hard) = getrlimit(Resource::RLIMIT_MEMLOCK)?;
            setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY)?;
            let outcome = work();
            setrlimit(Resource::RLIMIT_MEMLOCK, soft, hard)?;
            outcome
        }
        outcome => outcome,
    }
}

/// While this value lives, what this thread makes counts as the memory of a user that has no processes: what stays as long
/// as the machine runs must not fill root's limit, or `ip vrf exec` finds no room for its program.
#[derive(Debug)]
pub(crate) struct OfNobody {
    real: libc::uid_t,
}

/// The last user id that there is. Only who has the same, or may signal everybody, could signal this thread meanwhile.
const NOBODY: libc::uid_t = libc::uid_t::MAX - 1;

impl OfNobody {
    /// None without CAP_SETUID: then it counts as the caller's.
    pub fn begin() -> Option<Self> {
        // SAFETY: takes nothing and cannot fail.
        let real = unsafe { libc::getuid() };
        set_real_uid(NOBODY).ok().map(|()| Self { real })
    }
}

impl Drop for OfNobody {
    fn drop(&mut self) {
        // The capability that let it be changed lets it be changed back.
        let _ = set_real_uid(self.real);
    }
}

/// Of this thread alone, which libc's own would not do. The effective and the saved one, and with them all capabilities,
/// stay.
fn set_real_uid(uid: libc::uid_t) -> nix::Result<()> {
    // SAFETY: plain numbers; -1 leaves an id as it is.
    Errno::result(unsafe { libc::syscall(libc::SYS_setresuid, uid, -1, -1) }).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_account_is_nobodys_for_a_while_and_the_capabilities_stay() {
        let status = || fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = |name: &str| status().lines().find(|line| line.starts_with(name)).unwrap().to_owned();
        let before = (line("Uid:"), line("CapEff:"));
        let account = OfNobody::begin();
        if account.is_some() {
            assert_eq!(line("Uid:").split_ascii_whitespace().nth(1), Some("4294967294"));
            assert_eq!(line("CapEff:"), before.1);
        }
        drop(account);
        assert_eq!((line("Uid:"), line("CapEff:")), before);
    }
}

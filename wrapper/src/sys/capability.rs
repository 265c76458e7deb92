//! Capabilities: whether this process has one in effect; and the supervisor's, which are kept in hand for what it does
//! on its callers' behalf, and never in effect otherwise.
#![forbid(unsafe_code)]

use crate::sys::syscall::{self, CapabilitySets as Sets};

/// Takes on any group.
pub const CAP_SETGID: u32 = 6;
/// Takes on any user.
pub const CAP_SETUID: u32 = 7;
/// Makes raw sockets.
pub const CAP_NET_RAW: u32 = 13;
/// Looks into any process.
pub const CAP_SYS_PTRACE: u32 = 19;
/// Installs seccomp filters without no_new_privs, and makes mount namespaces.
pub const CAP_SYS_ADMIN: u32 = 21;

/// What the supervisor keeps in hand.
const KEPT: u64 = bit(CAP_SETGID) | bit(CAP_SETUID) | bit(CAP_NET_RAW) | bit(CAP_SYS_PTRACE);

/// A set of one capability.
pub const fn bit(capability: u32) -> u64 {
    1 << capability
}

/// Whether the process has this capability in effect, in its own user namespace.
pub fn is_effective(capability: u32) -> bool {
    syscall::capget().is_ok_and(|sets| join(sets.map(|set| set.effective)) & bit(capability) != 0)
}

/// Capabilities that are permitted and out of effect.
#[derive(Debug)]
pub struct Kept {
    permitted: u64,
}

impl Kept {
    /// Takes every capability out of effect, and gives up all but those that a supervisor needs. The kernel lets a
    /// process look into another only if it is permitted all that the other is, or CAP_SYS_PTRACE: who has not that one
    /// keeps what it has.
    pub fn drop_rest() -> nix::Result<Self> {
        let had = join(syscall::capget()?.map(|sets| sets.permitted));
        let kept = Self { permitted: if had & bit(CAP_SYS_PTRACE) != 0 { had & KEPT } else { had } };
        kept.put_in_effect(0).map(|()| kept)
    }

    /// Whether no capability is left.
    pub fn is_empty(&self) -> bool {
        self.permitted == 0
    }

    /// Does the work with those of the wanted capabilities in effect that are permitted.
    pub fn with<T>(&self, wanted: u64, work: impl FnOnce() -> T) -> T {
        if self.permitted & wanted == 0 || self.put_in_effect(self.permitted & wanted).is_err() {
            return work();
        }
        let outcome = work();
        self.lay_down();
        outcome
    }

    /// Does the work with everything in effect that looking into another process may need.
    pub fn looking<T>(&self, work: impl FnOnce() -> T) -> T {
        let is_enough = self.permitted & bit(CAP_SYS_PTRACE) != 0;
        self.with(if is_enough { bit(CAP_SYS_PTRACE) } else { u64::MAX }, work)
    }

    /// Takes every capability out of effect: becoming root, for one, puts all of them into it.
    pub fn lay_down(&self) {
        if self.put_in_effect(0).is_err() {
            // A supervisor that cannot lay its capabilities down must not go on; its clients' calls then fail.
            std::process::abort();
        }
    }

    fn put_in_effect(&self, effective: u64) -> nix::Result<()> {
        let half = |shift: u32| Sets {
            effective: (effective >> shift) as u32,
            permitted: (self.permitted >> shift) as u32,
            inheritable: 0,
        };
        syscall::capset(&[half(0), half(32)])
    }
}

/// The kernel hands sets of capabilities out in halves.
fn join([low, high]: [u32; 2]) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

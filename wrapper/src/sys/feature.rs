//! Features of newer kernels: the name of each, the first release that has it, and a probe.
//!
//! The probe decides, for distributions take features into older releases; the release is there to be named to the user.
#![forbid(unsafe_code)]

use nix::errno::Errno;

use crate::sys::kernel::Release;
use crate::sys::{io_uring, seccomp, syscall};

/// What vrfrun can do without, and would rather have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// A filter's listener, and the ioctl that puts a socket into the caller.
    Supervisor,
    /// A filter over io_uring's operations for a task.
    IoUringFilter,
}

impl Feature {
    /// Its name, as the subject of "… needs Linux …".
    pub fn name(self) -> &'static str {
        match self {
            Feature::Supervisor => "a supervisor",
            Feature::IoUringFilter => "a filter over io_uring",
        }
    }

    /// The first release of the kernel's own that has it.
    pub fn since(self) -> Release {
        match self {
            Feature::Supervisor => (5, 9),
            Feature::IoUringFilter => (7, 0),
        }
    }

    /// Asks the kernel, and changes nothing by it. False means that it need not be tried; true is no proof yet.
    pub fn probe(self) -> bool {
        match self {
            // The verdict is of 5.0. SECCOMP_IOCTL_NOTIF_ADDFD can be asked of a listener only, and nobody gets rid of a
            // listener again; close_range(2), which the supervisor needs as well, came with it.
            Feature::Supervisor => {
                seccomp::knows_action(libc::SECCOMP_RET_USER_NOTIF) && syscall::close_range(1, 0) == Err(Errno::EINVAL)
            }
            Feature::IoUringFilter => io_uring::knows_filters(),
        }
    }

    /// Why it is not there.
    pub fn missing(self) -> String {
        let (major, minor) = self.since();
        format!("{} needs Linux {major}.{minor}", self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::kernel;

    #[test]
    fn what_the_release_promises_the_probe_finds() {
        assert!(kernel::release() < Feature::Supervisor.since() || Feature::Supervisor.probe());
    }

    #[test]
    fn a_missing_feature_is_named_with_its_release() {
        assert_eq!(Feature::Supervisor.missing(), "a supervisor needs Linux 5.9");
    }
}

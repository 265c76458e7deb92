//! The programs of one cgroup (`vrfbpf::set`), and in which words the user is told that there are none.

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use vrfbpf::List;
use vrfbpf::set::{self, Device, Place, Record, Refused, Step};

use crate::bind::bpf::ports::NEEDS;
use crate::error::unavailable::Unavailable;
use crate::sys::feature::Feature;

/// Puts them on the cgroup, beside those that are there, by `is_there`. `is_fixed`: no socket can be rebound.
pub fn attach(
    device: &Device<'_>,
    cgroup: &OwnedFd,
    ports: &List,
    is_fixed: bool,
    is_there: impl Fn(Place) -> bool,
) -> Result<Record, Unavailable> {
    set::attach(device, cgroup, ports, is_fixed, is_there).map_err(explain)
}

/// Why there is no mechanism.
pub fn explain(refused: Refused) -> Unavailable {
    match (refused.step, refused.errno) {
        (Step::Load(_), Errno::EPERM) => Unavailable::new(NEEDS),
        (Step::Load(_), Errno::ENOSYS) => Unavailable::new(Feature::CgroupPrograms.missing()),
        (Step::Load(_), errno) => Unavailable::kernel("load the BPF program")(errno),
        (Step::Attach(_), Errno::EPERM) => {
            Unavailable::new("an ancestor cgroup has a BPF program that allows no other below it")
        }
        (Step::Attach(_), errno) => Unavailable::kernel("attach the BPF program")(errno),
        (Step::Ports, errno) => Unavailable::kernel("read the id of a BPF map")(errno),
        (step, errno) => Unavailable::kernel(step.to_string())(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_refused_is_said_in_the_users_words() {
        let why = |step, errno| explain(Refused { step, errno }).why;
        assert_eq!(why(Step::Load(Place::Tags), Errno::EPERM), NEEDS);
        assert!(why(Step::Attach(Place::Create), Errno::EPERM).starts_with("an ancestor cgroup"));
        assert_eq!(why(Step::Load(Place::Create), Errno::EINVAL), "cannot load the BPF program: Invalid argument");
        assert_eq!(why(Step::Lock, Errno::EINTR), "cannot lock the cgroup: Interrupted system call");
    }
}

//! BPF programs: loads one, and attaches it to a cgroup. What they do is for others to say.

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use vrfbpf::{Hook, Instruction};

use crate::bind::bpf::cgroup::Group;
use crate::error::unavailable::Unavailable;

/// Loads a program.
pub fn load(hook: Hook, instructions: &[Instruction]) -> Result<OwnedFd, Unavailable> {
    vrfbpf::load(hook, instructions).map_err(|errno| match errno {
        Errno::EPERM => Unavailable::new("loading a BPF program needs CAP_BPF and CAP_NET_ADMIN"),
        Errno::ENOSYS => Unavailable::new("the kernel has no bpf(2)"),
        errno => Unavailable::kernel("load the BPF program")(errno),
    })
}

/// Attaches it for as long as the cgroup lives.
pub fn attach(hook: Hook, program: &OwnedFd, group: &Group) -> Result<(), Unavailable> {
    vrfbpf::attach(hook, program, group.open()?).map_err(|errno| match errno {
        Errno::EPERM => Unavailable::new("an ancestor cgroup has a BPF program that allows no other below it"),
        errno => Unavailable::kernel("attach the BPF program")(errno),
    })
}

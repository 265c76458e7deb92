//! BPF programs: loads one, and attaches it to a cgroup. What they do is for others to say.

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use vrfbpf::{Hook, Instruction};

use crate::bind::bpf::cgroup::Group;
use crate::error::unavailable::Refusal;

/// Loads a program.
pub fn load(hook: Hook, instructions: &[Instruction]) -> Result<OwnedFd, Refusal> {
    vrfbpf::load(hook, instructions).map_err(|errno| match errno {
        Errno::EPERM => Refusal::new("loading a BPF program needs CAP_BPF and CAP_NET_ADMIN"),
        Errno::ENOSYS => Refusal::new("the kernel has no bpf(2)"),
        errno => Refusal::kernel("load the BPF program")(errno),
    })
}

/// Attaches it for as long as the cgroup lives.
pub fn attach(hook: Hook, program: &OwnedFd, group: &Group) -> Result<(), Refusal> {
    vrfbpf::attach(hook, program, group.open()?).map_err(|errno| match errno {
        Errno::EPERM => Refusal::new("an ancestor cgroup has a BPF program that allows no other below it"),
        errno => Refusal::kernel("attach the BPF program")(errno),
    })
}

//! bpf(2): attaches programs to cgroups, detaches them, and tells which are there.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use crate::call::{Hook, bpf};
use crate::found;

const BPF_PROG_ATTACH: libc::c_long = 8;
const BPF_PROG_DETACH: libc::c_long = 9;
const BPF_PROG_QUERY: libc::c_long = 16;
const BPF_F_ALLOW_MULTI: u32 = 2;

/// The part of `union bpf_attr` for BPF_PROG_ATTACH and BPF_PROG_DETACH.
#[repr(C)]
struct AttachAttributes {
    target_fd: u32,
    attach_bpf_fd: u32,
    attach_type: u32,
    attach_flags: u32,
}

impl AttachAttributes {
    fn of(hook: Hook, program: BorrowedFd<'_>, cgroup: BorrowedFd<'_>, attach_flags: u32) -> Self {
        let [target_fd, attach_bpf_fd] = [cgroup, program].map(|fd| fd.as_raw_fd() as u32);
        Self { target_fd, attach_bpf_fd, attach_type: hook.attach_type, attach_flags }
    }
}

/// The part of `union bpf_attr` for BPF_PROG_QUERY, up to what 4.15 knows.
#[repr(C)]
struct QueryAttributes {
    target_fd: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    prog_ids: u64,
    prog_cnt: u32,
    /// A kernel that does not know what comes here wants it zero.
    padding: u32,
}

/// Attaches it for as long as the cgroup lives. ALLOW_MULTI: a program that is already there stays.
///
/// # Errors
/// EPERM where a program of an ancestor allows no other below it; else as bpf(2).
pub fn attach(hook: Hook, program: impl AsFd, cgroup: impl AsFd) -> nix::Result<()> {
    let mut attributes = AttachAttributes::of(hook, program.as_fd(), cgroup.as_fd(), BPF_F_ALLOW_MULTI);
    // SAFETY: plain numbers in a structure of the kernel's layout.
    unsafe { bpf(BPF_PROG_ATTACH, &mut attributes) }.map(drop)
}

/// Detaches the program of this id (CAP_SYS_ADMIN).
///
/// # Errors
/// ENOENT where it is gone, or is not attached; else as bpf(2).
pub fn detach(hook: Hook, id: u32, cgroup: impl AsFd) -> nix::Result<()> {
    detach_program(hook, found::open(id)?, cgroup)
}

/// Detaches a program; others at the same hook stay.
///
/// # Errors
/// ENOENT where it is not attached; else as bpf(2).
pub(crate) fn detach_program(hook: Hook, program: impl AsFd, cgroup: impl AsFd) -> nix::Result<()> {
    let mut attributes = AttachAttributes::of(hook, program.as_fd(), cgroup.as_fd(), 0);
    // SAFETY: plain numbers in a structure of the kernel's layout.
    unsafe { bpf(BPF_PROG_DETACH, &mut attributes) }.map(drop)
}

/// As many programs of one cgroup and hook as the kernel allows.
const MOST_PROGRAMS: usize = 64;

/// The ids of the programs of this hook that stand on the cgroup itself, in the order in which they run (4.15).
///
/// # Errors
/// EPERM without CAP_NET_ADMIN; else as bpf(2).
pub fn attached(hook: Hook, cgroup: impl AsFd) -> nix::Result<Vec<u32>> {
    let mut ids = [0u32; MOST_PROGRAMS];
    let mut attributes = QueryAttributes {
        target_fd: cgroup.as_fd().as_raw_fd() as u32,
        attach_type: hook.attach_type,
        query_flags: 0,
        attach_flags: 0,
        prog_ids: (&raw mut ids).expose_provenance() as u64,
        prog_cnt: MOST_PROGRAMS as u32,
        padding: 0,
    };
    // SAFETY: the kernel writes at most `prog_cnt` numbers into a live array, and their count into the structure.
    unsafe { bpf(BPF_PROG_QUERY, &mut attributes) }?;
    Ok(ids[..MOST_PROGRAMS.min(attributes.prog_cnt as usize)].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_structures_have_the_kernels_sizes() {
        assert_eq!((size_of::<AttachAttributes>(), size_of::<QueryAttributes>()), (16, 32));
    }
}

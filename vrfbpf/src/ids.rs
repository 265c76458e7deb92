//! bpf(2): programs and maps by their ids.

use std::os::fd::OwnedFd;

use crate::call::{bpf, bpf_fd};

/// What has ids, by its commands of bpf(2).
#[derive(Clone, Copy)]
pub struct Kind {
    open: libc::c_long,
    next: libc::c_long,
}

/// Programs.
pub const PROGRAMS: Kind = Kind { open: 13, next: 11 };
/// Maps.
pub const MAPS: Kind = Kind { open: 14, next: 12 };

/// The part of `union bpf_attr` for ids.
#[repr(C)]
#[derive(Default)]
struct IdAttributes {
    id: u32,
    next_id: u32,
    open_flags: u32,
}

impl Kind {
    /// That of this id (CAP_SYS_ADMIN).
    ///
    /// # Errors
    /// ENOENT where it has gone; EPERM without CAP_SYS_ADMIN.
    pub fn open(self, id: u32) -> nix::Result<OwnedFd> {
        let mut attributes = IdAttributes { id, ..IdAttributes::default() };
        // SAFETY: plain numbers.
        unsafe { bpf_fd(self.open, &mut attributes) }
    }

    /// The next id after this one.
    ///
    /// # Errors
    /// ENOENT: it is the last.
    pub fn next(self, after: u32) -> nix::Result<u32> {
        let mut attributes = IdAttributes { id: after, ..IdAttributes::default() };
        // SAFETY: plain numbers; the kernel writes the next id into them.
        unsafe { bpf(self.next, &mut attributes) }.map(|_| attributes.next_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_structure_has_the_kernels_size() {
        assert_eq!(size_of::<IdAttributes>(), 12);
    }
}

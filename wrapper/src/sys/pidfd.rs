//! Descriptors of processes (pidfd_open(2), 5.3): a number may be given to another process, a descriptor stays with its
//! own.
#![forbid(unsafe_code)]

use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::unistd::Pid;

use crate::sys::syscall;

/// Takes a thread too, not only a process (6.9).
const PIDFD_THREAD: libc::c_uint = libc::O_EXCL as libc::c_uint;
/// `struct pidfd_info` has who the process acts as.
const PIDFD_INFO_CREDS: u64 = 1 << 1;

/// Who a process acts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ids {
    /// The effective user.
    pub uid: u32,
    /// The user who will own what it makes.
    pub fsuid: u32,
    /// The effective group.
    pub gid: u32,
    /// The group that will own what it makes.
    pub fsgid: u32,
}

/// A process or, from 6.9 on, a thread.
#[derive(Debug)]
pub struct Pidfd(OwnedFd);

impl Pidfd {
    /// Opens what has this number now. Before 6.9 a thread that is not its process's first cannot be had.
    pub fn open(pid: u32) -> nix::Result<Self> {
        match open(pid, PIDFD_THREAD) {
            Err(Errno::EINVAL) => open(pid, 0),
            outcome => outcome,
        }
    }

    /// Opens the process of this number; poll(2) tells when it has ended, with all its threads.
    pub fn of_process(pid: Pid) -> nix::Result<Self> {
        open(pid.as_raw() as u32, 0)
    }

    /// Whether the number is still its own.
    pub fn is_alive(&self) -> bool {
        // EPERM is an answer about a process that is there.
        !matches!(syscall::pidfd_probe(&self.0), Err(errno) if errno != Errno::EPERM)
    }

    /// Who it acts as now (6.13). ENOTTY and EINVAL: the kernel is older; ESRCH: it is gone.
    pub fn ids(&self) -> nix::Result<Ids> {
        let info = syscall::pidfd_get_info(&self.0, PIDFD_INFO_CREDS)?;
        if info.mask & PIDFD_INFO_CREDS == 0 {
            return Err(Errno::ESRCH);
        }
        Ok(Ids { uid: info.euid, fsuid: info.fsuid, gid: info.egid, fsgid: info.fsgid })
    }

    /// A copy of its descriptor (5.6; needs the right to trace it).
    pub fn descriptor(&self, number: RawFd) -> nix::Result<OwnedFd> {
        syscall::pidfd_getfd(&self.0, number)
    }
}

impl AsFd for Pidfd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A copy of this process's own standard input.
pub fn own_descriptor() -> nix::Result<OwnedFd> {
    Pidfd::open(std::process::id())?.descriptor(0)
}

fn open(pid: u32, flags: libc::c_uint) -> nix::Result<Pidfd> {
    syscall::pidfd_open(pid, flags).map(Pidfd)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::syscall::PidfdInfo;

    #[test]
    fn a_descriptor_knows_whether_its_process_is_there() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pidfd = Pidfd::open(child.id()).unwrap();
        assert!(pidfd.is_alive());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!pidfd.is_alive());
        assert!(pidfd.ids().is_err(), "a process that is gone acts as nobody");
    }

    #[test]
    fn the_kernels_structure_has_64_bytes() {
        assert_eq!(size_of::<PidfdInfo>(), 64);
        let own = Pidfd::open(std::process::id()).unwrap().ids();
        assert!(own.is_err() || own.is_ok_and(|ids| ids.uid == nix::unistd::geteuid().as_raw()));
    }
}

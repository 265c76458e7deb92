//! Descriptors of processes (pidfd_open(2), 5.3): a number may be given to another process, a descriptor stays with its
//! own.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::unistd::Pid;

/// Takes a thread too, not only a process (6.9).
const PIDFD_THREAD: libc::c_uint = libc::O_EXCL as libc::c_uint;
/// `struct pidfd_info` has who the process acts as.
const PIDFD_INFO_CREDS: u64 = 1 << 1;
/// `_IOWR(0xff, 11, struct pidfd_info)` (6.13)
const PIDFD_GET_INFO: libc::Ioctl = (3 << 30 | (size_of::<Info>() as u32) << 16 | 0xff << 8 | 11) as libc::Ioctl;

/// `struct pidfd_info` in its first version.
#[repr(C)]
#[derive(Default)]
struct Info {
    mask: u64,
    cgroup: u64,
    pid: u32,
    tgid: u32,
    ppid: u32,
    ruid: u32,
    rgid: u32,
    euid: u32,
    egid: u32,
    suid: u32,
    sgid: u32,
    fsuid: u32,
    fsgid: u32,
    spare: u32,
}

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
        // SAFETY: numbers, and a null pointer for "no details".
        let sent =
            unsafe { libc::syscall(libc::SYS_pidfd_send_signal, self.0.as_raw_fd(), 0, std::ptr::null::<u8>(), 0) };
        // EPERM is an answer about a process that is there.
        !matches!(Errno::result(sent), Err(errno) if errno != Errno::EPERM)
    }

    /// Who it acts as now (6.13). ENOTTY and EINVAL: the kernel is older; ESRCH: it is gone.
    pub fn ids(&self) -> nix::Result<Ids> {
        let mut info = Info { mask: PIDFD_INFO_CREDS, ..Info::default() };
        // SAFETY: the kernel reads and writes one live structure of the size in the number.
        Errno::result(unsafe { libc::ioctl(self.0.as_raw_fd(), PIDFD_GET_INFO, &raw mut info) })?;
        if info.mask & PIDFD_INFO_CREDS == 0 {
            return Err(Errno::ESRCH);
        }
        Ok(Ids { uid: info.euid, fsuid: info.fsuid, gid: info.egid, fsgid: info.fsgid })
    }

    /// A copy of its descriptor (5.6; needs the right to trace it).
    pub fn descriptor(&self, number: RawFd) -> nix::Result<OwnedFd> {
        // SAFETY: numbers only.
        let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_getfd, self.0.as_raw_fd(), number, 0) })?;
        // SAFETY: the kernel just made this descriptor (close-on-exec), nobody else has it.
        Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
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
    // SAFETY: numbers only.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, flags) })?;
    // SAFETY: the kernel just made this descriptor (close-on-exec), nobody else has it.
    Ok(Pidfd(unsafe { OwnedFd::from_raw_fd(fd as RawFd) }))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(size_of::<Info>(), 64);
        let own = Pidfd::open(std::process::id()).unwrap().ids();
        assert!(own.is_err() || own.is_ok_and(|ids| ids.uid == nix::unistd::geteuid().as_raw()));
    }
}

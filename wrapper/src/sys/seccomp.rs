//! seccomp(2) and the ioctls of a filter's listener, with the kernel's structures. What a filter says and what a call
//! is answered is decided elsewhere.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use libc::{seccomp_notif, seccomp_notif_addfd, seccomp_notif_resp, sock_filter, sock_fprog};
use nix::errno::Errno;

/// Wakes the caller on this very CPU (6.6).
const FD_SYNC_WAKE_UP: u64 = 1;

// _IOC(direction, '!', number, size): see linux/seccomp.h.
const fn ioctl_number(direction: u64, number: u64, size: usize) -> libc::Ioctl {
    (direction << 30 | (size as u64) << 16 | (b'!' as u64) << 8 | number) as libc::Ioctl
}
const NOTIF_RECV: libc::Ioctl = ioctl_number(3, 0, size_of::<seccomp_notif>());
const NOTIF_SEND: libc::Ioctl = ioctl_number(3, 1, size_of::<seccomp_notif_resp>());
const NOTIF_ID_VALID: libc::Ioctl = ioctl_number(1, 2, size_of::<u64>());
const NOTIF_ADDFD: libc::Ioctl = ioctl_number(1, 3, size_of::<seccomp_notif_addfd>());
const NOTIF_SET_FLAGS: libc::Ioctl = ioctl_number(1, 4, size_of::<u64>());

/// Whether a filter is on this process.
pub fn is_filtered() -> bool {
    // SAFETY: asks for a number; no pointer is involved.
    unsafe { libc::prctl(libc::PR_GET_SECCOMP) != libc::SECCOMP_MODE_DISABLED as i32 }
}

/// Whether the kernel knows this verdict of a filter (4.14).
pub fn knows_action(action: u32) -> bool {
    // SAFETY: the kernel reads one live number.
    unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0, &raw const action) == 0 }
}

/// Whether the kernel knows seccomp(2) (3.17), with filters: asked for one without its instructions, it cannot read them.
pub fn knows_filters() -> bool {
    // SAFETY: there is no pointer to follow.
    let outcome = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, 0usize) };
    Errno::result(outcome) == Err(Errno::EFAULT)
}

/// Puts a filter on this process and all it will start.
pub fn set_filter(filter: &[sock_filter], flags: libc::c_ulong) -> nix::Result<()> {
    set(filter, flags).map(drop)
}

/// The same, with a listener for the calls that the filter hands over.
pub fn set_filter_with_listener(filter: &[sock_filter], flags: libc::c_ulong) -> nix::Result<OwnedFd> {
    let fd = set(filter, flags | libc::SECCOMP_FILTER_FLAG_NEW_LISTENER)?;
    // SAFETY: the kernel just made this descriptor (close-on-exec), nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

fn set(filter: &[sock_filter], flags: libc::c_ulong) -> nix::Result<libc::c_long> {
    let program = sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
    // SAFETY: the kernel copies the instructions, which live as long as `filter`.
    Errno::result(unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program) })
}

/// A filter's listener.
pub struct Listener<'a>(pub &'a OwnedFd);

impl Listener<'_> {
    /// Asks to have callers woken on this CPU; a kernel before 6.6 says EINVAL, which only means slower.
    pub fn wake_on_this_cpu(&self) {
        // SAFETY: a number.
        unsafe { libc::ioctl(self.0.as_raw_fd(), NOTIF_SET_FLAGS, FD_SYNC_WAKE_UP) };
    }

    /// The next call; waits for it.
    pub fn receive(&self) -> nix::Result<seccomp_notif> {
        /// A later kernel's structure may be longer; it wants it zeroed and fills it.
        #[repr(C)]
        struct Buffer(seccomp_notif, [u64; 32]);
        // SAFETY: a structure of numbers, for which zero is a value.
        let mut buffer: Buffer = unsafe { std::mem::zeroed() };
        // SAFETY: the kernel writes one seccomp_notif into a live buffer with room to spare.
        Errno::result(unsafe { libc::ioctl(self.0.as_raw_fd(), NOTIF_RECV, &raw mut buffer) })?;
        Ok(buffer.0)
    }

    /// Answers a call.
    pub fn send(&self, response: &seccomp_notif_resp) -> nix::Result<()> {
        // SAFETY: the kernel reads one live structure.
        Errno::result(unsafe { libc::ioctl(self.0.as_raw_fd(), NOTIF_SEND, &raw const *response) }).map(drop)
    }

    /// Puts a descriptor into the caller (5.9); its number there.
    pub fn add_descriptor(&self, request: &seccomp_notif_addfd) -> nix::Result<libc::c_int> {
        // SAFETY: the kernel reads one live structure.
        Errno::result(unsafe { libc::ioctl(self.0.as_raw_fd(), NOTIF_ADDFD, &raw const *request) })
    }

    /// Whether the kernel knows how to do that: it has no call of this number, and says so.
    pub fn knows_add_descriptor(&self) -> bool {
        let srcfd = self.0.as_raw_fd() as u32;
        let request = seccomp_notif_addfd { id: 0, flags: 0, srcfd, newfd: 0, newfd_flags: 0 };
        self.add_descriptor(&request) == Err(Errno::ENOENT)
    }

    /// Whether the caller still waits for this call's answer.
    pub fn is_valid(&self, id: u64) -> bool {
        // SAFETY: the kernel reads one live u64.
        unsafe { libc::ioctl(self.0.as_raw_fd(), NOTIF_ID_VALID, &raw const id) == 0 }
    }
}

impl AsFd for Listener<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

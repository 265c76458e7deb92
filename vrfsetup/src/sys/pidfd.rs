//! Sockets of other processes: copies of their descriptors (pidfd_getfd(2), 5.6), and what a socket says of itself. A copy is
//! the same socket: what is done to it is done to the other process's.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::stat::fstat;

/// For one thread (6.9).
const PIDFD_THREAD: libc::c_int = libc::O_EXCL;

/// A process; its number may be given to another one, its descriptor stays with it.
#[derive(Debug)]
pub struct Process(OwnedFd);

impl Process {
    /// Opens it.
    ///
    /// # Errors
    /// ESRCH: it is gone; ENOSYS: the kernel is too old (5.3).
    pub fn open(pid: u32) -> nix::Result<Self> {
        Self::with_flags(pid, 0)
    }

    /// Opens one thread, whose descriptors can be had after the main one has ended.
    ///
    /// # Errors
    /// ESRCH: it is gone; EINVAL, ENOSYS: the kernel is too old (6.9).
    pub fn of_thread(thread: u32) -> nix::Result<Self> {
        Self::with_flags(thread, PIDFD_THREAD)
    }

    fn with_flags(pid: u32, flags: libc::c_int) -> nix::Result<Self> {
        // SAFETY: numbers only.
        let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, flags) })?;
        // SAFETY: the kernel just made this descriptor (close-on-exec), nobody else has it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd as RawFd) }))
    }

    /// A copy of its descriptor.
    ///
    /// # Errors
    /// ESRCH: it is gone; EBADF: the descriptor is; EPERM: it may not be traced.
    pub fn descriptor(&self, number: RawFd) -> nix::Result<OwnedFd> {
        // SAFETY: numbers only.
        let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_getfd, self.0.as_raw_fd(), number, 0) })?;
        // SAFETY: the kernel just made this descriptor (close-on-exec), nobody else has it.
        Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
    }
}

/// Whether two threads have one table of descriptors (CLONE_FILES).
///
/// # Errors
/// ESRCH: one of them is gone; ENOSYS: a kernel without kcmp(2); EPERM: one may not be traced.
pub fn shares_descriptors(one: u32, other: u32) -> nix::Result<bool> {
    const KCMP_FILES: libc::c_int = 2;
    // SAFETY: numbers only.
    let order = Errno::result(unsafe { libc::syscall(libc::SYS_kcmp, one, other, KCMP_FILES, 0, 0) })?;
    Ok(order == 0)
}

/// The number by which /proc, too, knows a socket.
///
/// # Errors
/// As fstat(2).
pub fn inode(socket: &OwnedFd) -> nix::Result<u64> {
    Ok(fstat(socket)?.st_ino)
}

/// Family, type and protocol of a socket.
///
/// # Errors
/// As getsockopt(2).
pub fn kind(socket: &OwnedFd) -> nix::Result<(i32, i32, i32)> {
    let number = |option| get(socket, libc::SOL_SOCKET, option).map(i32::from_ne_bytes);
    Ok((number(libc::SO_DOMAIN)?, number(libc::SO_TYPE)?, number(libc::SO_PROTOCOL)?))
}

/// The state of a TCP socket (TCP_* of the kernel).
///
/// # Errors
/// As getsockopt(2).
pub fn tcp_state(socket: &OwnedFd) -> nix::Result<u8> {
    get::<1>(socket, libc::IPPROTO_TCP, libc::TCP_INFO).map(|[state]| state)
}

/// The first bytes of an option's value.
fn get<const N: usize>(socket: &OwnedFd, level: libc::c_int, option: libc::c_int) -> nix::Result<[u8; N]> {
    let (mut value, mut length) = ([0; N], N as libc::socklen_t);
    // SAFETY: the kernel writes at most `length` bytes into a live array.
    let result =
        unsafe { libc::getsockopt(socket.as_raw_fd(), level, option, value.as_mut_ptr().cast(), &raw mut length) };
    Errno::result(result)?;
    if length as usize == N { Ok(value) } else { Err(Errno::EPROTO) }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;

    #[test]
    fn a_copy_is_the_same_socket() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let own = Process::open(std::process::id()).unwrap();
        let copy = own.descriptor(socket.as_raw_fd()).unwrap();
        let link = std::fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())).unwrap();
        assert_eq!(link.to_str(), Some(format!("socket:[{}]", inode(&copy).unwrap()).as_str()));
        assert_eq!(kind(&copy), Ok((libc::AF_INET, libc::SOCK_DGRAM, libc::IPPROTO_UDP)));
    }

    #[test]
    fn a_listener_says_so_and_a_process_that_is_gone_too() {
        const LISTEN: u8 = 10;
        let socket = OwnedFd::from(TcpListener::bind("127.0.0.1:0").unwrap());
        assert_eq!(tcp_state(&socket), Ok(LISTEN));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let process = Process::open(child.id()).unwrap();
        child.wait().unwrap();
        assert_eq!(process.descriptor(0).unwrap_err(), Errno::ESRCH);
    }

    /// As it is after the main thread has ended.
    #[test]
    fn a_thread_has_the_descriptors_of_its_process() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let number = socket.as_raw_fd();
        let of_thread = move || Process::of_thread(nix::unistd::gettid().as_raw() as u32)?.descriptor(number);
        let copied = std::thread::spawn(of_thread).join().unwrap();
        match kernel_knows_threads() {
            true => assert_eq!(copied.and_then(|copy| inode(&copy)), inode(&socket.into())),
            false => assert_eq!(copied.unwrap_err(), Errno::EINVAL),
        }
    }

    #[test]
    fn threads_share_their_descriptors_until_one_has_its_own() {
        let main = nix::unistd::gettid().as_raw() as u32;
        let shared = |own: bool| {
            let asked = move || {
                if own {
                    nix::sched::unshare(nix::sched::CloneFlags::CLONE_FILES).unwrap();
                }
                shares_descriptors(main, nix::unistd::gettid().as_raw() as u32)
            };
            std::thread::spawn(asked).join().unwrap()
        };
        // A kernel may be built without kcmp(2).
        let known = shared(false);
        assert!(matches!(known, Ok(true) | Err(Errno::ENOSYS)), "{known:?}");
        assert_eq!(shared(true), known.map(|_| false));
        assert_eq!(shares_descriptors(main, u32::MAX >> 1), known.and(Err(Errno::ESRCH)));
    }

    /// Asked with the flag's number in <linux/pidfd.h>, not with ours.
    fn kernel_knows_threads() -> bool {
        const FLAG: libc::c_int = 0o200;
        // SAFETY: numbers only.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, nix::unistd::gettid().as_raw(), FLAG) };
        // SAFETY: the kernel just made this descriptor, nobody else has it.
        (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd as RawFd) }).is_some()
    }
}

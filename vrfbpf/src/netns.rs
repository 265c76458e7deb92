//! The number by which BPF programs tell network namespaces apart.

use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;

use vrfabi::socket::SO_NETNS_COOKIE;

/// The number of the current network namespace (SO_NETNS_COOKIE, 5.14).
pub fn netns_cookie() -> Option<u64> {
    let socket = UnixDatagram::unbound().ok()?;
    let (mut cookie, mut length) = (0u64, size_of::<u64>() as libc::socklen_t);
    // SAFETY: the kernel writes at most eight bytes into a live u64.
    let result = unsafe {
        let value = (&raw mut cookie).cast();
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, SO_NETNS_COOKIE, value, &raw mut length)
    };
    (result == 0).then_some(cookie)
}

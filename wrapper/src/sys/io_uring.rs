//! io_uring's filters (7.0): registers one for the making of sockets, and asks a ring what it says.
#![forbid(unsafe_code)]

use io_uring::IoUring;
use nix::errno::Errno;

/// Puts a filter over IORING_OP_SOCKET. It is told the size of what the kernel shows it: the kernel wants to know that we know.
pub use crate::sys::syscall::io_uring_filter_sockets as filter_sockets;
use crate::sys::syscall::{ask_for_socket, io_uring_filter_nothing};

/// Whether the kernel knows such filters: nothing is registered, for there is no structure to read. A kernel that does
/// not know the operation says EINVAL, before 6.13 EBADF.
pub fn knows_filters() -> bool {
    !matches!(io_uring_filter_nothing(), Err(Errno::EINVAL | Errno::EBADF | Errno::ENOSYS) | Ok(()))
}

/// Asks a ring of our own for a socket: whether it is denied. False where there is no ring.
pub fn is_socket_denied() -> bool {
    let Ok(mut ring) = IoUring::new(1) else { return false };
    if ask_for_socket(&mut ring, libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC).is_err() {
        return false;
    }
    ring.completion().next().is_some_and(|answer| answer.result() < 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unfiltered_ring_is_no_proof() {
        // Before 7.0, and wherever nothing was registered: either there is no ring here, or it makes the socket.
        assert!(!is_socket_denied());
    }
}

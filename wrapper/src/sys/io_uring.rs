//! io_uring's filters (7.0): registers one for the making of sockets, and asks a ring what it says.
#![forbid(unsafe_code)]

use io_uring::IoUring;
use libc::sock_filter;
use nix::errno::Errno;

use crate::sys::syscall::{ask_for_socket, io_uring_register};

const IORING_REGISTER_BPF_FILTER: libc::c_uint = 37;
const IORING_OP_SOCKET: u32 = 45;
/// Registers for the task and all it will start, not for one ring.
const NO_RING: libc::c_int = -1;
const IO_URING_BPF_CMD_FILTER: u16 = 1;

/// `struct io_uring_bpf`.
#[repr(C)]
struct Registration {
    command: u16,
    command_flags: u16,
    reserved: u32,
    opcode: u32,
    flags: u32,
    filter_length: u32,
    details_size: u8,
    reserved_too: [u8; 3],
    filter: u64,
    reserved_last: [u64; 5],
}

/// Puts a filter over IORING_OP_SOCKET. `details_size` is that of what the kernel shows the filter: it wants to know
/// that we know.
pub fn filter_sockets(filter: &[sock_filter], details_size: u8) -> nix::Result<()> {
    register(Some(&Registration {
        command: IO_URING_BPF_CMD_FILTER,
        command_flags: 0,
        reserved: 0,
        opcode: IORING_OP_SOCKET,
        flags: 0,
        filter_length: filter.len() as u32,
        details_size,
        reserved_too: [0; 3],
        filter: filter.as_ptr().expose_provenance() as u64,
        reserved_last: [0; 5],
    }))
}

fn register(registration: Option<&Registration>) -> nix::Result<()> {
    io_uring_register(NO_RING, IORING_REGISTER_BPF_FILTER, registration)
}

/// Whether the kernel knows such filters: nothing is registered, for there is no structure to read. A kernel that does
/// not know the operation says EINVAL, before 6.13 EBADF.
pub fn knows_filters() -> bool {
    !matches!(register(None), Err(Errno::EINVAL | Errno::EBADF | Errno::ENOSYS) | Ok(()))
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
    fn the_kernels_structure_has_the_kernels_size() {
        assert_eq!(size_of::<Registration>(), 72);
        assert_eq!(std::mem::offset_of!(Registration, filter), 24);
    }

    #[test]
    fn an_unfiltered_ring_is_no_proof() {
        // Before 7.0, and wherever nothing was registered: either there is no ring here, or it makes the socket.
        assert!(!is_socket_denied());
    }
}

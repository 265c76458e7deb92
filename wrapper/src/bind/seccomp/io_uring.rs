//! io_uring makes sockets that no seccomp filter sees. From Linux 7.0 on a task can have a filter over io_uring too:
//! it denies the making of sockets, and leaves the rest of io_uring to the program. Before, there is none to be had.

use io_uring::{IoUring, opcode};
use nix::errno::Errno;

use crate::bind::seccomp::filter::refuse_all;
use crate::bind::seccomp::install;
use crate::sys::kernel;

const IORING_REGISTER_BPF_FILTER: libc::c_uint = 37;
const IORING_OP_SOCKET: u32 = 45;
/// Registers for the task and all it will start, not for one ring.
const NO_RING: libc::c_int = -1;
const IO_URING_BPF_CMD_FILTER: u16 = 1;
/// What the kernel shows a filter of IORING_OP_SOCKET: family, type and protocol. It wants to know that we know.
const SOCKET_DETAILS: [u8; 5] = [12, 0, 4, 8, 16];

/// Denies IORING_OP_SOCKET to this process and all it will start; true if a ring then proves it. It cannot be taken
/// back, and needs no_new_privs where a seccomp filter does.
pub fn deny_sockets() -> bool {
    kernel::release() >= (7, 0) && install::allow_filters().and_then(|()| register()).is_ok() && is_denied()
}

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

fn register() -> nix::Result<()> {
    let filter = refuse_all();
    let mut outcome = Err(Errno::EINVAL);
    for details_size in SOCKET_DETAILS {
        let registration = Registration {
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
        };
        // SAFETY: the kernel reads one live structure and the live instructions that it names, and copies both.
        outcome = Errno::result(unsafe {
            libc::syscall(libc::SYS_io_uring_register, NO_RING, IORING_REGISTER_BPF_FILTER, &raw const registration, 1)
        })
        .map(drop);
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

/// Asks a ring of our own for a socket.
fn is_denied() -> bool {
    let Ok(mut ring) = IoUring::new(1) else { return false };
    let wanted = opcode::Socket::new(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0).build();
    // SAFETY: the entry names no memory.
    if unsafe { ring.submission().push(&wanted) }.is_err() || ring.submit_and_wait(1).is_err() {
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
        assert!(!is_denied());
    }
}

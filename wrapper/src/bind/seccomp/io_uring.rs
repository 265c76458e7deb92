//! io_uring makes sockets that no seccomp filter sees. From Linux 7.0 on a task can have a filter over io_uring too:
//! it denies the making of sockets, and leaves the rest of io_uring to the program. Before, there is none to be had.

use nix::errno::Errno;

use crate::bind::seccomp::filter::refuse_all;
use crate::bind::seccomp::install;
use crate::sys::feature::Feature;
use crate::sys::io_uring;

/// What the kernel shows a filter of IORING_OP_SOCKET: family, type and protocol. It wants to know that we know.
const SOCKET_DETAILS: [u8; 5] = [12, 0, 4, 8, 16];

/// Denies IORING_OP_SOCKET to this process and all it will start; true if a ring then confirms it. It cannot be
/// undone, and needs no_new_privs where a seccomp filter does.
pub fn deny_sockets() -> bool {
    let denied = || install::allow_filters().and_then(|()| register());
    Feature::IoUringFilter.probe() && denied().is_ok() && io_uring::is_socket_denied()
}

fn register() -> nix::Result<()> {
    let filter = refuse_all();
    let mut outcome = Err(Errno::EINVAL);
    for details_size in SOCKET_DETAILS {
        outcome = io_uring::filter_sockets(&filter, details_size);
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

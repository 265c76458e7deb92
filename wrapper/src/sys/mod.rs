//! System calls and small files: what neither the standard library nor nix says about this process and the kernel.
//!
//! Here, and nowhere else in the library, is unsafe code: in `syscall`, `process`, `socket` and `seccomp`.
//! Uses no other room. Decides nothing: it returns what the kernel said, and reports no error of its own.

pub mod architecture;
pub mod arena;
pub mod capability;
pub mod feature;
pub mod interface_option;
pub mod io_uring;
pub mod kernel;
pub mod memory;
pub mod orphan;
pub mod pidfd;
pub mod process;
pub mod seccomp;
pub mod socket;
pub mod syscall;

//! The seccomp filter, what installs it, and the supervisor behind it.

pub mod filter;
pub mod install;
pub mod io_uring;
pub mod notify;
pub mod supervisor;

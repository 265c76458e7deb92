//! The kernel and the files of the system.

pub mod netlink;
pub mod rt_tables;
pub mod run_dir;
pub mod sock_diag;
pub mod sysctl;

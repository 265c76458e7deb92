//! The kernel and the files of the system.

pub mod families;
pub mod netlink;
pub mod release;
pub mod rt_tables;
pub mod run_dir;
pub mod sock_diag;
pub mod sysctl;

//! The operating system, as plain values: routing netlink, socket diagnosis, settings below /proc/sys, the names of
//! routing tables, accounts, the users whose sockets are in a VRF, those whose logins have mount namespaces, who resolves
//! names, who else configures interfaces, files that others read, those in /run/vrfsetup, signals, cgroups and their
//! mounts, the system's log, systemd, nft, sockets of other processes, what processes have open, trials of this program,
//! the kernel's features and families.
//!
//! May use `model`. Does what it is told and reports what the kernel answered; decides nothing. Unsafe code is in `pidfd`
//! alone.
#![deny(unsafe_code)]

pub mod accounts;
mod btf;
pub mod cgroup;
pub mod daemons;
pub mod families;
pub mod feature;
pub mod files;
mod mounts;
pub mod namespaces;
pub mod netlink;
pub mod nft;
pub mod open_files;
pub mod pidfd;
pub mod resolver;
pub mod rt_tables;
pub mod run_dir;
pub mod signals;
pub mod sock_diag;
pub mod sysctl;
pub mod syslog;
pub mod systemd;
pub mod trial;
pub mod users;

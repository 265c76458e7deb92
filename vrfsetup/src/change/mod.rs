//! The verbs that change something, one file each: `add` (`emulate` where the kernel has no VRFs), `del`, `attach` and
//! `detach`, `leak`, `rules`, `zones`, `apply`, `unit`, `user`, `tunnel`, `session`, `oci_hook`, `oci_runtime`; and `rollback`,
//! which undoes the last change.
//!
//! Each reads what is there, has the steps planned, asks the lockout check, and has a transaction make them. May use
//! `transaction`, `plan`, `model` and `error`, and of `sys` what is a file or a user. Talks to routing netlink only through a
//! transaction and an inventory, and prints nothing.
#![forbid(unsafe_code)]

pub mod add;
pub mod apply;
pub mod attach;
pub mod cgroup;
pub mod del;
pub mod emulate;
pub mod leak;
pub mod oci_hook;
pub mod oci_runtime;
pub mod rollback;
pub mod rules;
pub mod session;
pub mod tunnel;
pub mod unit;
pub mod user;
pub mod zones;

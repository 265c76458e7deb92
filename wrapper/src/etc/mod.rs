//! The program's /etc: the VRF's files over the system's, the name servers of its ports
//! where a stub would not be reached, and a warning where names are resolved outside the VRF.
//!
//! May use `vrf`, `options`, `error` and `sys`. Makes no socket that the program gets, and mounts nothing outside the mount
//! namespace that it made.
#![forbid(unsafe_code)]

mod daemons;
mod given;
mod login;
mod marks;
mod mounted;
pub mod names;
pub mod namespace;
mod outer;
pub mod overlay;
mod ownership;
mod resolver;

/// Where a VRF's files are kept.
const DIRECTORY: &str = "/etc/vrf";

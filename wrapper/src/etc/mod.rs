//! The program's /etc: the VRF's files over the system's, and a warning where names are resolved outside the VRF.
//!
//! May use `vrf`, `options`, `error` and `sys`. Makes no socket that the program gets, and mounts nothing outside the mount
//! namespace that it made.
#![forbid(unsafe_code)]

mod daemons;
mod marks;
mod mounted;
mod outer;
pub mod overlay;
pub mod ownership;
pub mod resolver;

//! The program's /etc: the VRF's files over the system's, and a warning where names are resolved outside the VRF.
//!
//! May use `options`, `error` and `sys`. Makes no socket that the program gets, and mounts nothing outside the mount
//! namespace that it made.
#![forbid(unsafe_code)]

mod mounted;
pub mod overlay;
pub mod resolver;

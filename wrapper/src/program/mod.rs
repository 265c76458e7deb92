//! The program that is run: its file, its environment, its descriptors and its user.
//!
//! May use `vrf`, `options`, `error` and `sys`. Knows no mechanism.
#![forbid(unsafe_code)]

mod accept_queue;
pub mod elf;
pub mod environment;
pub mod exec;
pub mod inherited_fds;
pub mod user;

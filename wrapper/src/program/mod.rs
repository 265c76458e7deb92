//! The program that is run: its file, its environment, its descriptors and its user.

pub mod elf;
pub mod environment;
pub mod exec;
pub mod inherited_fds;
pub mod user;

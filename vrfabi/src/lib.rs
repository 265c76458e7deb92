//! What two of our programs must agree on: each name, number and rule that one of them writes and another one reads, or
//! that both apply to the same socket.
//!
//! Pure, and without allocation: the shim uses it inside other people's processes. What only one crate knows does not
//! belong here, and neither does anything that asks the kernel.
#![no_std]
#![forbid(unsafe_code)]

pub mod cgroup;
pub mod container;
pub mod environment;
pub mod group;
pub mod socket;

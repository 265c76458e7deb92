//! Builds and reads the few rtnetlink messages that `vrfrun` and the shim need: one link, the rules, the routes of a
//! table; and of sock_diag: the listeners.
//!
//! Pure bytes in, plain values out: no socket, no allocation, no panic on any input. Whoever wants more than this
//! (changing things, full dumps) uses the `rtnetlink` crate.
#![no_std]
#![forbid(unsafe_code)]

pub mod address;
mod attr;
pub mod link;
pub mod listener;
mod message;
pub mod route;
pub mod rule;

pub use attr::Attributes;
pub use message::{Message, Messages, Request};

//! Sets up, inspects, fixes and undoes Linux VRFs.
//!
//! The rooms from top to bottom; each uses only what stands below it. `cli` reads the command line and prints. `change`
//! and `inspect` hold the verbs, `demo` the demonstration. `transaction` makes [`model::step::Step`]s as one change and
//! undoes them; `plan` says which steps, and writes nothing. `error` names what can go wrong. `sys` talks to the
//! kernel, by routing netlink through [`sys::netlink::Kernel`] alone. `model` has the plain values.
//!
//! Not a public API: the contract is the command line, see `vrfsetup(8)`.
#![forbid(unsafe_code)]

pub mod change;
mod cli;
pub mod demo;
pub mod error;
pub mod inspect;
pub mod model;
pub mod plan;
#[cfg(test)]
mod proptests;
pub mod sys;
pub mod transaction;

pub use cli::{definition, main};

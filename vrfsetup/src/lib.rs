//! Sets up, inspects, fixes and undoes Linux VRFs.
//!
//! The rooms from top to bottom; each uses only what stands below it. `cli` reads the command line and prints. `moving`,
//! `change` and `inspect` hold the verbs, `demo` the demonstration. `transaction` makes [`model::step::Step`]s as one change and
//! undoes them; `plan` says which steps, and writes nothing. `error` names what can go wrong. `sys` talks to the
//! kernel, by routing netlink through [`sys::netlink::Kernel`] alone. `model` has the plain values.
//!
//! Not a public API: the contract is the command line, see `vrfsetup(8)`.
#![deny(unsafe_code)]

mod change;
mod cli;
mod demo;
mod error;
mod inspect;
mod model;
mod moving;
mod plan;
#[cfg(test)]
mod proptests;
mod sys;
mod transaction;

pub use change::apply::{config, source};
pub use cli::{definition, main};

//! Sets up, inspects, mends and undoes Linux VRFs.
//!
//! Plans are pure and consist of [`step::Step`]s; [`transaction::Transaction`] makes them and takes them back;
//! [`kernel::Kernel`] is the one door to routing netlink. `run` alone prints, but for a line on the terminal
//! while a long plan is carried out.
#![deny(unsafe_code)]

pub mod change;
mod cli;
pub mod demo;
pub mod error;
pub mod inspect;
pub mod model;
pub mod plan;
pub mod sys;
pub mod transaction;

pub use cli::{definition, main};

//! Sets up, inspects, mends and undoes Linux VRFs.
//!
//! Plans are pure and consist of [`step::Step`]s; [`transaction::Transaction`] makes them and takes them back;
//! [`kernel::Kernel`] is the one door to routing netlink. `run` alone prints, but for a line on the terminal
//! while a long plan is carried out.
#![deny(unsafe_code)]

pub mod add;
pub mod address;
pub mod apply;
pub mod attach;
mod cli;
pub mod config;
pub mod del;
pub mod demo;
pub mod doctor;
pub mod error;
pub mod export;
pub mod family;
mod gateway;
pub mod guard;
pub mod guardian;
pub mod inventory;
pub mod journal;
pub mod kernel;
pub mod leak;
pub mod link;
pub mod membership;
mod name;
pub mod netns;
pub mod outcome;
pub mod port;
pub mod process;
mod progress;
pub mod route;
pub mod rule;
pub mod rules;
mod run;
pub mod settings;
pub mod show;
pub mod socket;
pub mod state;
pub mod step;
mod strict;
pub mod sysctl;
pub mod system;
pub mod table;
pub mod transaction;
pub mod unit;
pub mod vrf;
pub mod words;

pub use run::{definition, main};

//! The command line.

mod args;
mod dispatch;
mod netns;

pub use dispatch::{definition, main};

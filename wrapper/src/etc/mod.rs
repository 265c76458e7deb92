//! The program's /etc.

pub mod overlay;
pub mod resolver;

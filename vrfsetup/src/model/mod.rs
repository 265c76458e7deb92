//! Plain values.

pub mod address;
pub mod family;
pub mod link;
pub mod name;
pub mod route;
pub mod rule;
pub mod step;
pub mod syntax;

//! Plain values.

pub mod address;
pub mod device;
pub mod family;
pub mod link;
pub mod name;
pub mod prefix;
pub mod route;
pub mod rule;
pub mod step;
pub mod syntax;

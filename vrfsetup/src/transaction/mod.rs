//! Steps, made and undone.

pub mod confirm;
pub mod journal;
pub mod lockout;
mod progress;
pub mod report;
pub mod session;
mod strict;

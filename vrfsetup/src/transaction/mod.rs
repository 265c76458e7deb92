//! Steps, made and undone.

pub mod confirm;
pub mod journal;
mod lock;
pub mod lockout;
mod progress;
pub mod report;
mod rollback;
pub mod session;
mod strict;

//! How steps are made as one change, and undone: the session with its lock, the journal and the confirmation, the
//! rollback, the check against locking the user out, the report.
//!
//! May use `sys` to change things, and the values of `plan`, `model` and `error`. Does not decide what is to be done:
//! the steps come from whoever began the transaction.
#![forbid(unsafe_code)]

pub mod confirm;
pub mod journal;
mod lock;
pub mod lockout;
pub mod progress;
pub mod report;
mod rollback;
pub mod session;
mod strict;

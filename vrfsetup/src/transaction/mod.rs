//! How steps are made as one change, and undone: the session, what it holds (the lock, signals), the journal and the log
//! that it is written to, the confirmation, the rollback, the recovery of what earlier runs left, the check against
//! locking the user out, the report.
//!
//! May use `sys` to change things, and the values of `plan`, `model` and `error`. Does not decide what is to be done:
//! the steps come from whoever began the transaction.
#![forbid(unsafe_code)]

mod around;
pub mod confirm;
pub mod held;
pub mod journal;
pub mod listeners;
mod lock;
pub mod lockout;
mod log;
mod moves;
mod path;
pub mod progress;
mod promotion;
pub mod recover;
pub mod report;
pub mod rollback;
pub mod session;
pub mod sockets;
mod strict;
mod sweep;
pub mod users;

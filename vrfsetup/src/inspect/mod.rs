//! The verbs that change nothing: `show`, `watch`, `doctor`, `metrics`, `export`, `zones show`, the lists of `user` and
//! `tunnel`, and which process is in which VRF (`processes`, `membership`).
//!
//! May use `plan`, `sys`, `model` and `error`, and of `transaction` what tells how an earlier change stands. Reads, and
//! gives back values that can be printed; refuses to change anything, so it begins no transaction.
#![forbid(unsafe_code)]

pub mod doctor;
pub mod export;
pub mod membership;
pub mod metrics;
pub mod processes;
pub mod show;
pub mod tunnels;
pub mod users;
pub mod watch;
pub mod zones;

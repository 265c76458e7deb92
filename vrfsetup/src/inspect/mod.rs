//! The verbs that change nothing.

pub mod doctor;
pub mod export;
pub mod membership;
pub mod processes;
pub mod show;

//! The verbs that change something.

pub mod add;
pub mod apply;
pub mod attach;
pub mod del;
pub mod leak;
pub mod rules;
pub mod unit;

//! What README, SECURITY and the man pages promise, the recipes tell and the shells offer.
//!
//! May use `super::setup` and `super::run`. Runs what stands on the page, not a copy of it, where the page has commands.

pub mod completions;
pub mod promises;
pub mod recipes;
pub mod recipes_moving;
pub mod recipes_seeing;
pub mod recipes_services;

use super::guest_tests;

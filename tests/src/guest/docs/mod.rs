//! What the pages say and the shells offer: README, recipes, completions.

pub mod completions;
pub mod promises;
pub mod recipes;
pub mod recipes_services;

use super::guest_tests;

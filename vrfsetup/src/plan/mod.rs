//! What is there, and the steps from there to what is wanted.

pub mod foreign_rules;
pub mod gateway;
pub mod inventory;
pub mod memory;
pub mod port;
pub mod rules;
pub mod sysctls;
pub mod system;
pub mod tables;
pub mod unit_files;
pub mod vrf;

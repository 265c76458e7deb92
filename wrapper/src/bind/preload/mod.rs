//! Mechanism `preload`: the shim in each process.

pub mod shim;

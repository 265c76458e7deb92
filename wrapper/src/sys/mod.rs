//! What neither the standard library nor nix says about this process and the kernel.

pub mod capability;
pub mod kernel;
pub mod random;
pub mod socket;

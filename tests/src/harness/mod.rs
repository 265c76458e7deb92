//! What every test stands on: worlds, peers, the judge, test programs, kernels, virtual machines.

pub mod judge;
pub mod kernels;
pub mod peer;
pub mod process;
pub mod programs;
pub mod vm;
pub mod world;

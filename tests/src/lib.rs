//! The test house: three routing domains with the same addresses, a judge that believes packets
//! only, and Debian's kernels in virtual machines. CONTRIBUTING.md says how to add to it.

pub mod bench;
pub mod demo;
pub mod guest;
pub mod harness;
pub mod matrix;

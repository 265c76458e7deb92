//! The test house: three routing domains with the same addresses, a judge that believes packets only, and Debian's
//! kernels in virtual machines. CONTRIBUTING.md says how to add to it.
//!
//! From top to bottom: [`guest`] (the tests in the machines) uses [`matrix`] (the leak matrix), which uses [`demo`];
//! those and [`bench`](mod@bench) use [`harness`], which uses none of them. `tools/rooms tests` prints it and fails on a circle.

pub mod bench;
pub mod demo;
pub mod guest;
pub mod harness;
pub mod matrix;

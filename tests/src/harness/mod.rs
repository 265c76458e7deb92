//! What every test stands on. `world` builds the three domains, `peer` answers at their far ends, `judge` runs a
//! command and counts its packets, `programs` builds what is run, `foreign` the same for another architecture, `kernels`
//! lists the kernels, `vm` boots them, `process` is what process 1 of a guest owes its tests, `sandboxes` has the tables of
//! the page about them, `seccomp` the profile of podman's containers, `setting` the
//! settings of the kernel that a test changes, `wait` the patience for what others do.
//!
//! Uses no other room: whoever boots a machine says which tests it expects there. Knows no test, no row of the
//! matrix and no measurement, and never judges by what a program says of itself.

pub mod foreign;
pub mod judge;
pub mod kernels;
pub mod peer;
pub mod process;
pub mod programs;
pub mod sandboxes;
pub mod seccomp;
pub mod setting;
pub mod vm;
pub mod wait;
pub mod world;

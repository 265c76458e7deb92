//! Debian's kernels in virtual machines: fetch, assemble, boot, watch. Never needs KVM.

pub mod image;
pub mod machine;
pub mod plan;
pub mod report;
pub mod run;

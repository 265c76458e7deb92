//! The VRF as the kernel has it: read over netlink, never changed.

pub mod device;
pub mod netlink;
pub mod netns;
pub mod seal;

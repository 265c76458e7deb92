//! The VRF as the kernel has it: the device, the rules that seal it, and the network namespace around it.
//!
//! May use `options`, `error` and `sys`. Reads over netlink, and never changes a device, a route or a rule: that is
//! vrfsetup's work.
#![forbid(unsafe_code)]

pub mod device;
pub mod emulated;
pub mod list;
pub mod netlink;
pub mod netns;
pub mod ports;
pub mod seal;

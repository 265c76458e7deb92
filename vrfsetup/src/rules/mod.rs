//! `vrfsetup rules`: what the routing rules must be so that no packet of a VRF falls through into the default domain.
//!
//! Three rules per family, all of protocol kernel so that networkd leaves them alone: `l3mdev` at 1000 (the kernel
//! makes it with the first VRF), `l3mdev unreachable` at 2000, and `local` behind both instead of at 0, so that an
//! address that is the machine's own in one domain can be somebody else's in another.

pub mod foreign;
pub mod plan;
mod verbs;

pub use verbs::{Policy, check, fix, has_l3mdev_rules, lookup, undo, vrfs};

/// Where the kernel puts the l3mdev rule.
pub const L3MDEV: u32 = 1000;
/// Where a packet that its VRF has no route for is stopped.
pub const UNREACHABLE: u32 = 2000;
/// Where `local` goes when a foreign rule would otherwise see local packets first.
pub const LOCAL_EARLY: u32 = 2001;
/// Where `local` goes: right before main.
pub const LOCAL_LATE: u32 = 32765;

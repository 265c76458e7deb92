//! The demonstration: the same commands without and with vrfrun, and whose answers came.

use std::process::{Command, ExitCode};

use crate::world::Kind;

/// The kernel for a machine whose own has no VRFs.
pub const KERNEL: &str = "debian_6_12";

/// Whether this machine's kernel has VRFs and we may make some.
pub fn can_run_here() -> bool {
    let script = "unshare --net ip link add vrf0 type vrf table 10";
    let quiet = Command::new("sh").args(["-c", script]).output();
    quiet.is_ok_and(|output| output.status.success())
}

/// What `blue` and `red` can be on this kernel.
pub fn kind() -> Kind {
    if can_run_here() { Kind::Vrfs } else { Kind::Links }
}

/// Shows it.
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}

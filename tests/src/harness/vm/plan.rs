//! What a guest is to do. The host writes it into the image, the guest's init reads it.

use serde::{Deserialize, Serialize};

/// Where the third image is mounted in a guest.
pub const DIRECTORY: &str = "/opt/vrftests";

/// What the project installs for systemd and udev, as it lies in the guest's third disk.
pub const FILES: [&str; 4] =
    ["vrfsetup.service", "vrfsetup-early.service", "vrfsetup-port@.service", "90-vrfsetup.rules"];
/// The one that undoes at boot what was not confirmed before; beside it for the test of that.
pub const ROLLBACK: &str = "vrfsetup-rollback.service";

/// The order for one machine.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Plan {
    /// Run these tests, each in a process of its own, and report.
    Tests(Vec<String>),
    /// Show the demonstration.
    Demo,
    /// Run a program with arguments, for whoever wants to look at something on that kernel.
    Run(Vec<String>),
    /// The same, after each boot of a machine that may reset itself: what it has written to its disks is there then.
    RunAtEachBoot(Vec<String>),
    /// A shell on the first serial port.
    Shell,
}

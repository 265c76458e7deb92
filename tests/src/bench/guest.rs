//! The guest's side: a world with VRFs, and one group of measurements after another.

use std::io;
use std::time::Duration;

use super::{real, scale, sockets, startup, supervisor, throughput, users};
use crate::harness::world::{Kind, World};

/// Measures a group of things and says them on stdout.
type Measure = fn() -> io::Result<()>;

/// What a kernel does in the background after its boot is over by then; to a clock that counts instructions, sleep is
/// short.
const SETTLED: Duration = Duration::from_secs(30);

/// The group that is measured where systemd is the first process.
pub const UNDER_SYSTEMD: &str = "systemd";

/// The group that is measured in real time, on the machine that builds.
pub const REAL: &str = "real";

/// What can be measured, each group in a machine of its own.
pub const GROUPS: [(&str, Measure); 9] = [
    ("start", startup::measure),
    (UNDER_SYSTEMD, startup::beside_systemd),
    ("sockets", sockets::measure),
    ("supervisor", supervisor::measure),
    ("users", users::measure),
    ("throughput", throughput::measure),
    ("scale", scale::ours),
    ("scale_ip", scale::theirs),
    (REAL, real::measure),
];

/// Measures a group and says it on stdout.
///
/// # Errors
/// When something cannot be run; a bench with a hole proves nothing.
pub fn main(wanted: &str) -> io::Result<()> {
    let (_, measure) = GROUPS.iter().find(|(name, _)| *name == wanted).ok_or(io::ErrorKind::InvalidInput)?;
    if wanted == REAL {
        return measure();
    }
    std::thread::sleep(SETTLED);
    // The tables of a world would change what vrfsetup reads.
    let _world = (!wanted.starts_with("scale")).then(|| World::of_machine(Kind::Vrfs)).transpose()?;
    measure()
}

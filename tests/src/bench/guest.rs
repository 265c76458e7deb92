//! The guest's side: a world with VRFs, and one group of measurements after another.

use std::io;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::{scale, sockets, startup, supervisor, tell, throughput};
use crate::world::{Kind, World};

/// The ways into the VRF: name, and what stands before the program.
pub const WAYS: [(&str, &[&str]); 7] = [
    ("bare", &[]),
    ("c_wrapper", &["bench_exec"]),
    ("ip_vrf_exec", &["ip", "vrf", "exec", "blue"]),
    ("bpf", &["vrfrun", "-m", "bpf", "blue"]),
    ("preload", &["vrfrun", "-m", "preload", "blue"]),
    ("gate", &["vrfrun", "-m", "preload", "--no-supervisor", "blue"]),
    ("seccomp", &["vrfrun", "-m", "seccomp", "blue"]),
];

/// Measures a group of things and says them on stdout.
type Measure = fn() -> io::Result<()>;

/// What can be measured, each group for itself. The tables would change the routes that vrfrun reads: they come last,
/// in namespaces of their own.
const GROUPS: [(&str, Measure); 5] = [
    ("start", startup::measure),
    ("sockets", sockets::measure),
    ("supervisor", supervisor::measure),
    ("throughput", throughput::measure),
    ("scale", scale::measure),
];

/// Whether there is a group of this name.
pub fn is_group(name: &str) -> bool {
    GROUPS.iter().any(|(group, _)| *group == name)
}

/// Measures these groups, or all, and says it on stdout.
///
/// # Errors
/// When something cannot be run; a bench with a hole proves nothing.
pub fn main(wanted: &[String]) -> io::Result<()> {
    let mut world = Some(World::of_machine(Kind::Vrfs)?);
    for (name, measure) in GROUPS {
        if name == "scale" {
            drop(world.take());
        }
        if wanted.is_empty() || wanted.iter().any(|group| group == name) {
            measure()?;
        }
    }
    Ok(())
}

/// A command whose output nobody wants.
pub fn quiet(words: &[&str]) -> io::Result<Command> {
    let (program, arguments) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
    Ok(command)
}

/// Runs a command that must succeed, and says how long it took, in nanoseconds.
pub fn time(command: &mut Command) -> io::Result<f64> {
    let start = Instant::now();
    let status = command.status().map_err(|error| io::Error::other(format!("{command:?}: {error}")))?;
    let taken = start.elapsed();
    if status.success() { Ok(taken.as_nanos() as f64) } else { Err(io::Error::other(format!("{command:?}: {status}"))) }
}

/// Says the median of several runs.
pub fn tell_median(name: &str, runs: usize, mut once: impl FnMut() -> io::Result<f64>) -> io::Result<()> {
    let mut times = (0..runs).map(|_| once()).collect::<io::Result<Vec<f64>>>()?;
    times.sort_by(f64::total_cmp);
    tell(name, times[times.len() / 2]);
    Ok(())
}

//! The guest's side: a world with VRFs, and one group of measurements after another.

use std::io;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{scale, sockets, startup, supervisor, tell, throughput};
use crate::harness::world::{Kind, World};

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

/// What a kernel does in the background after its boot is over by then; to a clock that counts instructions, sleep is
/// short.
const SETTLED: Duration = Duration::from_secs(30);

/// The group that is measured where systemd is the first process.
pub const UNDER_SYSTEMD: &str = "systemd";

/// What can be measured, each group in a machine of its own.
pub const GROUPS: [(&str, Measure); 7] = [
    ("start", startup::measure),
    (UNDER_SYSTEMD, startup::beside_systemd),
    ("sockets", sockets::measure),
    ("supervisor", supervisor::measure),
    ("throughput", throughput::measure),
    ("scale", scale::ours),
    ("scale_ip", scale::theirs),
];

/// Measures a group and says it on stdout.
///
/// # Errors
/// When something cannot be run; a bench with a hole proves nothing.
pub fn main(wanted: &str) -> io::Result<()> {
    std::thread::sleep(SETTLED);
    let (_, measure) = GROUPS.iter().find(|(name, _)| *name == wanted).ok_or(io::ErrorKind::InvalidInput)?;
    // The tables of a world would change what vrfsetup reads.
    let _world = (!wanted.starts_with("scale")).then(|| World::of_machine(Kind::Vrfs)).transpose()?;
    measure()
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

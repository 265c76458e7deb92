//! What the measurements share: the ways into the VRF, a timed command, the median of several.

use std::io;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::tell;

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

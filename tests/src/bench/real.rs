//! Medians and 99th percentiles in real time, on this machine and its kernel, in a network namespace with a device called
//! `blue`: a clock that counts instructions sees no switch between processors.

use std::io::{self, Read};
use std::process::Stdio;

use super::tell;
use super::timing::{quiet, time};

/// Name, and what stands before the program.
const WAYS: [(&str, &[&str]); 5] = [
    ("bare", &[]),
    ("bpf", &["vrfrun", "-m", "bpf", "--interface", "blue"]),
    ("preload", &["vrfrun", "-m", "preload", "--interface", "blue"]),
    ("gate", &["vrfrun", "-m", "preload", "--no-supervisor", "--interface", "blue"]),
    ("seccomp", &["vrfrun", "-m", "seccomp", "--interface", "blue"]),
];
const STARTS: usize = 301;
const SOCKETS: &str = "20000";
/// Of the supervisor, and together, however many clients there are.
const SHARED: u32 = 16_384;

/// Sets the scene for [`measure`], whose command is in `$@`.
pub const SCENE: &str = "ip link set lo up; ip link add blue type veth peer name far
    ip link set blue up; ip link set far up; exec \"$@\"";

/// Measures it.
pub fn measure() -> io::Result<()> {
    for (name, before) in WAYS {
        let mut starts = (0..=STARTS)
            .map(|_| time(&mut quiet(&[before, &["/bin/true"]].concat())?))
            .skip(1) // The first one makes the cgroup, and reads the files.
            .collect::<io::Result<Vec<f64>>>()?;
        starts.sort_by(f64::total_cmp);
        tell(&format!("real.start.{name}.median"), starts[STARTS / 2]);
        tell(&format!("real.start.{name}.p99"), starts[STARTS * 99 / 100]);
    }
    for (name, before) in WAYS {
        let program = if name == "seccomp" { "bench_socket_static" } else { "bench_socket" };
        let [median, p99] = numbers(&[before, &[program, "bare", "each", SOCKETS]].concat())?[..] else {
            return Err(io::Error::other(format!("{program} does not say a median and a percentile")));
        };
        tell(&format!("real.socket.{name}.median"), median);
        tell(&format!("real.socket.{name}.p99"), p99);
    }
    for clients in [1, 16] {
        let (_, before) = WAYS[WAYS.len() - 1];
        let (count, each) = (clients.to_string(), (SHARED / clients).to_string());
        let taken = numbers(&[before, &["bench_socket_static", "bare", &count, &each]].concat())?;
        tell(&format!("real.supervisor.{clients}"), taken.iter().sum::<f64>() / f64::from(SHARED));
    }
    Ok(())
}

fn numbers(words: &[&str]) -> io::Result<Vec<f64>> {
    let mut child = quiet(words)?.stdout(Stdio::piped()).spawn()?;
    let mut text = String::new();
    child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?.read_to_string(&mut text)?;
    child.wait()?;
    let numbers = text.split_whitespace().map(str::parse).collect::<Result<Vec<f64>, _>>();
    numbers
        .ok()
        .filter(|numbers| !numbers.is_empty())
        .ok_or_else(|| io::Error::other(format!("{words:?} said '{text}'")))
}

//! What one `socket(AF_INET, SOCK_STREAM, 0)` costs under each mechanism, bare, and in a C program that binds it; what
//! its use costs where programs are asked at each use, and what a filter costs at other system calls.

use std::io::{self, Read};
use std::process::Stdio;

use super::tell;
use super::timing::{WAYS, quiet};

const SOCKETS: u32 = 20_000;
/// The supervisor's cost many times more, and repeat as well.
const SUPERVISED: u32 = 2_000;

/// What is done with sockets, and how often.
const USES: [(&str, u32); 4] = [("connect", 5_000), ("send", 5_000), ("sendto", 5_000), ("tcp", 500)];

/// Who does it.
const USERS: [(&str, &[&str]); 4] = [
    ("bare", &[]),
    ("ip_vrf_exec", &["ip", "vrf", "exec", "blue"]),
    ("bpf", &["vrfrun", "-m", "bpf", "blue"]),
    ("strict", &["vrfrun", "--strict", "-m", "bpf", "blue"]),
];
/// Programs that do it one after the other: one alone can be unlucky in where its socket and its packets lie, by a third of a
/// send().
const PROGRAMS: usize = 8;
/// System calls that the filter lets pass.
const OTHERS: u32 = 50_000;

/// Measures it.
pub fn measure() -> io::Result<()> {
    for (name, before) in WAYS {
        match name {
            "c_wrapper" => continue,
            "seccomp" => each(name, before, &["bench_socket", "bare"], SUPERVISED)?,
            _ => each(name, before, &["bench_socket", "bare"], SOCKETS)?,
        }
    }
    // The shim without the filter: what preload costs beyond it is the kernel's way through seccomp, twice.
    each("unguarded", &["vrfrun", "-m", "preload", "--unguarded", "blue"], &["bench_socket", "bare"], SOCKETS)?;
    each("own", &[], &["bench_socket", "own=blue"], SOCKETS)?;
    each("filtered", &[], &["bench_socket", "filtered=blue"], SOCKETS)?;
    each("vrf_set", &[], &["bench_socket_vrf_set", "set=blue"], SOCKETS)?;
    for (name, before) in USERS {
        for (operation, count) in USES {
            using(name, before, operation, count)?;
        }
    }
    beside_others()?;
    for (name, before) in WAYS.into_iter().filter(|(name, _)| ["bare", "preload", "gate", "seccomp"].contains(name)) {
        using(name, before, "other", OTHERS)?;
    }
    Ok(())
}

/// A program in no VRF while another is bound by BPF: the kernel asks about the whole machine first.
fn beside_others() -> io::Result<()> {
    let mut other = quiet(&["vrfrun", "-m", "bpf", "blue", "sh", "-c", "echo; exec sleep 1000"])?;
    let mut other = other.stdout(Stdio::piped()).spawn()?;
    let is_up = other.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?.read_exact(&mut [0]);
    let measured = is_up.and_then(|()| using("bystander", &[], "connect", 5_000));
    other.kill()?;
    other.wait()?;
    measured
}

/// Says what it takes in the quickest program of several.
fn using(name: &str, before: &[&str], operation: &str, count: u32) -> io::Result<()> {
    let words = [before, &["bench_use", operation]].concat();
    let times = (0..PROGRAMS).map(|_| nanoseconds(&words, count)).collect::<io::Result<Vec<f64>>>()?;
    tell(&format!("use.{operation}.{name}"), times.into_iter().fold(f64::INFINITY, f64::min));
    Ok(())
}

fn each(name: &str, before: &[&str], program: &[&str], sockets: u32) -> io::Result<()> {
    let words = [before, program, &["best"]].concat();
    tell(&format!("socket.{name}"), nanoseconds(&words, sockets)?);
    Ok(())
}

/// What one of so many takes.
pub(super) fn nanoseconds(words: &[&str], count: u32) -> io::Result<f64> {
    let all = count.to_string();
    let words = [words, &[&all]].concat();
    let mut child = quiet(&words)?.stdout(Stdio::piped()).spawn()?;
    let mut text = String::new();
    child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?.read_to_string(&mut text)?;
    child.wait()?;
    let taken: f64 = text.trim().parse().map_err(|_| io::Error::other(format!("{words:?} said '{text}'")))?;
    Ok(taken / f64::from(count))
}

//! How many sockets a second the supervisor makes for one program and for many at once, and what it holds.

use std::io::{self, BufRead, BufReader};
use std::process::Stdio;

use super::tell;
use super::timing::quiet;

const CLIENTS: [u32; 3] = [1, 16, 256];
/// Together, whatever the number of clients.
const SOCKETS: u32 = 4_096;

/// Measures it.
pub fn measure() -> io::Result<()> {
    for clients in CLIENTS {
        let (count, each) = (clients.to_string(), (SOCKETS / clients).to_string());
        let words = ["vrfrun", "-m", "seccomp", "blue", "bench_socket_static", "bare", &count, &each];
        let mut child = quiet(&words)?.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?).read_line(&mut line)?;
        let taken: f64 = line.trim().parse().map_err(|_| io::Error::other(format!("{words:?} said '{line}'")))?;
        tell(&format!("supervisor.socket_{clients}"), taken / f64::from(SOCKETS));
        // The program waits until its stdin ends; the supervisor has done the most it had to.
        tell(&format!("supervisor.kib_{clients}"), private_memory()?);
        drop(child.stdin.take());
        child.wait()?;
    }
    Ok(())
}

/// Private memory of all processes that still run vrfrun, in KiB: the program has replaced the first one.
fn private_memory() -> io::Result<f64> {
    let mut kib = None;
    for entry in std::fs::read_dir("/proc")? {
        let directory = entry?.path();
        if std::fs::read_link(directory.join("exe")).is_ok_and(|program| program.ends_with("vrfrun")) {
            let rollup = std::fs::read_to_string(directory.join("smaps_rollup"))?;
            *kib.get_or_insert(0.0) += private_kib(&rollup);
        }
    }
    kib.ok_or_else(|| io::Error::other("there is no supervisor"))
}

fn private_kib(rollup: &str) -> f64 {
    let lines = rollup.lines().filter(|line| line.starts_with("Private_Clean:") || line.starts_with("Private_Dirty:"));
    lines.filter_map(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_memory_is_clean_and_dirty() {
        let rollup = "7f0-7f1 ---p 0 00:00 0 [rollup]\nRss: 900 kB\nPrivate_Clean:  12 kB\nPrivate_Dirty:  30 kB\n";
        assert!((private_kib(rollup) - 42.0).abs() < f64::EPSILON);
    }
}

//! What each way adds to a program that does nothing, in time and in system calls before its execve.

use std::io;
use std::path::Path;
use std::process::Command;

use super::tell;
use super::timing::{WAYS, quiet, tell_median, time};
use crate::harness::vm::plan::DIRECTORY;

const RUNS: usize = 31;
const PROGRAM: &str = "/bin/true";
const URL: &str = "http://192.0.2.80/";
const CGROUPS: &str = "/sys/fs/cgroup";

/// Measures it.
pub fn measure() -> io::Result<()> {
    for (name, before) in WAYS {
        let words = [before, &[PROGRAM]].concat();
        // Once unmeasured: the files are then in memory, and for bpf the cgroup is there.
        time(&mut quiet(&words)?)?;
        tell_median(&format!("start.{name}"), RUNS, || time(&mut quiet(&words)?))?;
        if !before.is_empty() {
            tell(&format!("calls.{name}"), calls_before_execve(&words)? as f64);
        }
    }
    cold_bpf()?;
    objects()
}

/// The same where systemd can bind, in a machine that it has booted: what its own way takes, its first process's work
/// included.
pub fn beside_systemd() -> io::Result<()> {
    let scope = ["systemd-run", "--quiet", "--scope", "-p", "BindNetworkInterface=blue"];
    let asked = Command::new(scope[0]).args(&scope[1..]).args(["curl", "-sS", "-m", "10", URL]).output()?;
    if !asked.stdout.starts_with(b"blue") {
        return Err(io::Error::other(format!("systemd-run does not bind: {asked:?}")));
    }
    let ours: &[&str] = &["vrfrun", "-m", "bpf", "blue"];
    // A machine that has just started does other things as well, which would count in the first of them.
    for _ in 0..2 * RUNS {
        time(&mut quiet(&[PROGRAM])?)?;
    }
    for (name, before) in
        [("bare", &[][..]), ("bpf", ours), ("ip_vrf_exec", &["ip", "vrf", "exec", "blue"]), ("scope", &scope)]
    {
        let words = [before, &[PROGRAM]].concat();
        time(&mut quiet(&words)?)?;
        tell_median(&format!("systemd.{name}"), RUNS, || time(&mut quiet(&words)?))?;
    }
    Ok(())
}

/// Mechanism bpf where no earlier run has left its cgroup.
fn cold_bpf() -> io::Result<()> {
    let words = ["vrfrun", "-m", "bpf", "blue", PROGRAM];
    tell_median("start.bpf_cold", RUNS, || {
        forget_groups()?;
        time(&mut quiet(&words)?)
    })?;
    forget_groups()?;
    tell("calls.bpf_cold", calls_before_execve(&words)? as f64);
    Ok(())
}

fn forget_groups() -> io::Result<()> {
    for entry in std::fs::read_dir(CGROUPS)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(b"vrfrun-") {
            std::fs::remove_dir(entry.path())?;
        }
    }
    Ok(())
}

/// The start of a program with the shim in it, asleep and at work, beside the least that an object can be.
fn objects() -> io::Result<()> {
    let shim = Path::new(DIRECTORY).join("libvrfshim.so");
    for (name, object, variable) in [
        ("empty", Path::new(DIRECTORY).join("empty.so"), None),
        ("shim", shim.clone(), None),
        ("shim_bound", shim, Some("0000000000000000:blue")),
    ] {
        tell_median(&format!("object.{name}"), RUNS, || {
            let mut command = quiet(&[PROGRAM])?;
            command.env("LD_PRELOAD", &object).envs(variable.map(|value| ("VRFSHIM", value)));
            time(&mut command)
        })?;
    }
    Ok(())
}

/// How many system calls the way and its children make until the program is there.
fn calls_before_execve(words: &[&str]) -> io::Result<usize> {
    let trace = tempfile::NamedTempFile::new()?;
    let path = trace.path().to_string_lossy().into_owned();
    time(&mut quiet(&[&["strace", "-f", "-qq", "-o", &path], words].concat())?)?;
    count_calls(&std::fs::read_to_string(trace.path())?)
        .ok_or_else(|| io::Error::other(format!("{words:?}: no second execve in its trace")))
}

/// Between the way's own execve and the program's. A call that strace shows in two halves counts once, one that
/// failed counts too; signals and ends of processes are no calls.
fn count_calls(trace: &str) -> Option<usize> {
    let lines: Vec<&str> = trace.lines().filter_map(|line| Some(line.split_once(' ')?.1.trim_start())).collect();
    let wanted = format!("execve(\"{PROGRAM}\"");
    let end = lines.iter().position(|line| line.starts_with(&wanted))?;
    let is_call = |line: &&&str| line.as_bytes().first().is_some_and(u8::is_ascii_lowercase);
    Some(lines[..end].iter().skip(1).filter(is_call).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_from_one_execve_to_the_other() {
        let trace = "7 execve(\"/opt/x\", [], 0x0 /* 3 vars */) = 0\n7 brk(NULL) = 0x1\n\
                     7 wait4(8,  <unfinished ...>\n8 exit_group(0) = ?\n8 +++ exited with 0 +++\n\
                     7 <... wait4 resumed>[{}], 0, NULL) = 8\n7 --- SIGCHLD {} ---\n\
                     7 execve(\"/bin/true\", [], 0x0) = 0\n7 brk(NULL) = 0x1\n";
        assert_eq!(count_calls(trace), Some(3));
        assert_eq!(count_calls("7 brk(NULL) = 0x1\n"), None);
    }
}

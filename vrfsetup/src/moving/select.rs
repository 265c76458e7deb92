//! Which processes: those that were named with their descendants, and those of a unit.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::found::{Found, Thread, stat};
use super::ours::is_at_or_below;
use crate::error::Error;
use crate::sys::cgroup;

/// All of them as of now, but for this one itself. `named`: as they were found at first.
pub fn processes(named: &[Found], unit: Option<&str>) -> BTreeSet<Found> {
    let mut all = with_descendants(named);
    all.extend(unit.into_iter().flat_map(of_unit));
    all.retain(|found| found.pid != std::process::id());
    all
}

/// The cgroup of a unit that runs.
///
/// # Errors
/// There is no systemd, no such unit, or nothing of it runs.
pub fn cgroup_of_unit(unit: &str) -> Result<String, Error> {
    let mut show = Command::new("systemctl");
    show.args(["show", "--property=ControlGroup", "--value", "--", unit]).stdin(Stdio::null()).stderr(Stdio::null());
    let output = show.output().map_err(Error::unreadable(format!("the cgroup of unit '{unit}'")))?;
    let path = String::from_utf8_lossy(&output.stdout).trim_end_matches('\n').to_owned();
    // What a unit has no cgroup of its own for is in the root's: all of the machine.
    if path.len() > 1 { Ok(path) } else { Err(Error::NotMoved(format!("unit '{unit}' does not run"))) }
}

/// The inode of the network namespace of a thread; None once it is gone.
pub fn netns(thread: Thread) -> Option<u64> {
    fs::metadata(Path::new("/proc").join(thread.directory()).join("ns/net")).map(|metadata| metadata.ino()).ok()
}

/// A cgroup that has gone meanwhile has no processes. Threads of the kernel's that work for it (vhost) stay where they are.
/// One whose number was given to another process since it was listed is not below it.
fn of_unit(path: &str) -> Vec<Found> {
    let listed = cgroup::all_processes(path).unwrap_or_default();
    let is_its = |found: &Found| found.thread().is_some_and(|thread| is_below(thread, path)) && !found.is_kernels();
    listed.into_iter().filter_map(Found::of).filter(is_its).collect()
}

fn is_below(thread: Thread, path: &str) -> bool {
    cgroup::path_of(&thread.directory()).is_ok_and(|own| is_at_or_below(&own, path))
}

fn with_descendants(named: &[Found]) -> BTreeSet<Found> {
    let mut found = BTreeSet::new();
    let mut next: Vec<Found> = named.iter().copied().filter(|named| named.thread().is_some()).collect();
    let mut children = if next.is_empty() { HashMap::new() } else { children() };
    while let Some(parent) = next.pop() {
        // What was listed is of the process that has the number now: that must still be the parent.
        if parent.is_same() && found.insert(parent) && !parent.is_kernels() {
            next.extend(children.remove(&parent.pid).unwrap_or_default());
        }
    }
    found
}

/// All processes, by their parents.
fn children() -> HashMap<u32, Vec<Found>> {
    let mut children: HashMap<u32, Vec<Found>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if let Some(stat) = stat(pid) {
            children.entry(stat.parent).or_default().push(Found { pid, started: stat.started });
        }
    }
    children
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pid: u32) -> BTreeSet<u32> {
        processes(&Vec::from_iter(Found::of(pid)), None).into_iter().map(|found| found.pid).collect()
    }

    #[test]
    fn descendants_come_along_and_this_process_does_not() {
        let mut shell = Command::new("sh").args(["-c", "sleep 600 & wait"]).spawn().unwrap();
        while of(shell.id()).len() < 2 {
            std::thread::yield_now();
        }
        let own = of(std::process::id());
        assert!(own.contains(&shell.id()) && !own.contains(&std::process::id()), "{own:?}");
        let named = Found::of(shell.id()).unwrap();
        for pid in of(shell.id()) {
            Command::new("kill").arg(pid.to_string()).status().unwrap();
        }
        shell.wait().unwrap();
        assert!(processes(&[named], None).is_empty());
    }

    /// As if the number had been given to another process.
    #[test]
    fn a_process_that_started_later_is_not_the_named_one_nor_its_descendants() {
        let own = Found::of(std::process::id()).unwrap();
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let earlier = Found { started: own.started.wrapping_sub(1), ..own };
        assert_eq!((processes(&[earlier], None), earlier.is_same()), (BTreeSet::new(), false));
        assert!(processes(&[own], None).iter().any(|found| found.pid == child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

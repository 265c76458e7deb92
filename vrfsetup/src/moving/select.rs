//! Which processes: those that were named with their descendants, and those of a unit.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::Error;
use crate::sys::cgroup;

/// All of them as of now, but for this one itself.
pub fn processes(pids: &[u32], unit: Option<&str>) -> BTreeSet<u32> {
    let mut all = with_descendants(pids);
    // A cgroup that has gone meanwhile has no processes.
    all.extend(unit.and_then(|path| cgroup::all_processes(path).ok()).into_iter().flatten());
    all.remove(&std::process::id());
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

/// Whether there is a process of this number, and not only what its parent has not asked for yet.
pub fn is_there(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| !['Z', 'X'].contains(&state))
}

/// The inode of its network namespace; None once it is gone.
pub fn netns(pid: u32) -> Option<u64> {
    fs::metadata(Path::new("/proc").join(pid.to_string()).join("ns/net")).map(|metadata| metadata.ino()).ok()
}

fn with_descendants(pids: &[u32]) -> BTreeSet<u32> {
    if pids.is_empty() {
        return BTreeSet::new();
    }
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if let Some((_, parent)) = stat(pid) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = BTreeSet::new();
    let mut next: Vec<u32> = pids.iter().copied().filter(|pid| is_there(*pid)).collect();
    while let Some(pid) = next.pop() {
        if found.insert(pid) {
            next.extend(children.remove(&pid).unwrap_or_default());
        }
    }
    found
}

/// State and parent, from /proc/PID/stat.
fn stat(pid: u32) -> Option<(char, u32)> {
    parse(&String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/stat")).ok()?))
}

/// A process's name may have brackets and spaces in it.
fn parse(stat: &str) -> Option<(char, u32)> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_is_no_state() {
        assert_eq!(parse("7 (a) R 1) x) S 4 7 7"), Some(('S', 4)));
        assert_eq!(parse(""), None);
    }

    #[test]
    fn descendants_come_along_and_this_process_does_not() {
        let mut shell = Command::new("sh").args(["-c", "sleep 600 & wait"]).spawn().unwrap();
        while processes(&[shell.id()], None).len() < 2 {
            std::thread::yield_now();
        }
        let own = processes(&[std::process::id()], None);
        assert!(own.contains(&shell.id()) && !own.contains(&std::process::id()), "{own:?}");
        for pid in processes(&[shell.id()], None) {
            Command::new("kill").arg(pid.to_string()).status().unwrap();
        }
        shell.wait().unwrap();
        assert!(!is_there(shell.id()) && processes(&[shell.id()], None).is_empty());
    }
}

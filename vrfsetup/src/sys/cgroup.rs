//! Cgroups of version 2: where they are mounted, which one a process is in, and what is written on one.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use vrfbpf::set;

use super::mounts;

/// The path of a cgroup from /proc/PID/cgroup: the line that begins with `0::`. It begins with a slash.
pub fn path_in(cgroups: &[u8]) -> Option<&[u8]> {
    cgroups.split(|&b| b == b'\n').find_map(|line| line.strip_prefix(b"0::"))
}

/// The path of the cgroup of a process, `self` for this one's.
///
/// # Errors
/// There is no such process (ENOENT), or no cgroup2 (EOPNOTSUPP).
pub fn path_of(process: &str) -> io::Result<String> {
    let cgroups = fs::read(Path::new("/proc").join(process).join("cgroup"))?;
    let path = path_in(&cgroups).ok_or(io::Error::from_raw_os_error(libc::EOPNOTSUPP))?;
    Ok(String::from_utf8_lossy(path).into_owned())
}

/// Opens the directory of a cgroup by its path.
///
/// # Errors
/// cgroup2 is not mounted whole (ENODEV), or there is no such cgroup.
pub fn open(path: &str) -> io::Result<OwnedFd> {
    File::open(found(path)?).map(OwnedFd::from)
}

/// The processes in a cgroup itself, by its path.
///
/// # Errors
/// As [`open`].
pub fn processes(path: &str) -> io::Result<Vec<u32>> {
    let listed = fs::read_to_string(found(path)?.join("cgroup.procs"))?;
    Ok(listed.lines().filter_map(|line| line.parse().ok()).collect())
}

/// Moves this process into a cgroup, by its path.
///
/// # Errors
/// As [`open`], or the kernel refused.
pub fn join(path: &str) -> io::Result<()> {
    fs::write(found(path)?.join("cgroup.procs"), "0")
}

/// The processes in a cgroup and in those below it.
///
/// # Errors
/// As [`open`].
pub fn all_processes(path: &str) -> io::Result<Vec<u32>> {
    let mut all = processes(path)?;
    for child in children(path)? {
        match all_processes(&child) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            below => all.extend(below?),
        }
    }
    Ok(all)
}

/// Whether any thread runs in a cgroup or in those below it. A process whose main thread has ended is listed where that ended,
/// wherever the others are.
///
/// # Errors
/// As [`open`].
pub fn has_threads(path: &str) -> io::Result<bool> {
    if !fs::read_to_string(found(path)?.join("cgroup.threads"))?.is_empty() {
        return Ok(true);
    }
    for child in children(path)? {
        match has_threads(&child) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Ok(false) => {}
            answer => return answer,
        }
    }
    Ok(false)
}

/// The paths of the cgroups right below one.
///
/// # Errors
/// As [`open`].
pub fn children(path: &str) -> io::Result<Vec<String>> {
    let entries = fs::read_dir(found(path)?)?.flatten();
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let path = path.trim_end_matches('/');
    Ok(directories.map(|entry| format!("{path}/{}", entry.file_name().to_string_lossy())).collect())
}

/// Makes a cgroup; false if it is there already.
///
/// # Errors
/// Those of mkdir(2), or as [`open`].
pub fn make(path: &str) -> io::Result<bool> {
    match fs::create_dir(found(path)?) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        made => made.map(|()| true),
    }
}

/// Removes a cgroup in which nobody is.
///
/// # Errors
/// Those of rmdir(2), EBUSY if somebody is; or as [`open`].
pub fn remove(path: &str) -> io::Result<()> {
    fs::remove_dir(found(path)?)
}

/// Moves a process with all its threads into a cgroup.
///
/// # Errors
/// ESRCH: there is no such process; ENOENT and ENODEV: no such cgroup; else the kernel's reason.
pub fn put(path: &str, pid: u32) -> io::Result<()> {
    let mut procs = File::options().write(true).open(found(path)?.join("cgroup.procs"))?;
    procs.write_all(pid.to_string().as_bytes())
}

/// Whether processes in a cgroup, and those that come into it, are stopped (cgroup.freeze, 5.2).
pub fn is_frozen(path: &str) -> bool {
    let freeze = found(path).and_then(|directory| fs::read_to_string(directory.join("cgroup.events")));
    freeze.is_ok_and(|events| events.lines().any(|line| line == "frozen 1"))
}

fn found(path: &str) -> io::Result<PathBuf> {
    let root = mount_point().ok_or(io::Error::from_raw_os_error(libc::ENODEV))?;
    Ok(directory(&root, path))
}

fn directory(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

/// Where the whole of cgroup2, as far as this process may see it, is mounted.
fn mount_point() -> Option<PathBuf> {
    mounts::whole_cgroup2().ok().flatten().map(|(point, _)| point)
}

/// What vrfsetup has written on cgroups, each read once.
#[derive(Debug)]
pub struct Labels {
    root: Option<PathBuf>,
    known: HashMap<String, Option<String>>,
}

impl Labels {
    /// None is read yet.
    pub fn new() -> Self {
        Self { root: mount_point(), known: HashMap::new() }
    }

    /// Those of each cgroup on the way to this one, the outermost first.
    pub fn on_the_way(&mut self, path: &[u8]) -> Vec<Option<String>> {
        let path = String::from_utf8_lossy(path).into_owned();
        let ends = path.match_indices('/').map(|(at, _)| at).skip(1).chain([path.len()]);
        ends.map(|end| self.of(&path[..end])).collect()
    }

    fn of(&mut self, path: &str) -> Option<String> {
        let root = self.root.as_deref()?;
        let read = || set::label(File::open(directory(root, path)).ok()?);
        self.known.entry(path.to_owned()).or_insert_with(read).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cgroup_on_the_way_is_asked_once() {
        let mut labels = Labels { root: Some("/nowhere".into()), known: HashMap::new() };
        labels.known.insert("/a/b".into(), Some("session blue".into()));
        assert_eq!(labels.on_the_way(b"/a/b/c"), [None, Some("session blue".into()), None]);
        assert_eq!(labels.on_the_way(b"/"), [None]);
    }
}

//! The files in /run/vrfsetup of network namespaces that are gone.
//!
//! Nothing tells when a namespace ends, so the first run in each new one looks: one is there while a process or a thread
//! is in it, while it is mounted somewhere (`ip netns`), and while a descriptor of it is open. That is a walk through
//! /proc, the deeper only for those not found yet.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::sys::run_dir;
use crate::transaction::lock;

/// Where namespaces are seen in a process.
type Way<'a> = &'a mut dyn FnMut(&Path) -> Vec<u64>;

/// Removes them, as far as they are of namespaces that this process would see.
pub fn sweep() {
    let Ok(own) = run_dir::path("lock") else { return };
    let others: Vec<_> =
        run_dir::files().into_iter().filter(|(path, ..)| path.file_stem() != own.file_stem()).collect();
    // A number that is ours now is no longer the other's: only the cookie behind it tells them apart.
    let reused = run_dir::netns().unwrap_or(0);
    let mut missing: BTreeSet<u64> =
        others.iter().map(|(_, inode, _)| *inode).filter(|inode| *inode != reused).collect();
    forget_living(&mut missing);
    let gone = others.iter().filter(|(_, inode, _)| *inode == reused || missing.contains(inode));
    let locks: BTreeSet<PathBuf> = gone.map(|(path, ..)| path.with_extension("lock")).collect();
    locks.iter().for_each(|path| remove(path));
}

/// Removes all files of the namespace whose lock this is. Who has a file there had the lock before; where that is gone, an
/// earlier sweep that was allowed to has removed it, and not all.
fn remove(lock: &Path) {
    let held = lock::try_foreign(lock);
    if held.is_none() && lock.exists() {
        return;
    }
    // Read only now: a run may have ended here since the first look.
    let files = run_dir::files().into_iter().map(|(path, ..)| path);
    let of_it = files.filter(|path| path.file_stem() == lock.file_stem() && path != lock);
    // The lock last: who finds it finds nothing else that is no longer true.
    for file in of_it.chain([lock.to_owned()]) {
        let _ = fs::remove_file(file);
    }
}

/// Takes those out that are found, by the cheapest way that finds them.
fn forget_living(missing: &mut BTreeSet<u64>) {
    let mut seen = BTreeSet::new();
    // Most processes share their mounts, and the root from which they see them, with all others.
    let mut of_mounts = |process: &Path| {
        let view = ["ns/mnt", "root"].map(|link| fs::read_link(process.join(link)).ok());
        if seen.insert(view) { of_mounts(process) } else { Vec::new() }
    };
    let ways: [Way; 4] = [&mut of_process, &mut of_mounts, &mut of_threads, &mut of_descriptors];
    for way in ways {
        if missing.is_empty() {
            return;
        }
        let living: BTreeSet<u64> = processes().flat_map(|process| way(&process)).collect();
        missing.retain(|inode| !living.contains(inode));
    }
}

fn processes() -> impl Iterator<Item = PathBuf> {
    entries(Path::new("/proc"))
        .filter(|path| path.file_name().is_some_and(|name| name.as_encoded_bytes().iter().all(u8::is_ascii_digit)))
}

fn of_process(process: &Path) -> Vec<u64> {
    inode_of(&process.join("ns/net")).into_iter().collect()
}

fn of_threads(process: &Path) -> Vec<u64> {
    entries(&process.join("task")).filter_map(|thread| inode_of(&thread.join("ns/net"))).collect()
}

fn of_descriptors(process: &Path) -> Vec<u64> {
    entries(&process.join("fd")).filter_map(|descriptor| inode_of(&descriptor)).collect()
}

/// `net:[4026532008]` is what is mounted, in the fourth column.
fn of_mounts(process: &Path) -> Vec<u64> {
    // Where some mount's name is no text, the others count all the same.
    let mounts = fs::read(process.join("mountinfo")).unwrap_or_default();
    String::from_utf8_lossy(&mounts).lines().filter_map(|line| number(line.split(' ').nth(3)?)).collect()
}

fn entries(directory: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path())
}

fn inode_of(link: &Path) -> Option<u64> {
    number(fs::read_link(link).ok()?.to_str()?)
}

fn number(name: &str) -> Option<u64> {
    name.strip_prefix("net:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespaces_name_is_told_from_other_links() {
        assert_eq!(number("net:[4026532008]"), Some(4_026_532_008));
        for other in ["mnt:[4026532008]", "/dev/null", "socket:[12]", "net:[x]", "/"] {
            assert_eq!(number(other), None, "{other}");
        }
    }
}

//! What a later run must know, in /run/vrfsetup: what was there before `vrfsetup` changed it, and what still waits for
//! its confirmation. One set of files for each network namespace; all of it ends with the machine, as what it is about
//! does.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

const DIRECTORY: &str = "/run/vrfsetup";

/// The file of this kind for this thread's network namespace. The inode's number is given to another namespace once this
/// one is gone, its cookie (5.14) never: what was known of the one must not be undone in the other.
///
/// # Errors
/// /proc is not mounted.
pub fn path(kind: &str) -> io::Result<PathBuf> {
    let cookie = vrfbpf::netns_cookie().unwrap_or(0);
    Ok(Path::new(DIRECTORY).join(format!("netns-{}-{cookie}.{kind}", netns()?)))
}

/// The inode of this thread's network namespace: the number in `net:[4026531840]`.
///
/// # Errors
/// /proc is not mounted.
pub fn netns() -> io::Result<u64> {
    Ok(fs::metadata("/proc/thread-self/ns/net")?.ino())
}

/// Whether this is the network namespace of the machine's (or the container's) first process. Where nobody can tell it
/// is not: what belongs to the whole machine is left alone.
pub fn is_first_netns() -> bool {
    first_netns().unwrap_or(false)
}

/// The same for who has to say why nobody can tell.
///
/// # Errors
/// The first process may not be looked at (EACCES: another user namespace, no CAP_SYS_PTRACE).
pub fn first_netns() -> io::Result<bool> {
    Ok(fs::metadata("/proc/1/ns/net")?.ino() == netns()?)
}

/// Makes the directory for root alone: who could write there could have steps undone that were never made.
///
/// # Errors
/// Those of mkdir(2).
pub fn make_directory() -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(DIRECTORY) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        answer => answer,
    }
}

/// Opens the directory, for a lock.
///
/// # Errors
/// It cannot be made: a read-only /run, or not root.
pub fn open() -> io::Result<File> {
    make_directory()?;
    File::open(DIRECTORY)
}

/// Whether a file is one of those here.
pub fn holds(path: &Path) -> bool {
    path.starts_with(DIRECTORY)
}

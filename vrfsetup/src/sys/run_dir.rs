//! What a later run must know, in /run/vrfsetup: what was there before `vrfsetup` changed it, the journals of changes,
//! and the lock. One set of files for each network namespace, `netns-INODE-COOKIE.KIND`; all of it ends with the
//! machine, as what it is about does.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
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
    make_private(Path::new(DIRECTORY))
}

/// Opens the directory, which all network namespaces share.
///
/// # Errors
/// Those of open(2).
pub fn open_directory() -> io::Result<File> {
    File::open(DIRECTORY)
}

/// Makes a directory for root alone.
///
/// # Errors
/// Those of mkdir(2).
pub fn make_private(directory: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        answer => answer,
    }
}

/// Marks these interfaces for the rule for udev(7), `90-vrfsetup.rules`: one that appears is put into its VRF.
///
/// # Errors
/// Those of mkdir(2) and open(2).
pub fn expect_ports<'a>(ports: impl Iterator<Item = &'a str>) -> io::Result<()> {
    if !is_first_netns() {
        return Ok(());
    }
    make_directory()?;
    let directory = Path::new(DIRECTORY).join("ports");
    make_private(&directory)?;
    for port in ports.filter(|port| !port.contains('/') && !port.starts_with('.')) {
        File::create(directory.join(port))?;
    }
    Ok(())
}

/// Removes all files of this network namespace, which ends with its caller.
pub fn forget() {
    let Ok(own) = path("lock") else { return };
    for (file, ..) in files().into_iter().filter(|(file, ..)| file.file_stem() == own.file_stem()) {
        // What stays is swept by the first run in another namespace.
        let _ = fs::remove_file(file);
    }
}

/// Opens the file that is this network namespace's lock.
///
/// # Errors
/// It cannot be made: a read-only /run, or not root.
pub fn open_lock() -> io::Result<File> {
    make_directory()?;
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path("lock")?)
}

/// Whether a file is one of those here.
pub fn holds(path: &Path) -> bool {
    path.starts_with(DIRECTORY)
}

/// All the files here, with the namespaces that they are about: the file, the inode and the cookie in its name.
pub fn files() -> Vec<(PathBuf, u64, u64)> {
    let entries = fs::read_dir(DIRECTORY).into_iter().flatten().flatten();
    let known = entries.filter_map(|entry| {
        let (inode, cookie) = namespace_of(entry.file_name().to_str()?)?;
        Some((entry.path(), inode, cookie))
    });
    known.collect()
}

fn namespace_of(name: &str) -> Option<(u64, u64)> {
    let (namespace, _kind) = name.strip_prefix("netns-")?.split_once('.')?;
    let (inode, cookie) = namespace.split_once('-')?;
    Some((inode.parse().ok()?, cookie.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_name_tells_its_namespace() {
        assert_eq!(namespace_of("netns-4026531840-1.lock"), Some((4_026_531_840, 1)));
        for foreign in ["netns-1.lock", "netns-x-1.lock", "lock", "netns-1-2"] {
            assert_eq!(namespace_of(foreign), None);
        }
    }
}

//! What a later run must know, in /run/vrfsetup: what was there before `vrfsetup` changed it, and what still waits for
//! its confirmation. One set of files for each network namespace; all of it ends with the machine, as what it is about
//! does.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use crate::model::family::Family;
use crate::model::step::Step;

const FOLDER: &str = "/run/vrfsetup";

/// Holds off every other changing run while it lives.
pub struct Lock(#[allow(dead_code)] Flock<File>);

/// Waits for other runs to end. The folder itself is what is locked, so that no file stays behind.
///
/// # Errors
/// The folder cannot be made: a read-only /run, or not root.
pub fn lock() -> io::Result<Lock> {
    make_folder()?;
    let folder = File::open(FOLDER)?;
    Flock::lock(folder, FlockArg::LockExclusive).map(Lock).map_err(|(_, errno)| errno.into())
}

/// The file of this kind for this thread's network namespace. The inode's number is given to another namespace once this
/// one is gone, its cookie (5.14) never: what was known of the one must not be undone in the other.
///
/// # Errors
/// /proc is not mounted.
pub fn path(kind: &str) -> io::Result<PathBuf> {
    let cookie = vrfbpf::netns_cookie().unwrap_or(0);
    Ok(Path::new(FOLDER).join(format!("netns-{}-{cookie}.{kind}", netns()?)))
}

/// The inode of this thread's network namespace: the number in `net:[4026531840]`.
///
/// # Errors
/// /proc is not mounted.
pub fn netns() -> io::Result<u64> {
    Ok(fs::metadata("/proc/thread-self/ns/net")?.ino())
}

/// Whether this is the network namespace of the machine's (or the container's) first process. Who may not look may not
/// change anything either, and is told so by what refuses it.
pub fn is_first_netns() -> bool {
    let first = fs::metadata("/proc/1/ns/net").map(|metadata| metadata.ino());
    match (first, netns()) {
        (Ok(first), Ok(own)) => first == own,
        (Err(error), _) => error.kind() == io::ErrorKind::PermissionDenied,
        (_, Err(_)) => false,
    }
}

/// Makes the folder for root alone: who could write there could have steps undone that were never made.
///
/// # Errors
/// Those of mkdir(2).
pub fn make_folder() -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(FOLDER) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        answer => answer,
    }
}

/// What was there before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// The families whose l3mdev rule `rules fix` made. The kernel makes one with a namespace's first VRF and never
    /// again, so that one of its making must stay.
    pub l3mdev: Vec<Family>,
    /// Settings with the values that they had.
    pub sysctls: BTreeMap<String, String>,
}

impl Memory {
    /// Reads it; empty where there is none.
    pub fn read() -> Self {
        let bytes = path("memory").and_then(fs::read).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// The step that writes it, or that removes its file if there is nothing to remember; none if nothing changed.
    pub fn step(&self) -> Option<Step> {
        let path = path("memory").ok()?;
        let from = fs::read_to_string(&path).ok();
        let to = if *self == Self::default() { None } else { serde_json::to_string(self).ok() };
        (from != to).then_some(Step::WriteFile { path, from, to })
    }
}

/// Whether the step only writes down what a later run must know.
pub fn is_memory(step: &Step) -> bool {
    matches!(step, Step::WriteFile { path, .. } if path.starts_with(FOLDER))
}

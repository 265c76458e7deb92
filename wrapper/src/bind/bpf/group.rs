//! One of our cgroups: makes or finds it, joins it, leaves it, removes it.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{Flock, openat};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use vrfbpf::set::{self, Place, Record};

use crate::bind::bpf::cgroup::{Base, DIRECTORY, PROCS, move_to};
use crate::bind::bpf::name;
use crate::bind::bpf::owner::{is_ours, is_own};
use crate::bind::bpf::programs;
use crate::error::text;
use crate::error::unavailable::Unavailable;

/// One of our cgroups. While this process is in it, it stays.
pub struct Group<'a> {
    base: &'a Base,
    name: OsString,
    directory: OwnedFd,
    is_new: bool,
    /// The record of the run that made it.
    pub record: Option<Record>,
}

impl Base {
    /// Finds the directory, or makes it. None if another run did the opposite meanwhile.
    pub fn group(&self, name: &OsStr) -> Result<Option<Group<'_>>, Unavailable> {
        let path = self.parent.join(name);
        let open = || openat(&self.root, &path, DIRECTORY, Mode::empty());
        let (directory, is_new) = match open() {
            Err(Errno::ENOENT) => match mkdirat(&self.root, &path, Mode::from_bits_truncate(0o755)) {
                Ok(()) => (open(), true),
                Err(Errno::EEXIST) => return Ok(None),
                Err(errno) => return Err(Unavailable::kernel("make a cgroup")(errno)),
            },
            found => (found, false),
        };
        match directory {
            Ok(directory) => Group { base: self, name: name.to_owned(), directory, is_new, record: None }.known(),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(Unavailable::kernel("open a cgroup")(errno)),
        }
    }

    /// Whether a program of its record is gone from the cgroup of this name. Who cannot read the record does not know.
    pub fn lacks_a_program(&self, name: &OsStr) -> bool {
        let cgroup = openat(&self.root, &self.parent.join(name), DIRECTORY, Mode::empty());
        let lacks = |cgroup: OwnedFd| Record::read(&cgroup).is_some_and(|record| !record.is_attached(&cgroup));
        cgroup.is_ok_and(lacks)
    }

    /// Removes the directory of this name, if it is ours and empty; a cgroup with a process in it answers EBUSY.
    pub fn remove(&self, name: &OsStr) -> bool {
        let path = self.parent.join(name);
        let is_ours = openat(&self.root, &path, DIRECTORY, Mode::empty()).is_ok_and(|cgroup| is_ours(&cgroup));
        is_ours && unlinkat(&self.root, &path, UnlinkatFlags::RemoveDir).is_ok()
    }
}

impl<'a> Group<'a> {
    /// With the record on it. A cgroup without one is this user's, or a stranger's.
    fn known(mut self) -> Result<Option<Group<'a>>, Unavailable> {
        self.record = if self.is_new { None } else { Record::read(&self.directory) };
        if self.record.is_none() && !self.is_new && !is_own(&self.directory) {
            return Err(Unavailable::new(format!("the cgroup '{}' belongs to another user", text(&self.name))));
        }
        Ok(Some(self))
    }

    /// Keeps other runs from putting programs on it meanwhile, until the lock is dropped; reads the record again.
    pub fn lock(&mut self) -> Result<Flock<OwnedFd>, Unavailable> {
        let lock = set::lock(&self.directory).map_err(programs::explain)?;
        self.record = Record::read(&self.directory);
        Ok(lock)
    }

    /// Whether there is a program at this place, or is none to be; whose, nobody can tell without a record.
    pub fn has_program(&self, place: Place) -> bool {
        let is_there = |hook| vrfbpf::attached(hook, &self.directory).is_ok_and(|ids| !ids.is_empty());
        place.hook().is_none_or(is_there)
    }

    /// Whether the record is still on it.
    pub fn has_its_record(&self) -> bool {
        self.record.is_some() && Record::read(&self.directory) == self.record
    }

    /// Whether this run made it.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// The open directory.
    pub fn directory(&self) -> &OwnedFd {
        &self.directory
    }

    /// Moves this process into it; false if it has been removed meanwhile.
    pub fn join(&self) -> Result<bool, Unavailable> {
        match move_to(&self.directory, Path::new(PROCS)) {
            Ok(()) => Ok(true),
            Err(Errno::ENOENT | Errno::ENODEV) => Ok(false),
            Err(errno) => {
                self.remove();
                Err(Unavailable::kernel("join a cgroup")(errno))
            }
        }
    }

    /// Moves this process back to where it was.
    pub fn return_to_origin(&self) {
        self.base.return_to_origin();
    }

    /// The same, and removes the directory if it is empty.
    pub fn leave(&self) {
        self.return_to_origin();
        self.remove();
    }

    /// Removes the directory if it is empty; it is known to be ours. False if it stays.
    pub fn remove(&self) -> bool {
        unlinkat(&self.base.root, &self.base.parent.join(&self.name), UnlinkatFlags::RemoveDir).is_ok()
    }

    /// Removes what earlier runs left beside it and nobody uses.
    pub fn remove_empty_siblings(&self) {
        let Ok(mut siblings) = Dir::openat(&self.base.root, &self.base.parent, DIRECTORY, Mode::empty()) else {
            return;
        };
        for entry in siblings.iter().flatten() {
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name::is_one(name) && name != self.name {
                self.base.remove(name);
            }
        }
    }
}

//! The descriptors of this process, by /proc/self/fd; and what one is that is no socket.
//!
//! What is mounted on /proc, or over a directory of it, may be another process's: the list would show other descriptors
//! than those that the program gets. So the list is believed once it shows itself, open under its own number.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, readlinkat};
use nix::sys::stat::{Mode, fstat, fstatat};
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};

use crate::error::Error;

const DIRECTORY: &str = "/proc/self/fd";

/// The directory, which is this process's.
pub struct Descriptors(Dir);

impl Descriptors {
    /// Opens it, and shows that it is.
    pub fn open() -> Result<Self, Error> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let directory = Dir::open(DIRECTORY, flags, Mode::empty()).map_err(unreadable)?;
        match is_own(&directory) {
            Ok(true) => Ok(Self(directory)),
            Ok(false) => Err(Error::NoDescriptors(format!("{DIRECTORY} is not this process's"))),
            Err(errno) => Err(unreadable(errno)),
        }
    }

    /// All numbers but that of the directory itself.
    pub fn numbers(&mut self) -> Result<Vec<RawFd>, Error> {
        let own = self.0.as_raw_fd();
        let mut numbers = Vec::new();
        for entry in self.0.iter() {
            let entry = entry.map_err(unreadable)?;
            let number: Option<RawFd> = entry.file_name().to_str().ok().and_then(|name| name.parse().ok());
            numbers.extend(number.filter(|number| *number != own));
        }
        Ok(numbers)
    }

    /// Whether it is an io_uring instance, which makes sockets that no filter sees, and may hold some.
    pub fn is_ring(&self, fd: RawFd) -> bool {
        readlinkat(&self.0, fd.to_string().as_str()).is_ok_and(|target| target == "anon_inode:[io_uring]")
    }
}

/// A number of another process's leads to another file; and a symbolic link to this very directory is on no procfs.
fn is_own(directory: &Dir) -> nix::Result<bool> {
    let itself = CString::new(directory.as_raw_fd().to_string()).unwrap_or_default(); // no number holds a NUL
    let opened = fstat(directory)?;
    let is_same = match fstatat(directory.as_fd(), itself.as_c_str(), AtFlags::empty()) {
        Ok(shown) => (shown.st_dev, shown.st_ino) == (opened.st_dev, opened.st_ino),
        Err(Errno::ENOENT) => false,
        Err(errno) => return Err(errno),
    };
    Ok(is_same && fstatfs(directory)?.filesystem_type() == PROC_SUPER_MAGIC)
}

fn unreadable(errno: Errno) -> Error {
    Error::NoDescriptors(format!("cannot read {DIRECTORY}: {}", errno.desc()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ones_own_descriptors_are_listed() {
        let file = std::fs::File::open("/dev/null").unwrap();
        let mut descriptors = Descriptors::open().unwrap();
        let own = descriptors.0.as_raw_fd();
        let numbers = descriptors.numbers().unwrap();
        assert!(numbers.contains(&file.as_raw_fd()) && !numbers.contains(&own), "{numbers:?}");
        assert!(!descriptors.is_ring(file.as_raw_fd()) && !descriptors.is_ring(RawFd::MAX));
    }

    #[test]
    fn anothers_list_is_told_from_ones_own() {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        let parent = format!("/proc/{}/fd", std::os::unix::process::parent_id());
        for other in [parent.as_str(), "/proc", "/"] {
            assert_eq!(is_own(&Dir::open(other, flags, Mode::empty()).unwrap()), Ok(false), "{other}");
        }
    }
}

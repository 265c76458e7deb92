//! What vrfrun asks of the running kernel apart from networking: its release, small files, its own descriptors.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::OnceLock;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::Mode;
use nix::sys::utsname::uname;

use crate::sys::process::descriptor;
use crate::sys::syscall;

/// Enough for most files at once.
const ROOM: usize = 8 * 1024;
/// Enough for what most machines have in the files that are read whole or not at all: several of them share a page.
const LITTLE: usize = 1024;

/// A kernel release, as far as features go: (5, 14).
pub type Release = (u32, u32);

/// The release of the running kernel; (0, 0) if it cannot be read, so that nothing is taken for granted.
pub fn release() -> Release {
    uname().ok().and_then(|names| parse_release(names.release().to_str()?)).unwrap_or((0, 0))
}

fn parse_release(release: &str) -> Option<Release> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Puts /dev/null, close-on-exec, where descriptor 0, 1 or 2 is closed: no descriptor that vrfrun opens may be taken
/// for stdio, and the program must still find them closed.
pub fn occupy_closed_stdio() {
    if is_stdio_open() {
        return;
    }
    while let Ok(fd) = open_null() {
        if fd.as_raw_fd() > 2 {
            return;
        }
        let _ = fd.into_raw_fd();
    }
}

/// /dev/null, close-on-exec. A bare root file system may have none: what nobody writes to, an unnamed file (3.17) can
/// stand for.
pub fn open_null() -> nix::Result<OwnedFd> {
    open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())
        .or_else(|_| memfd_create(c"null", MFdFlags::MFD_CLOEXEC))
}

/// All three at once: poll(2) marks a closed one.
fn is_stdio_open() -> bool {
    // poll(2) answers for numbers that are no descriptors too, which is what it is asked here.
    let mut stdio = [0, 1, 2].map(|fd| PollFd::new(descriptor(fd), PollFlags::empty()));
    let answered = poll(&mut stdio, PollTimeout::ZERO).is_ok();
    let is_closed = |fd: &PollFd| fd.revents().is_none_or(|events| events.contains(PollFlags::POLLNVAL));
    answered && !stdio.iter().any(is_closed)
}

/// What the kernel said; EIO where it was not the kernel.
pub fn errno_of(error: &std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

/// Reads a whole file with few system calls: those of /proc say nothing of their size, and `std::fs::read` then asks
/// for a few bytes at a time.
pub fn read(path: &str) -> nix::Result<Vec<u8>> {
    read_until(&open_file(path)?, ROOM, |got, _| got == 0)
}

/// The same with two system calls fewer, for a file on a disk or a /proc file of one record: less than was asked for is its end (a
/// /proc file of many records may pause anywhere), and exec closes it.
pub fn read_plain(path: &str) -> nix::Result<Vec<u8>> {
    let file = open_file(path)?;
    let bytes = read_until(&file, LITTLE, |got, room| got < room);
    std::mem::forget(file);
    bytes
}

/// The mounts of this process (/proc/self/mountinfo) as they were when it was first asked: who changes them reads them
/// again.
pub fn mounts_at_start() -> nix::Result<&'static [u8]> {
    static MOUNTS: OnceLock<nix::Result<Vec<u8>>> = OnceLock::new();
    MOUNTS.get_or_init(|| read("/proc/self/mountinfo")).as_deref().map_err(|errno| *errno)
}

/// mountinfo writes blanks and backslashes as three octal digits.
pub fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|_| first == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => (bytes.push(byte), rest = &after[3..]),
            None => (bytes.push(first), rest = after),
        };
    }
    PathBuf::from(OsString::from_vec(bytes))
}

fn open_file(path: &str) -> nix::Result<OwnedFd> {
    open(path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())
}

/// Reads until `is_end` says so of what was read and how much could have been.
fn read_until(file: &OwnedFd, first: usize, is_end: impl Fn(usize, usize) -> bool) -> nix::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(first);
    loop {
        let room = bytes.capacity() - bytes.len();
        let got = syscall::read_into_room(file, &mut bytes)?;
        if is_end(got, room) {
            return Ok(bytes);
        }
        if bytes.capacity() - bytes.len() < first / 2 {
            bytes.reserve(bytes.len().max(ROOM));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_longer_than_the_buffer_is_read_whole() {
        let file = std::env::temp_dir().join(format!("vrfrun-read-{}", std::process::id()));
        let content = b"0123456789abcdef".repeat(4096);
        std::fs::write(&file, &content).unwrap();
        let path = file.to_str().unwrap();
        assert!(read(path) == Ok(content.clone()) && read_plain(path) == Ok(content));
        std::fs::remove_file(&file).unwrap();
    }

    #[test]
    fn releases_of_distributions_are_read() {
        assert_eq!(parse_release("5.10.0-34-cloud-amd64"), Some((5, 10)));
        assert_eq!(parse_release("6.18-rc3"), Some((6, 18)));
        assert_eq!(parse_release("mystery"), None);
    }
}

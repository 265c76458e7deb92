//! The descriptors of this process, by /proc/self/fd; and what one is that is no socket.
//!
//! What is mounted on /proc, or over a directory of it, may be another process's: the list would show other descriptors
//! than those that the program gets. So the list is believed once it shows itself, open under its own number.

use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, FcntlArg, OFlag, fcntl, open, readlinkat};
use nix::sys::stat::{Mode, SFlag, fstat, fstatat};
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};

use crate::error::Error;
use crate::sys::process::descriptor;
use crate::sys::syscall;

const DIRECTORY: &str = "/proc/self/fd";
/// `struct linux_dirent64` up to the name: two numbers of 64 bits, the record's length, a type.
const NAME: usize = 19;

/// What a descriptor is.
#[derive(Debug, PartialEq, Eq)]
pub enum What {
    /// A socket.
    Socket,
    /// An io_uring instance, which makes sockets that no filter sees, and may hold some.
    Ring,
    /// Nothing that could have to do with a socket.
    Other,
}

/// The directory, which is this process's. Left open for exec to close: saves a close(2).
pub struct Descriptors(ManuallyDrop<OwnedFd>);

impl Descriptors {
    /// Opens it, and shows that it is.
    pub fn open() -> Result<Self, Error> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let directory = open(DIRECTORY, flags, Mode::empty()).map_err(unreadable)?;
        match is_own(&directory) {
            Ok(true) => Ok(Self(ManuallyDrop::new(directory))),
            Ok(false) => Err(Error::NoDescriptors(format!("{DIRECTORY} is not this process's"))),
            Err(errno) => Err(unreadable(errno)),
        }
    }

    /// All numbers but that of the directory itself.
    pub fn numbers(&self) -> Result<Vec<RawFd>, Error> {
        let (mut numbers, mut records) = (Vec::new(), [0; 4096]);
        loop {
            match syscall::get_entries(self.0.as_raw_fd(), &mut records).map_err(unreadable)? {
                0 => break,
                length => numbers.extend(names(&records[..length]).filter_map(|name| name.parse::<RawFd>().ok())),
            }
        }
        let all = numbers.len();
        numbers.retain(|number| *number != self.0.as_raw_fd());
        // A filter above can say that there is nothing in it.
        if numbers.len() < all { Ok(numbers) } else { Err(unreadable(Errno::ENOSYS)) }
    }

    /// What this is. Err: it cannot be looked at.
    pub fn what(&self, fd: RawFd) -> nix::Result<What> {
        const NEITHER: [SFlag; 4] = [SFlag::S_IFCHR, SFlag::S_IFIFO, SFlag::S_IFDIR, SFlag::S_IFBLK];
        let kind = match fstat(descriptor(fd)) {
            Ok(stat) => SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT,
            Err(Errno::EBADF) => return Ok(What::Other),
            Err(errno) => return Err(errno),
        };
        // What has no place in a file system has no type there, or that of a plain file.
        match kind {
            SFlag::S_IFSOCK if is_path(fd)? => Ok(What::Other),
            SFlag::S_IFSOCK => Ok(What::Socket),
            kind if NEITHER.contains(&kind) => Ok(What::Other),
            _ => match readlinkat(self.0.as_fd(), fd.to_string().as_str()) {
                Ok(name) if name == "anon_inode:[io_uring]" => Ok(What::Ring),
                // A file, with a path that is longer than the kernel tells.
                Ok(_) | Err(Errno::ENAMETOOLONG) => Ok(What::Other),
                Err(errno) => Err(errno),
            },
        }
    }
}

/// Whether it is the place of a socket in a file system, and no socket (O_PATH).
fn is_path(fd: RawFd) -> nix::Result<bool> {
    Ok(fcntl(descriptor(fd), FcntlArg::F_GETFL)? & libc::O_PATH != 0)
}

/// The names in records of getdents64(2).
fn names(mut records: &[u8]) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(records.get(16..18)?.try_into().ok()?)).max(NAME);
        let name = records.get(NAME..length)?.split(|&b| b == 0).next()?;
        records = &records[length..];
        Some(std::str::from_utf8(name).unwrap_or_default())
    })
}

/// A number of another process's leads to another file; and a symbolic link to this very directory is on no procfs.
fn is_own(directory: &OwnedFd) -> nix::Result<bool> {
    let opened = fstat(directory)?;
    let is_same = match fstatat(directory, directory.as_raw_fd().to_string().as_str(), AtFlags::empty()) {
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
    use crate::proptests;
    use nix::fcntl::openat;

    #[test]
    fn ones_own_descriptors_are_listed_and_told_apart() {
        let null = std::fs::File::open("/dev/null").unwrap();
        let (one, other) = std::os::unix::net::UnixStream::pair().unwrap();
        let many: Vec<_> = (0..300).map(|_| std::fs::File::open("/etc/passwd").unwrap()).collect();
        let descriptors = Descriptors::open().unwrap();
        let numbers = descriptors.numbers().unwrap();
        let all = many.iter().map(AsRawFd::as_raw_fd).chain([null.as_raw_fd(), one.as_raw_fd(), other.as_raw_fd()]);
        assert!(all.into_iter().all(|number| numbers.contains(&number)), "{numbers:?}");
        assert!(!numbers.contains(&descriptors.0.as_raw_fd()), "{numbers:?}");
        assert_eq!(descriptors.what(null.as_raw_fd()), Ok(What::Other));
        assert_eq!(descriptors.what(many[0].as_raw_fd()), Ok(What::Other));
        assert_eq!(descriptors.what(one.as_raw_fd()), Ok(What::Socket));
        assert_eq!(descriptors.what(RawFd::MAX), Ok(What::Other));
    }

    #[test]
    fn the_place_of_a_socket_and_a_file_with_a_long_path_are_none() {
        let directory = std::env::temp_dir().join(format!("vrfrun-descriptors-{}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        let place = directory.join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&place).unwrap();
        let place = open(&place, OFlag::O_PATH, Mode::empty()).unwrap();
        let mut deep = open(&directory, OFlag::O_PATH, Mode::empty()).unwrap();
        for _ in 0..20 {
            let name = "d".repeat(250);
            nix::sys::stat::mkdirat(&deep, name.as_str(), Mode::S_IRWXU).unwrap();
            deep = openat(&deep, name.as_str(), OFlag::O_PATH, Mode::empty()).unwrap();
        }
        let file = openat(&deep, "file", OFlag::O_RDWR | OFlag::O_CREAT, Mode::S_IRWXU).unwrap();
        let descriptors = Descriptors::open().unwrap();
        assert_eq!(descriptors.what(place.as_raw_fd()), Ok(What::Other));
        assert_eq!(descriptors.what(file.as_raw_fd()), Ok(What::Other));
        std::fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn anothers_list_is_told_from_ones_own() {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        let parent = format!("/proc/{}/fd", std::os::unix::process::parent_id());
        for other in [parent.as_str(), "/proc", "/"] {
            assert_eq!(is_own(&open(other, flags, Mode::empty()).unwrap()), Ok(false), "{other}");
        }
    }

    #[test]
    fn no_records_make_a_panic() {
        proptests::check(proptests::lines(), |bytes| assert!(names(&bytes).count() <= bytes.len()));
    }
}

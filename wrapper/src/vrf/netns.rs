//! `--netns NAME`: the network namespaces that ip-netns(8) keeps under /run/netns.

use std::ffi::OsStr;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sched::{CloneFlags, setns};
use nix::sys::stat::{Mode, fstat, stat};

use crate::error::{Error, text};

const NAMED: &str = "/run/netns";

/// Enters a named network namespace.
pub fn enter(name: &OsStr) -> Result<(), Error> {
    if name.is_empty() || name.as_encoded_bytes().contains(&b'/') {
        return Err(Error::Usage(format!("'{}' is no name of a network namespace", text(name))));
    }
    let failed = |errno| Error::NoNetns { name: name.to_owned(), errno };
    // A FIFO would keep us waiting for its writer.
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let file = open(&Path::new(NAMED).join(name), flags, Mode::empty()).map_err(failed)?;
    let wanted = fstat(&file).map_err(failed)?.st_ino;
    setns(file, CloneFlags::CLONE_NEWNET).map_err(failed)?;
    // A filter above can say so where nothing was entered: the same name may be another VRF here.
    match inode().map_err(failed)? {
        entered if entered == wanted => Ok(()),
        _ => Err(failed(Errno::ENOSYS)),
    }
}

/// The inode of the current network namespace: what tells it apart while it lives.
pub fn inode() -> nix::Result<u64> {
    Ok(stat("/proc/self/ns/net")?.st_ino)
}

/// Whether this is the network namespace of process 1, and so of the daemons that write below /run what they know of its
/// interfaces: an index or a name is another interface elsewhere. Asked of `net/dev`, which needs no right to that process.
pub fn is_of_the_system() -> bool {
    let number = |path: &str| stat(path).map(|found| found.st_ino);
    matches!((number("/proc/1/net/dev"), number("/proc/self/net/dev")), (Ok(one), Ok(ours)) if one == ours)
}

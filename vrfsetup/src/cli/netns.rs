//! Network namespaces by the names that `ip netns` gives them, or by path.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::sched::{CloneFlags, setns};

use crate::error::Error;

/// Moves this thread, before it opens anything, into the namespace.
///
/// # Errors
/// There is none of this name, or we may not.
pub fn enter(name: &str) -> Result<(), Error> {
    let refused = |source| Error::NoNetns { name: name.to_owned(), source };
    // A FIFO would keep us waiting for its writer.
    let namespace = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path(name)).map_err(refused)?;
    setns(namespace, CloneFlags::CLONE_NEWNET).map_err(|errno| refused(errno.into()))
}

/// A name stands for a file in /run/netns; anything with a slash is a path (`/proc/PID/ns/net`).
fn path(name: &str) -> PathBuf {
    if name.contains('/') { PathBuf::from(name) } else { Path::new("/run/netns").join(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_ip_netns_and_paths_are_paths() {
        assert_eq!(path("red"), Path::new("/run/netns/red"));
        assert_eq!(path("/proc/1/ns/net"), Path::new("/proc/1/ns/net"));
    }
}

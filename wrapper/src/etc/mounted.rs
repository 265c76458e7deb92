//! Whether what was mounted is there: a filter above this process may answer "done" to a mount(2) or unshare(2) that
//! the kernel never saw. The program would then read the system's files, or everybody else the VRF's.

use std::ffi::CStr;

use nix::errno::Errno;
use nix::sys::stat::stat;

use crate::error::Error;
use crate::sys::kernel;

/// Which file: its file system and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(u64, u64);

/// Where a path leads.
pub fn place(path: &CStr) -> nix::Result<Place> {
    stat(path).map(|found| Place(found.st_dev, found.st_ino))
}

/// The mount namespace of this process.
pub fn namespace() -> Result<Place, Error> {
    place(c"/proc/self/ns/mnt").map_err(Error::kernel("read the mount namespace"))
}

/// This process has left the mount namespace `before`, and no mount of its own gets out.
pub fn is_private(before: Place) -> Result<(), Error> {
    let mounts = kernel::read("/proc/self/mountinfo").map_err(Error::no_mounts)?;
    if namespace()? == before || has_shared(&mounts) {
        return Err(Error::kernel("keep mounts to the program")(Errno::ENOSYS));
    }
    Ok(())
}

/// Whether a mount has peers: what is mounted below it would appear there too.
fn has_shared(mount_info: &[u8]) -> bool {
    let is_shared = |line: &[u8]| {
        let fields = line.split(|&b| b == b' ').skip(6).take_while(|field| *field != b"-");
        fields.into_iter().any(|field| field.starts_with(b"shared:"))
    };
    mount_info.split(|&b| b == b'\n').any(is_shared)
}

/// The file stands at this path.
pub fn is_at(file: Place, path: &CStr) -> nix::Result<()> {
    if place(path)? == file { Ok(()) } else { Err(Errno::ENOSYS) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_told_from_masters_and_from_names() {
        for (line, is_shared) in [
            (&b"30 24 0:27 / /mnt rw shared:9 - tmpfs tmpfs rw"[..], true),
            (b"30 24 0:27 / /mnt rw master:1 shared:9 - tmpfs tmpfs rw", true),
            (b"30 24 0:27 / /mnt rw master:9 - tmpfs tmpfs rw", false),
            (b"30 24 0:27 / /shared:1 rw - tmpfs shared:1 rw", false),
        ] {
            assert_eq!(has_shared(line), is_shared, "{}", String::from_utf8_lossy(line));
        }
    }
}

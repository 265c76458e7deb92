//! Files that an outer vrfrun put over /etc for another VRF: a program that is no longer in that VRF must not read them.
//!
//! Found in /proc/self/mountinfo, by what was mounted and where: nothing that a program could have lost or made up.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MntFlags, umount2};

use crate::error::Error;
use crate::etc::daemons;
use crate::sys::kernel;

/// How the file system is called that a resolv.conf without a file of its own is made in; the VRF's name follows.
const SOURCE: &[u8] = b"vrfrun-";

/// The source of that file system.
pub fn source(vrf: &OsStr) -> OsString {
    OsString::from_vec([SOURCE, vrf.as_bytes()].concat())
}

/// What an outer run mounted for another VRF than this: where, the first mount first. The masks over the sockets of
/// name services go with the files.
pub fn find(vrf: &OsStr, mounts: &[u8]) -> Vec<PathBuf> {
    let all: Vec<Mount> = mounts.split(|&b| b == b'\n').filter_map(Mount::read).collect();
    if !all.iter().any(|mount| mount.is_of_another(vrf)) {
        return Vec::new();
    }
    let ours = all.into_iter().filter(|mount| mount.is_of_another(vrf) || mount.is_mask());
    ours.map(|mount| mount.point).collect()
}

/// Removes them, in the mount namespace of this process. Of several at one place the last goes first.
pub fn remove(vrf: &OsStr, points: &[PathBuf]) -> Result<(), Error> {
    for point in points.iter().rev() {
        umount2(point, MntFlags::MNT_DETACH).map_err(failed(point))?;
    }
    // A filter above can say so where nothing was taken away.
    let mounts = kernel::read("/proc/self/mountinfo").map_err(Error::kernel("read /proc/self/mountinfo"))?;
    find(vrf, &mounts).first().map_or(Ok(()), |point| Err(failed(point)(Errno::ENOSYS)))
}

/// Only who made that mount namespace, or root of it, can: a plain user's own would be below it.
pub fn refused(point: &Path) -> Error {
    failed(point)(Errno::EPERM)
}

fn failed(point: &Path) -> impl FnOnce(Errno) -> Error {
    let tried = format!("remove what an outer vrfrun put over '{}'", point.display());
    |errno| Error::Etc { tried, errno, hint: Some("vrfrun --no-etc … keeps it".into()) }
}

/// A line of mountinfo.
struct Mount {
    /// What of the file system is seen.
    root: PathBuf,
    point: PathBuf,
    source: PathBuf,
}

impl Mount {
    fn read(line: &[u8]) -> Option<Self> {
        let mut fields = line.split(|&b| b == b' ');
        let (root, point) = (fields.nth(3)?, fields.next()?);
        let source = fields.skip_while(|field| *field != b"-").nth(2)?;
        let [root, point, source] = [root, point, source].map(kernel::unescape);
        Some(Self { root, point, source })
    }

    /// Whether it is a file of another VRF over /etc.
    fn is_of_another(&self, vrf: &OsStr) -> bool {
        self.vrf().is_some_and(|name| name != vrf.as_bytes())
    }

    /// The VRF whose file was put over /etc: from /etc/vrf/NAME, or made in memory.
    fn vrf(&self) -> Option<&[u8]> {
        let file = self.point.strip_prefix("/etc").ok()?;
        if let Some(name) = self.source.as_os_str().as_bytes().strip_prefix(SOURCE) {
            return Some(name);
        }
        // /etc may be a file system of its own, so that its root is shorter.
        let directory =
            self.root.as_os_str().as_bytes().strip_suffix(file.as_os_str().as_bytes())?.strip_suffix(b"/")?;
        let mut parts = directory.rsplit(|&b| b == b'/');
        let name = parts.next()?;
        (parts.next() == Some(b"vrf")).then_some(name)
    }

    fn is_mask(&self) -> bool {
        self.root == Path::new("/null")
            && daemons::sockets().any(|path| path.to_bytes() == self.point.as_os_str().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proptests;

    #[test]
    fn no_line_makes_a_panic() {
        proptests::check(proptests::lines(), |lines| {
            assert!(find(OsStr::new("blue"), &lines).len() <= lines.len());
        });
    }

    fn found(vrf: &str, lines: &str) -> Vec<PathBuf> {
        find(OsStr::new(vrf), lines.as_bytes())
    }

    #[test]
    fn files_of_another_vrf_are_found_with_their_masks() {
        let lines = "30 24 8:1 /etc/vrf/blue/hosts /etc/hosts rw - ext4 /dev/sda1 rw\n\
                     31 24 0:40 /resolv.conf /etc/resolv.conf rw - tmpfs vrfrun-blue rw\n\
                     32 24 0:6 /null /run/nscd/socket rw - devtmpfs udev rw\n";
        assert_eq!(found("default", lines), ["/etc/hosts", "/etc/resolv.conf", "/run/nscd/socket"].map(PathBuf::from));
        assert_eq!(found("blue", lines), Vec::<PathBuf>::new());
    }

    #[test]
    fn an_etc_of_its_own_and_odd_names_are_read() {
        let lines = "30 24 8:1 /vrf/b\\040l/hosts /etc/hosts rw shared:7 - ext4 /dev/sda1 rw\n";
        assert_eq!(found("red", lines), ["/etc/hosts"].map(PathBuf::from));
        assert_eq!(found("b l", lines), Vec::<PathBuf>::new());
    }

    #[test]
    fn what_others_mounted_is_left_alone() {
        let lines = "30 24 8:1 /var/lib/docker/containers/7/resolv.conf /etc/resolv.conf rw - ext4 /dev/sda1 rw\n\
                     31 24 8:1 /etc/netns/blue/resolv.conf /etc/resolv.conf rw - ext4 /dev/sda1 rw\n\
                     32 24 8:1 /etc/vrf/blue/hosts /srv/hosts rw - ext4 /dev/sda1 rw\n\
                     33 24 0:6 /null /run/nscd/socket rw - devtmpfs udev rw\n";
        assert_eq!(found("default", lines), Vec::<PathBuf>::new());
    }
}

//! Files that an outer vrfrun put over /etc for another VRF: a program that is no longer in that VRF must not read them.
//!
//! Found in /proc/self/mountinfo, by the marks that stand below them: nothing that a program could have lost or made up.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MntFlags, umount2};

use crate::error::Error;
use crate::etc::daemons;
use crate::sys::kernel;
use crate::vrf::netns;

/// How the source of a mark begins; the number of the network namespace and the VRF's name follow.
const SOURCE: &str = "vrfrun-";

/// For whom files were put over /etc. Another network namespace has another VRF of the same name.
#[derive(Debug, PartialEq, Eq)]
pub struct Owner {
    vrf: OsString,
    netns: u64,
}

impl Owner {
    /// A VRF of this network namespace, or `default`.
    pub fn here(vrf: &OsStr) -> Result<Self, Error> {
        let netns = netns::inode().map_err(Error::kernel("read the network namespace"))?;
        Ok(Self { vrf: vrf.to_owned(), netns })
    }

    /// The source of its marks.
    pub fn source(&self) -> OsString {
        OsString::from_vec([format!("{SOURCE}{}-", self.netns).as_bytes(), self.vrf.as_bytes()].concat())
    }

    fn of_source(source: &[u8]) -> Option<Self> {
        let mut parts = source.strip_prefix(SOURCE.as_bytes())?.splitn(2, |&b| b == b'-');
        let netns = std::str::from_utf8(parts.next()?).ok()?.parse().ok()?;
        Some(Self { netns, vrf: OsString::from_vec(parts.next()?.to_vec()) })
    }
}

/// What an outer run mounted for another VRF than this: where, the first mount first.
pub fn find(vrf: &OsStr, mounts: &[u8]) -> Result<Vec<PathBuf>, Error> {
    // Of these letters mountinfo writes none in another way. Mostly there is no mark, and this takes a tenth of the time.
    let (first, others) = SOURCE.as_bytes().split_at(1);
    if !mounts.split(|&b| b == first[0]).any(|behind| behind.starts_with(others)) {
        return Ok(Vec::new());
    }
    let mounts: Vec<Mount> = mounts.split(|&b| b == b'\n').filter_map(Mount::read).collect();
    if !mounts.iter().any(|mount| mount.owner.is_some()) {
        return Ok(Vec::new());
    }
    Ok(of_others(&Owner::here(vrf)?, &mounts))
}

/// What stands at a mark of another owner since the mark does. The masks over the sockets of name services go with the files.
fn of_others(owner: &Owner, mounts: &[Mount]) -> Vec<PathBuf> {
    let mut points: Vec<&Path> = Vec::new();
    for mount in mounts {
        let is_mark = mount.owner.as_ref().is_some_and(|other| other != owner);
        if is_mark || points.contains(&mount.point.as_path()) {
            points.push(&mount.point);
        }
    }
    if points.is_empty() {
        return Vec::new();
    }
    let masks = mounts.iter().filter(|mount| mount.is_mask()).map(|mount| mount.point.as_path());
    points.into_iter().chain(masks).map(Path::to_owned).collect()
}

/// Removes them, in the mount namespace of this process. Of several at one place the last goes first.
pub fn remove(vrf: &OsStr, points: &[PathBuf]) -> Result<(), Error> {
    for point in points.iter().rev() {
        umount2(point, MntFlags::MNT_DETACH).map_err(failed(point))?;
    }
    // A filter above can say so where nothing was taken away.
    let mounts = kernel::read("/proc/self/mountinfo").map_err(Error::no_mounts)?;
    find(vrf, &mounts)?.first().map_or(Ok(()), |point| Err(failed(point)(Errno::ENOSYS)))
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
    /// Of a mark.
    owner: Option<Owner>,
}

impl Mount {
    fn read(line: &[u8]) -> Option<Self> {
        let mut fields = line.split(|&b| b == b' ');
        let (root, point) = (fields.nth(3)?, fields.next()?);
        let source = kernel::unescape(fields.skip_while(|field| *field != b"-").nth(2)?);
        let owner = Owner::of_source(source.as_os_str().as_bytes());
        Some(Self { root: kernel::unescape(root), point: kernel::unescape(point), owner })
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
            let mounts: Vec<Mount> = lines.split(|&b| b == b'\n').filter_map(Mount::read).collect();
            assert!(of_others(&owner(7, "blue"), &mounts).len() <= 2 * lines.len());
        });
    }

    fn owner(netns: u64, vrf: &str) -> Owner {
        Owner { vrf: vrf.into(), netns }
    }

    fn found(netns: u64, vrf: &str, lines: &str) -> Vec<PathBuf> {
        let mounts: Vec<Mount> = lines.as_bytes().split(|&b| b == b'\n').filter_map(Mount::read).collect();
        of_others(&owner(netns, vrf), &mounts)
    }

    const MARKED: &str = "30 24 8:1 /x/resolv.conf /run/stub.conf rw - ext4 /dev/sda1 rw\n\
                          31 24 0:40 /mark /etc/hosts rw - tmpfs vrfrun-7-b\\040l-ue rw\n\
                          32 31 8:1 /srv/anything /etc/hosts rw - ext4 /dev/sda1 rw\n\
                          33 24 0:40 /resolv.conf /run/stub.conf rw - tmpfs vrfrun-7-b\\040l-ue rw\n\
                          34 24 0:6 /null /run/nscd/socket rw - devtmpfs udev rw\n";

    #[test]
    fn what_stands_at_a_mark_is_found_wherever_it_comes_from() {
        let all = ["/etc/hosts", "/etc/hosts", "/run/stub.conf", "/run/nscd/socket"].map(PathBuf::from);
        assert_eq!(found(7, "default", MARKED), all);
        assert_eq!(found(8, "b l-ue", MARKED), all, "the same name elsewhere");
        assert_eq!(found(7, "b l-ue", MARKED), Vec::<PathBuf>::new());
    }

    #[test]
    fn an_owner_is_read_back() {
        for owner in [owner(4026531840, "blue"), owner(7, "b l-ue"), owner(7, "default")] {
            assert_eq!(Owner::of_source(owner.source().as_bytes()), Some(owner));
        }
        for source in ["vrfrun-blue", "vrfrun-7", "tmpfs", "vrfrun--1-blue"] {
            assert_eq!(Owner::of_source(source.as_bytes()), None, "{source}");
        }
    }

    #[test]
    fn what_others_mounted_is_left_alone() {
        let lines = "30 24 8:1 /var/lib/docker/containers/7/resolv.conf /etc/resolv.conf rw - ext4 /dev/sda1 rw\n\
                     31 24 8:1 /etc/vrf/blue/resolv.conf /etc/resolv.conf rw - ext4 /dev/sda1 rw\n\
                     33 24 0:6 /null /run/nscd/socket rw - devtmpfs udev rw\n";
        assert_eq!(found(7, "default", lines), Vec::<PathBuf>::new());
    }
}

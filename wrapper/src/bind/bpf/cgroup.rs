//! Where vrfrun's cgroups are: under which cgroup, and how a process moves.
//!
//! They stand under the cgroup that vrfrun was started in, so that limits and `systemctl stop` still reach the
//! program; one directory for each VRF and network namespace, shared by all runs, removed when it is empty.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::Mode;
use nix::unistd::write;

use crate::bind::bpf::{name, owner};
use crate::error::unavailable::Unavailable;
use crate::sys::{kernel, syscall};

pub(super) const DIRECTORY: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);

/// The cgroup under which ours stands, and the one that this process is in.
pub struct Base {
    pub(super) root: OwnedFd,
    pub(super) parent: PathBuf,
    pub(super) origin: PathBuf,
}

/// Finds the cgroup of this process in cgroup2.
pub fn locate() -> Result<Base, Unavailable> {
    let failed = |path: &str| Unavailable::kernel(format!("read {path}"));
    let (cgroups, mounts) = ("/proc/self/cgroup", "/proc/self/mountinfo");
    let own = own_path(&kernel::read_plain(cgroups).map_err(failed(cgroups))?)
        .ok_or_else(|| Unavailable::new("the kernel has no cgroup2"))?;
    if own.starts_with("/..") {
        return Err(Unavailable::new("this process's cgroup is outside its cgroup namespace"));
    }
    let found = mounted(kernel::mounts_at_start().map_err(failed(mounts))?, &own);
    let opened = found.map(|(mount_point, inside)| {
        let root = open(&mount_point, DIRECTORY, Mode::empty());
        root.map(|root| (root, inside)).map_err(Unavailable::kernel(format!("open {}", mount_point.display())))
    });
    let (root, inside) = match opened {
        Some(Ok(opened)) => opened,
        // `ip netns exec` and containers hide it; who may mount it can have a view of its own, attached nowhere.
        hidden => {
            let none = || Unavailable::new("no cgroup2 is mounted here");
            let why = |_| hidden.and_then(Result::err).unwrap_or_else(none);
            (syscall::detached_cgroup2().map_err(why)?, relative(&own))
        }
    };
    let binds =
        |path: &Path| openat(&root, path, DIRECTORY, Mode::empty()).is_ok_and(|cgroup| owner::binds(path, &cgroup));
    Ok(Base { parent: parent_for_ours(&inside, binds), root, origin: inside })
}

/// The path in cgroup2 from /proc/self/cgroup: the line that begins with `0::`.
fn own_path(cgroups: &[u8]) -> Option<PathBuf> {
    let line = cgroups.split(|&b| b == b'\n').find_map(|line| line.strip_prefix(b"0::"))?;
    Some(PathBuf::from(OsStr::from_bytes(line)))
}

/// The first mount of cgroup2 that shows this cgroup and has no other one over it, and the path of the cgroup below it.
fn mounted(mount_info: &[u8], own: &Path) -> Option<(PathBuf, PathBuf)> {
    mount_info.split(|&b| b == b'\n').find_map(|line| {
        let mut fields = line.split(|&b| b == b' ');
        let (id, root, mount_point) = (fields.next()?, fields.nth(2)?, fields.next()?);
        let kind = fields.skip_while(|field| *field != b"-").nth(1)?;
        let root = (kind == b"cgroup2").then(|| kernel::unescape(root))?;
        let inside = own.strip_prefix(&root).ok()?;
        let is_seen = !is_covered(mount_info, id, mount_point);
        is_seen.then(|| (kernel::unescape(mount_point), relative(inside)))
    })
}

/// Whether another mount stands upon the one of this number, at the same place: opened, it would be that one.
fn is_covered(mount_info: &[u8], id: &[u8], mount_point: &[u8]) -> bool {
    mount_info.split(|&b| b == b'\n').any(|line| {
        let mut fields = line.split(|&b| b == b' ').skip(1);
        fields.next() == Some(id) && fields.nth(2) == Some(mount_point)
    })
}

fn relative(path: &Path) -> PathBuf {
    Path::new(".").join(path.strip_prefix("/").unwrap_or(path))
}

/// Programs of ancestors run last and win. So what binds to another VRF must not be above ours: one of our own
/// directories, or the `vrf/NAME` of `ip vrf exec` (which does the same). `binds`: whether the directory at this path, whose
/// name says so, is what its name says.
fn parent_for_ours(own: &Path, binds: impl Fn(&Path) -> bool) -> PathBuf {
    let parts: Vec<_> = own.iter().collect();
    let path = |end: usize| parts[..end].iter().collect::<PathBuf>();
    let is_ours = |at: &usize| name::is_one(parts[*at]) && binds(&path(at + 1));
    let end = (0..parts.len()).find(is_ours).or(match parts[..] {
        [.., vrf, _] if vrf == "vrf" && binds(own) => Some(parts.len() - 2),
        _ => None,
    });
    path(end.unwrap_or(parts.len()))
}

impl Base {
    /// Whether this process is in the cgroup of this name, or below it.
    pub fn is_inside(&self, name: &OsStr) -> bool {
        self.origin.starts_with(self.parent.join(name))
    }

    /// Moves this process to the cgroup that it came from.
    pub fn return_to_origin(&self) {
        let _ = move_to(&self.root, &self.origin.join(PROCS));
    }
}

/// Leaves a cgroup of ours, or of `ip vrf exec`, for the one above it. Whether that helped, a socket tells.
pub fn leave_ours() {
    if let Ok(base) = locate() {
        let _ = move_to(&base.root, &base.parent.join(PROCS));
    }
}

pub(super) const PROCS: &str = "cgroup.procs";

/// Moves this process to the cgroup whose cgroup.procs this is.
pub(super) fn move_to(directory: &OwnedFd, procs: &Path) -> nix::Result<()> {
    let procs = openat(directory, procs, OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    let outcome = write(&procs, b"0").map(drop);
    std::mem::forget(procs); // left open for exec to close: saves a close(2)
    outcome
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    use super::*;
    use crate::proptests;

    const HYBRID: &[u8] = b"30 24 0:27 / /sys/fs/cgroup rw shared:9 - tmpfs tmpfs rw,mode=755\n\
        31 30 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";

    #[test]
    fn the_unified_line_is_found_among_the_old_ones() {
        let own = own_path(b"4:memory:/x\n0::/user.slice/session-1.scope\n");
        assert_eq!(own, Some("/user.slice/session-1.scope".into()));
        assert_eq!(own_path(b"4:memory:/x\n"), None);
    }

    #[test]
    fn a_mount_is_found_wherever_it_is() {
        let found = mounted(HYBRID, Path::new("/a/b"));
        assert_eq!(found, Some(("/sys/fs/cgroup/unified".into(), "./a/b".into())));
    }

    #[test]
    fn a_mount_of_another_subtree_is_not_taken() {
        let info = b"31 30 0:28 /docker/x /mnt/my\\040cgroup rw - cgroup2 cgroup2 rw\n";
        assert_eq!(mounted(info, Path::new("/a/b")), None);
        let found = mounted(info, Path::new("/docker/x/y"));
        assert_eq!(found, Some(("/mnt/my cgroup".into(), "./y".into())));
    }

    #[test]
    fn a_mount_with_another_one_over_it_is_not_taken() {
        let whole = "31 30 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        let over = "33 31 0:28 /part /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        let below = "34 31 0:30 / /sys/fs/cgroup/below rw - tmpfs tmpfs rw\n";
        let other = "35 1 0:28 / /mnt rw - cgroup2 none rw\n";
        let found = |lines: &[&str]| mounted(lines.concat().as_bytes(), Path::new("/a")).map(|(point, _)| point);
        assert_eq!(found(&[whole, below]), Some("/sys/fs/cgroup".into()));
        assert_eq!(found(&[whole, over, below]), None);
        assert_eq!(found(&[whole, over, other]), Some("/mnt".into()));
    }

    #[test]
    fn another_vrf_goes_beside_ours_not_below() {
        for (own, parent) in [
            ("./user.slice", "./user.slice"),
            ("./user.slice/vrfrun-blue-7-4026531840", "./user.slice"),
            ("./user.slice/vrfrun-blue-7-4026531840/inner", "./user.slice"),
            ("./user.slice/vrf/blue", "./user.slice"),
            ("./vrf/blue", "."),
            (".", "."),
        ] {
            assert_eq!(parent_for_ours(Path::new(own), |_| true), Path::new(parent), "{own}");
        }
    }

    #[test]
    fn a_cgroup_that_is_only_called_like_ours_is_not_left() {
        for own in ["./vrfrun-tests/x", "./vrfrun-blue-7-4026531840", "./vrf/blue"] {
            assert_eq!(parent_for_ours(Path::new(own), |_| false), Path::new(own));
        }
        assert_eq!(parent_for_ours(Path::new("./vrfrun-tests/x"), |_| true), Path::new("./vrfrun-tests/x"));
        // The outer one is a stranger's, the inner one ours.
        let own = Path::new("./vrfrun-red-6-4026531840/vrfrun-blue-7-4026531840");
        let outer = Path::new("./vrfrun-red-6-4026531840");
        assert_eq!(parent_for_ours(own, |path| path == own), outer);
    }

    /// As the kernel writes a path into mountinfo.
    fn escape(path: &[u8]) -> Vec<u8> {
        let octal = |b: &u8| if b" \t\n\\".contains(b) { format!("\\{b:03o}").into_bytes() } else { vec![*b] };
        path.iter().flat_map(octal).collect()
    }

    #[test]
    fn any_path_is_read_back_from_a_line_of_mountinfo() {
        proptests::check((proptests::path(), proptests::path(), proptests::path()), |(root, point, below)| {
            let line =
                [&b"31 30 0:28 "[..], &escape(&root), b" ", &escape(&point), b" rw - cgroup2 none rw\n"].concat();
            let bytes = [&root[..], &below].concat();
            let own = Path::new(OsStr::from_bytes(&bytes));
            let (found, inside) = mounted(&line, own).expect("the mount shows the cgroup");
            assert_eq!(found.as_os_str().as_bytes(), point);
            assert_eq!(inside, relative(Path::new(OsStr::from_bytes(&below))));
        });
    }

    #[test]
    fn no_bytes_make_the_readers_panic() {
        proptests::check((proptests::lines(), proptests::path()), |(bytes, own)| {
            let own = PathBuf::from(OsString::from_vec(own));
            let _ = mounted(&bytes, &own);
            let parent = parent_for_ours(&relative(&own_path(&bytes).unwrap_or(own)), |_| true);
            assert!(!parent.iter().any(name::is_one), "{}", parent.display());
        });
    }
}

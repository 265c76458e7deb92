//! Marks of what vrfrun puts over /etc, by which a run inside knows it: wherever a file comes from, and whatever path leads to
//! it, a mount of our own stands below it whose source names the VRF and its network namespace.
//!
//! The marks are files of a file system in memory; so is a resolv.conf that is on no disk. It stands over /etc for as long
//! as it takes to bind them to where they belong. Nothing else runs in this mount namespace meanwhile.

use std::ffi::{CString, OsStr};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::stat::{Mode, SFlag, fstat};

use crate::error::Error;
use crate::etc::mounted::{self, Place};
use crate::sys::kernel::errno_of;

const RESOLV_CONF: &str = "/etc/resolv.conf";
/// Room for the marks, which take none but for their names.
const ROOM: usize = 64 << 10;

/// What is covered: open, for paths lead elsewhere once something is mounted.
pub struct Target {
    path: PathBuf,
    at: OwnedFd,
}

impl Target {
    /// Opens it.
    pub fn open(path: PathBuf) -> nix::Result<Self> {
        let at = open(&path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?;
        Ok(Self { path, at })
    }

    /// Whether a directory is covered.
    fn is_directory(&self) -> nix::Result<bool> {
        Ok(fstat(&self.at)?.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFDIR.bits())
    }

    fn is_covered_by(&self, place: Place) -> nix::Result<()> {
        mounted::is_at(place, &c_path(&self.path))
    }
}

/// Puts a mark over each of these, and the text over /etc/resolv.conf. `source` is the owner's.
pub fn put(source: &OsStr, targets: &[&Target], text: Option<(&[u8], &Target)>) -> Result<(), Error> {
    let failed = |errno| Error::Etc {
        tried: "make files in memory over /etc".into(),
        errno,
        hint: (errno == Errno::EFBIG).then(|| "ulimit -f unlimited".into()),
    };
    let before = mounted::place(c"/etc").map_err(failed)?;
    let size = ROOM + text.map_or(0, |(text, _)| text.len());
    let options = format!("mode=0755,size={size}");
    mount(Some(source), c"/etc", Some(c"tmpfs"), MsFlags::empty(), Some(options.as_str())).map_err(failed)?;
    // A filter above can say so where nothing was mounted: the files would be made on the disk.
    if mounted::is_at(before, c"/etc").is_ok() {
        return Err(failed(Errno::ENOSYS));
    }
    let outcome = fill(targets, text);
    let places = umount2(c"/etc", MntFlags::MNT_DETACH).and(outcome).map_err(failed)?;
    let all = targets.iter().copied().chain(text.map(|(_, target)| target));
    places.into_iter().zip(all).try_for_each(|(place, target)| target.is_covered_by(place)).map_err(failed)?;
    mounted::is_at(before, c"/etc").map_err(failed)
}

/// Where the files are that were bound, in the order of the targets.
fn fill(targets: &[&Target], text: Option<(&[u8], &Target)>) -> nix::Result<Vec<Place>> {
    let (file, directory) = ("/etc/mark", "/etc/marks");
    write_new(file, b"")?;
    fs::create_dir(directory).map_err(|error| errno_of(&error))?;
    let mut places = Vec::new();
    for target in targets {
        places.push(bind(if target.is_directory()? { directory } else { file }, target)?);
    }
    if let Some((text, target)) = text {
        write_new(RESOLV_CONF, text)?;
        places.push(bind(RESOLV_CONF, target)?);
    }
    Ok(places)
}

fn bind(file: &str, target: &Target) -> nix::Result<Place> {
    mount(Some(file), by_descriptor(&target.at).as_str(), None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
    mounted::place(&c_path(Path::new(file)))
}

fn write_new(path: &str, text: &[u8]) -> nix::Result<()> {
    let new = || -> std::io::Result<()> {
        let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o644).open(path)?;
        // Before its mode is changed: a sandbox whose open(2) lies may have given us another file, such as /dev/null.
        if !file.metadata()?.is_file() {
            return Err(Errno::EIO.into());
        }
        file.set_permissions(fs::Permissions::from_mode(0o644))?; // whatever the umask took away
        // SIGXFSZ would end us.
        if getrlimit(Resource::RLIMIT_FSIZE).is_ok_and(|(limit, _)| limit < text.len() as u64) {
            return Err(Errno::EFBIG.into());
        }
        file.write_all(text)
    };
    new().map_err(|error| errno_of(&error))
}

/// The path of an open file that stays the same whatever is mounted over the one by which it was opened.
pub fn by_descriptor(file: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// For calls that take a C string.
pub fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap_or_default() // no path holds a NUL
}

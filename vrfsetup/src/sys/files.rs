//! Files that others read at any time: whole, as they were or as they become, after a power loss too. And files that others
//! write, which root reads unasked.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Longer than any file that is read unasked.
const LONGEST: u64 = 1 << 20;

/// Whether the last name of a path may be a symbolic link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    Followed,
    Refused,
}

/// Reads a file that a plain user may have put there. Only a regular file of some length is opened at all: a FIFO would keep
/// us waiting, and some devices act when they are opened.
///
/// # Errors
/// It is none, or cannot be read.
pub fn read_of_anybody(path: &Path, links: Links) -> io::Result<Vec<u8>> {
    let no_link = if links == Links::Refused { libc::O_NOFOLLOW } else { 0 };
    let place = File::options().read(true).custom_flags(libc::O_PATH | no_link).open(path)?;
    let found = place.metadata()?;
    if !found.is_file() || found.len() > LONGEST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    // Nor does whoever has a lease on it keep us waiting.
    let same = format!("/proc/self/fd/{}", place.as_raw_fd());
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(same)?;
    let mut content = Vec::new();
    file.take(LONGEST).read_to_end(&mut content)?;
    Ok(content)
}

/// Writes a file with this content, and makes the directories above it; without content, removes the file.
///
/// # Errors
/// Those of the file system; then it is as it was.
pub fn write(path: &Path, content: Option<&str>) -> io::Result<()> {
    let directory = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let Some(content) = content else {
        return match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            answer => answer.map(|()| sync(directory)),
        };
    };
    let is_new = !directory.exists();
    fs::create_dir_all(directory)?;
    let written = write_unfinished(path, content).and_then(|()| fs::rename(unfinished(path), path));
    written.map(|()| sync(directory)).inspect_err(|_| {
        remove_unfinished(path);
        // Stays if somebody else has put something there meanwhile.
        let _ = is_new.then(|| fs::remove_dir(directory));
    })
}

/// On the disk before it gets its name: a file system may else keep the name alone, of an empty file.
fn write_unfinished(path: &Path, content: &str) -> io::Result<()> {
    let mut file = File::create(unfinished(path))?;
    file.write_all(content.as_bytes())?;
    file.sync_all()
}

/// Waits until the disk has a directory's names. On a file system that cannot say, the change stands.
fn sync(directory: &Path) {
    let _ = File::open(directory).and_then(|directory| directory.sync_all());
}

/// Removes what a write of this file has left that was killed.
pub fn remove_unfinished(path: &Path) {
    let _ = fs::remove_file(unfinished(path));
}

fn unfinished(path: &Path) -> PathBuf {
    path.with_extension("new")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;

    #[test]
    fn what_is_no_regular_file_is_not_opened() {
        let top = std::env::temp_dir().join(format!("vrfsetup-anybody-{}", std::process::id()));
        fs::create_dir_all(&top).unwrap();
        let read = |name: &str, links| read_of_anybody(&top.join(name), links).ok();
        fs::write(top.join("file"), "text").unwrap();
        symlink("file", top.join("link")).unwrap();
        for (name, links, expected) in
            [("file", Links::Refused, true), ("link", Links::Followed, true), ("link", Links::Refused, false)]
        {
            assert_eq!(read(name, links), expected.then(|| b"text".to_vec()), "{name} {links:?}");
        }
        // Nobody writes to it: to open it takes forever.
        mkfifo(&top.join("fifo"), Mode::S_IRWXU).unwrap();
        symlink("fifo", top.join("to-fifo")).unwrap();
        symlink("/dev/zero", top.join("to-device")).unwrap();
        File::create(top.join("long")).unwrap().set_len(LONGEST + 1).unwrap();
        for name in ["fifo", "to-fifo", "to-device", "long", ".", "none"] {
            assert_eq!((read(name, Links::Followed), read(name, Links::Refused)), (None, None), "{name}");
        }
        fs::remove_dir_all(top).unwrap();
    }

    #[test]
    fn a_write_that_fails_leaves_no_file_and_no_directory() {
        let top = std::env::temp_dir().join(format!("vrfsetup-files-{}", std::process::id()));
        let path = top.join("x.d/50-vrf.conf");
        // The directory can be made, the file cannot: its name is too long.
        assert!(write(&path.with_file_name("x".repeat(300)), Some("text")).is_err());
        assert!(top.exists() && !top.join("x.d").exists());
        write(&path, Some("text")).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "text");
        // What is written first cannot take the place of a directory.
        fs::create_dir_all(top.join("x.d/dir.conf/y")).unwrap();
        assert!(write(&top.join("x.d/dir.conf"), Some("text")).is_err());
        assert!(!top.join("x.d/dir.new").exists() && path.exists());
        write(&path, None).unwrap();
        write(&path, None).unwrap();
        assert!(!path.exists());
        fs::remove_dir_all(top).unwrap();
    }
}

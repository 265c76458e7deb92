//! Where cgroup2 is mounted.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// A mount of cgroup2 from its root on, as far as this process may see it, and its directory: the first that can be reached.
/// None where there is none.
///
/// # Errors
/// /proc cannot be read.
pub fn whole_cgroup2() -> io::Result<Option<(PathBuf, File)>> {
    // Names are bytes: one that is no text, of whatever mount, must not hide the others.
    let mounts = fs::read("/proc/thread-self/mountinfo")?;
    let found = whole(&mounts).find_map(|(id, point)| {
        let directory = File::open(&point).ok()?;
        // Something else may be mounted over it, or over a directory on the way.
        is_of(&directory, id).then_some((point, directory))
    });
    Ok(found)
}

/// Each mount of cgroup2 that begins at its root: its number and where it is.
/// `31 30 0:28 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw`
fn whole(mounts: &[u8]) -> impl Iterator<Item = (&[u8], PathBuf)> {
    mounts.split(|&b| b == b'\n').filter_map(|line| {
        let mut fields = line.split(|&b| b == b' ');
        let (id, root, point) = (fields.next()?, fields.nth(2)?, fields.next()?);
        let kind = fields.skip_while(|field| *field != b"-").nth(1)?;
        (kind == b"cgroup2" && root == b"/").then(|| (id, unescape(point)))
    })
}

/// Whether an open directory is of the mount of this number.
fn is_of(directory: &File, id: &[u8]) -> bool {
    let about = fs::read_to_string(Path::new("/proc/thread-self/fdinfo").join(directory.as_raw_fd().to_string()));
    let number = |about: &str| Some(about.lines().find_map(|line| line.strip_prefix("mnt_id:"))?.trim().to_owned());
    about.is_ok_and(|about| number(&about).is_some_and(|number| number.as_bytes() == id))
}

/// Blanks, line ends and backslashes are written as three octal digits.
fn unescape(field: &[u8]) -> PathBuf {
    let (mut bytes, mut rest) = (Vec::with_capacity(field.len()), field);
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..3).filter(|_| first == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        bytes.push(escaped.unwrap_or(first));
        rest = if escaped.is_some() { &after[3..] } else { after };
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(mounts: &[u8]) -> Vec<String> {
        whole(mounts).map(|(_, point)| point.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn a_part_of_the_hierarchy_is_not_taken_for_the_whole() {
        let hybrid = "30 24 0:27 / /sys/fs/cgroup rw shared:9 - tmpfs tmpfs rw,mode=755\n\
            31 30 0:28 /docker/x /mnt rw - cgroup2 cgroup2 rw\n\
            32 30 0:28 / /sys/fs/cgroup/unified rw shared:3 master:4 - cgroup2 none rw\n\
            33 30 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
        assert_eq!(found(hybrid.as_bytes()), ["/sys/fs/cgroup/unified"]);
        assert_eq!(found(b"31 30 0:28 /../.. /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"), [""; 0]);
    }

    #[test]
    fn a_name_with_blanks_is_read_back_and_one_that_is_no_text_hides_nothing() {
        let mounts = b"29 24 0:26 / /mnt/\xff\xfe rw - tmpfs tmpfs rw\n\
            30 24 0:28 / /my\\040cgroups\\134040\\011 rw - cgroup2 cgroup2 rw\n";
        assert_eq!(found(mounts), ["/my cgroups\\040\t"]);
    }

    #[test]
    fn a_directory_is_of_the_mount_that_it_was_found_in() {
        let mounts = fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
        let line = mounts.lines().find(|line| line.split(' ').nth(4) == Some("/proc")).unwrap();
        let id = line.split(' ').next().unwrap().as_bytes();
        assert!(is_of(&File::open("/proc").unwrap(), id) && !is_of(&File::open("/").unwrap(), id));
    }
}

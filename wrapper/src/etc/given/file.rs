//! Reads a file that says which servers there are, if the system wrote it: root, or the daemon to which root gave the
//! directory; and nobody else can have written it.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

/// Longer than any such file.
const LONGEST: u64 = 1 << 20;
/// Writable by the group or by others.
const BY_OTHERS: u32 = 0o022;
const ROOT: u32 = 0;

/// Its text; None where there is none, or it is not the system's. `of` is the directory of the daemon that writes it.
pub fn read(path: &str, of: &str) -> Option<String> {
    // What is no regular file must not keep us waiting, nor a link lead elsewhere.
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = File::from(open(path, flags, Mode::empty()).ok()?);
    let found = file.metadata().ok()?;
    let is_fit = found.is_file() && found.len() <= LONGEST && found.mode() & BY_OTHERS == 0;
    if !is_fit || !(found.uid() == ROOT || owner_by_root(of) == Some(found.uid())) {
        return None;
    }
    let mut text = String::new();
    file.take(LONGEST).read_to_string(&mut text).ok()?;
    Some(text)
}

/// Whose a directory is that root alone can have made.
fn owner_by_root(directory: &str) -> Option<u32> {
    let parent = Path::new(directory).parent()?.symlink_metadata().ok()?;
    let own = Path::new(directory).symlink_metadata().ok()?;
    let is_roots = parent.is_dir() && parent.uid() == ROOT && parent.mode() & BY_OTHERS == 0;
    (is_roots && own.is_dir() && own.mode() & BY_OTHERS == 0).then(|| own.uid())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn what_others_can_write_and_what_is_no_file_is_not_read() {
        let directory = std::env::temp_dir().join(format!("vrfrun-given-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = |name: &str| directory.join(name).to_str().unwrap().to_owned();
        let none = "/no/such";
        std::fs::write(path("file"), "text").unwrap();
        let set = |mode| std::fs::set_permissions(path("file"), PermissionsExt::from_mode(mode)).unwrap();
        set(0o644);
        let is_root = nix::unistd::geteuid().is_root();
        assert_eq!(read(&path("file"), none).as_deref(), is_root.then_some("text"));
        symlink(path("file"), path("link")).unwrap();
        assert_eq!(read(&path("link"), none), None);
        assert_eq!(read(directory.to_str().unwrap(), none), None);
        nix::unistd::mkfifo(path("pipe").as_str(), Mode::from_bits_truncate(0o644)).unwrap();
        assert_eq!(read(&path("pipe"), none), None);
        for mode in [0o664, 0o646] {
            set(mode);
            assert_eq!(read(&path("file"), none), None);
        }
        std::fs::remove_dir_all(&directory).unwrap();
    }
}

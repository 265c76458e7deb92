//! What processes have open, from /proc.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The multiplexer of pseudoterminals: `/dev/ptmx`, and `ptmx` of each devpts.
const MULTIPLEXER: (u32, u32) = (5, 2);

/// The numbers of all processes.
pub fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The inode of a descriptor that is a socket, by what /proc shows of it: `socket:[12345]`.
pub fn socket_inode(target: &OsStr) -> Option<u64> {
    let number = target.as_bytes().strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    std::str::from_utf8(number).ok()?.parse().ok()
}

/// The inodes of all sockets of processes that have the master side of a pseudoterminal open, as sshd and mosh-server do.
/// Those of others are invisible to a plain user.
pub fn sockets_beside_terminals() -> HashSet<u64> {
    pids().flat_map(|pid| sockets_beside_terminal(&Path::new("/proc").join(pid.to_string()).join("fd"))).collect()
}

fn sockets_beside_terminal(descriptors: &Path) -> Vec<u64> {
    let entries = fs::read_dir(descriptors).into_iter().flatten().flatten();
    let (mut sockets, mut has_terminal) = (Vec::new(), false);
    for path in entries.map(|entry| entry.path()) {
        let target = fs::read_link(&path).unwrap_or_default();
        sockets.extend(socket_inode(target.as_os_str()));
        has_terminal = has_terminal || (target.ends_with("ptmx") && is_multiplexer(&path));
    }
    if has_terminal { sockets } else { Vec::new() }
}

/// Any file may have the name.
fn is_multiplexer(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| (libc::major(file.rdev()), libc::minor(file.rdev())) == MULTIPLEXER)
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn a_descriptor_that_is_a_socket_has_its_inode() {
        assert_eq!(socket_inode(OsStr::new("socket:[4711]")), Some(4711));
        assert_eq!(socket_inode(OsStr::new("pipe:[4711]")), None);
    }

    #[test]
    fn sockets_of_a_process_with_a_terminal_are_found_and_a_name_alone_is_none() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let inode = fs::metadata(format!("/proc/self/fd/{}", socket.as_raw_fd())).unwrap().ino();
        let directory = tempfile::tempdir().unwrap();
        let (named, descriptors) = (directory.path().join("ptmx"), directory.path().join("fd"));
        fs::write(&named, "").unwrap();
        fs::create_dir(&descriptors).unwrap();
        std::os::unix::fs::symlink(format!("socket:[{inode}]"), descriptors.join("3")).unwrap();
        assert_eq!(sockets_beside_terminal(&descriptors), Vec::<u64>::new());
        std::os::unix::fs::symlink(&named, descriptors.join("4")).unwrap();
        assert_eq!(sockets_beside_terminal(&descriptors), Vec::<u64>::new(), "a file of that name");
        std::os::unix::fs::symlink("/dev/ptmx", descriptors.join("5")).unwrap();
        assert_eq!(sockets_beside_terminal(&descriptors), [inode]);
        // The real one.
        let terminal = fs::OpenOptions::new().read(true).write(true).open("/dev/ptmx");
        assert!(terminal.is_err() || sockets_beside_terminals().contains(&inode));
    }
}

//! The sockets in a process's table of descriptors.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::Path;

use super::found::Thread;
use crate::sys::open_files;
use crate::sys::pidfd::Process;

/// The descriptors of one process.
pub struct Listed {
    /// Its number.
    pub pid: u32,
    /// The thread that they were listed of: the main one, or one that runs.
    pub thread: u32,
    /// With the inodes of sockets; an io_uring has none.
    pub descriptors: Vec<(i32, Option<u64>)>,
}

impl Listed {
    /// None if the process has no such thread any more.
    pub fn of(thread: Thread) -> Option<Self> {
        let descriptors = descriptors(&format!("{}/fd", thread.directory())).ok()?;
        Some(Self { pid: thread.process, thread: thread.number, descriptors })
    }
}

/// Opens the process, or one thread where the main one has ended.
///
/// # Errors
/// As [`Process::open`] and [`Process::of_thread`].
pub fn open(Thread { process, number }: Thread) -> nix::Result<Process> {
    if number == process { Process::open(process) } else { Process::of_thread(number) }
}

/// The descriptors below /proc that are sockets, with their inodes, and io_uring instances, without.
fn descriptors(directory: &str) -> io::Result<Vec<(i32, Option<u64>)>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(Path::new("/proc").join(directory))? {
        let entry = entry?;
        let Some(fd) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let target = fs::read_link(entry.path()).unwrap_or_default();
        match open_files::socket_inode(target.as_os_str()) {
            Some(inode) => all.push((fd, Some(inode))),
            None if target.as_os_str() == OsStr::new("anon_inode:[io_uring]") => all.push((fd, None)),
            None => {}
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsRawFd;
    use std::process::Command;

    use super::*;
    use crate::sys::pidfd;

    #[test]
    fn descriptors_are_sockets_with_their_inodes() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let found = descriptors("self/fd").unwrap();
        let inode = found.iter().find(|(fd, _)| *fd == socket.as_raw_fd()).unwrap().1;
        assert_eq!(inode, Some(pidfd::inode(&socket.into()).unwrap()));
        assert!(descriptors("0/fd").is_err());
    }

    /// As if the number of a thread that has ended had been given to another process.
    #[test]
    fn the_descriptors_of_a_number_that_another_process_has_are_not_a_threads() {
        let own = std::process::id();
        assert!(Listed::of(Thread { process: own, number: own }).is_some());
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        assert!(descriptors(&format!("{}/fd", child.id())).is_ok());
        assert!(Listed::of(Thread { process: own, number: child.id() }).is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

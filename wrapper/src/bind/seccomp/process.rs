//! What /proc says of a caller. The numbers that the kernel tells a supervisor are of the supervisor's own pid
//! namespace: looked up in the /proc of another one, they are somebody else's. So a /proc is used only after it has
//! been shown to be its own, and by a descriptor, whatever is mounted over it later; memory also by the number, in the
//! same pid namespace.

use std::fs::File;
use std::io::IoSliceMut;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat, readlink, readlinkat};
use nix::sys::stat::{Mode, fstatat};
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::{Pid, getpid};

use crate::bind::seccomp::status::{self, Status};
use crate::sys::kernel;
use crate::sys::pidfd::Ids;

/// A network namespace: what `/proc/PID/net/dev` shows of it. Unlike `ns/net`, it can be asked of a process of any user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Netns(u64);

/// A user namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Userns(u64);

/// The /proc of this process's own pid namespace.
pub struct Proc(OwnedFd);

impl Proc {
    /// With what it says of this process. None if what is mounted on /proc is of another pid namespace, or no such file system
    /// at all.
    pub fn of_own_namespace() -> Option<(Self, Status)> {
        let directory = open("/proc", OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty()).ok()?;
        let is_procfs = fstatfs(&directory).is_ok_and(|about| about.filesystem_type() == PROC_SUPER_MAGIC);
        let proc = Self(directory);
        is_procfs.then(|| proc.own_status()).flatten().map(|status| (proc, status))
    }

    /// Whether /proc may be its own, by one look: for who would rather know early than for certain.
    pub fn seems_own() -> bool {
        readlink("/proc/self").is_ok_and(|name| name.to_str() == Some(&getpid().to_string()))
    }

    /// Whether what this process forks is in another pid namespace than itself (unshare(CLONE_NEWPID), 4.12).
    pub fn shows_children_elsewhere() -> bool {
        let [own, childrens] =
            ["pid", "pid_for_children"].map(|name| readlink(format!("/proc/self/ns/{name}").as_str()));
        own.is_ok_and(|own| childrens.is_ok_and(|childrens| own != childrens))
    }

    /// `self` is this process's number. A process may by chance have the same number in two namespaces: so it must also
    /// have no more than the one, from the namespace of this /proc inwards.
    fn own_status(&self) -> Option<Status> {
        let pid = getpid().as_raw() as u32;
        let is_self = readlinkat(&self.0, "self").is_ok_and(|name| name.to_str() == Some(&pid.to_string()));
        let status = is_self.then(|| self.status(pid)).and_then(Result::ok);
        status.filter(|status| status.pids.is_empty() || status.pids == [pid])
    }

    /// A process's network namespace.
    pub fn netns(&self, pid: u32) -> nix::Result<Netns> {
        fstatat(&self.0, format!("{pid}/net/dev").as_str(), AtFlags::empty()).map(|stat| Netns(stat.st_ino))
    }

    /// A process's view of its network namespace, whoever gets its number later.
    pub fn network(&self, pid: u32) -> nix::Result<Network> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        openat(&self.0, format!("{pid}/net").as_str(), flags, Mode::empty()).map(Network)
    }

    /// A process's user namespace; needs the right to look into it.
    pub fn userns(&self, pid: u32) -> nix::Result<Userns> {
        fstatat(&self.0, format!("{pid}/ns/user").as_str(), AtFlags::empty()).map(|stat| Userns(stat.st_ino))
    }

    /// Who a process is.
    pub fn status(&self, pid: u32) -> nix::Result<Status> {
        self.status_file(pid)?.read()
    }

    /// The file that says so, of the process that has this number now.
    pub fn status_file(&self, pid: u32) -> nix::Result<StatusFile> {
        self.open(pid, "status").map(|file| StatusFile(File::from(file)))
    }

    /// Fills the buffer from a process's memory; needs the right to look into it.
    pub fn memory(&self, pid: u32, address: u64, buffer: &mut [u8]) -> nix::Result<()> {
        match self.open(pid, "mem") {
            Ok(file) => File::from(file).read_exact_at(buffer, address).map_err(|_| Errno::EFAULT),
            // The file belongs to the process's user, and CAP_SYS_PTRACE opens nobody else's files; process_vm_readv(2) asks
            // for that capability alone.
            Err(Errno::EACCES) => copy_memory(pid, address, buffer),
            Err(errno) => Err(errno),
        }
    }

    /// The process that this thread is of, and the program that it runs.
    pub fn process(&self, thread: u32) -> nix::Result<(u32, String)> {
        let status = self.open(thread, "status").map(File::from)?;
        let mut beginning = [0; 512];
        let length = status.read_at(&mut beginning, 0).map_err(|error| kernel::errno_of(&error))?;
        let pid = status::parse_process(&beginning[..length]).ok_or(Errno::EPROTO)?;
        let mut name = [0; 64];
        let file = File::from(self.open(pid, "comm")?);
        let length = file.read_at(&mut name, 0).map_err(|error| kernel::errno_of(&error))?;
        Ok((pid, String::from_utf8_lossy(name[..length].trim_ascii_end()).into_owned()))
    }

    fn open(&self, pid: u32, name: &str) -> nix::Result<OwnedFd> {
        openat(&self.0, format!("{pid}/{name}").as_str(), OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())
    }
}

fn copy_memory(pid: u32, address: u64, buffer: &mut [u8]) -> nix::Result<()> {
    let (base, len) = (usize::try_from(address).map_err(|_| Errno::EFAULT)?, buffer.len());
    let theirs = [RemoteIoVec { base, len }];
    let copied = process_vm_readv(Pid::from_raw(pid as i32), &mut [IoSliceMut::new(buffer)], &theirs)?;
    if copied == len { Ok(()) } else { Err(Errno::EFAULT) }
}

/// What one process or thread sees of its network namespace: always of the one that it is in.
pub struct Network(OwnedFd);

impl Network {
    /// Which it is now. ENOENT: the process is gone.
    pub fn netns(&self) -> nix::Result<Netns> {
        fstatat(&self.0, "dev", AtFlags::empty()).map(|stat| Netns(stat.st_ino))
    }
}

/// The status of one process or thread, whoever gets its number later.
pub struct StatusFile(File);

impl StatusFile {
    /// What it says now. ESRCH: the process is gone.
    pub fn read(&self) -> nix::Result<Status> {
        let mut bytes = [0; 4096];
        match self.read_at(&mut bytes)? {
            length if length < bytes.len() => status::parse(&bytes[..length]).ok_or(Errno::EPROTO),
            _ => self.read_long(),
        }
    }

    /// As whom the process acts now: what comes first in the file. ESRCH: it is gone.
    pub fn ids(&self) -> nix::Result<Ids> {
        let mut beginning = [0; 512];
        let length = self.read_at(&mut beginning)?;
        status::parse_ids(&beginning[..length]).ok_or(Errno::EPROTO)
    }

    /// There may be thousands of groups. The kernel writes the whole file at once, if there is room.
    fn read_long(&self) -> nix::Result<Status> {
        let mut bytes = vec![0; 1 << 20];
        let length = self.read_at(&mut bytes)?;
        status::parse(&bytes[..length]).ok_or(Errno::EPROTO)
    }

    fn read_at(&self, bytes: &mut [u8]) -> nix::Result<usize> {
        self.0.read_at(bytes, 0).map_err(|error| kernel::errno_of(&error))
    }
}

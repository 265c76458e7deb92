//! System calls that neither libc's functions, nor the standard library, nor nix wrap: numbers and errors as the kernel
//! has them. And fnmatch(3), which nix does not wrap either.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::null_mut;

use io_uring::{IoUring, opcode};
use libc::sock_filter;
use nix::errno::Errno;

const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: i32,
}

/// `struct __user_cap_data_struct`: 32 capabilities; the kernel wants two of them.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct CapabilitySets {
    /// What counts.
    pub effective: u32,
    /// What may be put into effect.
    pub permitted: u32,
    /// What exec keeps.
    pub inheritable: u32,
}

/// `struct pidfd_info` in its first version.
#[repr(C)]
#[derive(Default)]
pub struct PidfdInfo {
    pub mask: u64,
    cgroup: u64,
    pid: u32,
    tgid: u32,
    ppid: u32,
    ruid: u32,
    rgid: u32,
    pub euid: u32,
    pub egid: u32,
    suid: u32,
    sgid: u32,
    pub fsuid: u32,
    pub fsgid: u32,
    spare: u32,
}

/// `_IOWR(0xff, 11, struct pidfd_info)` (6.13)
const PIDFD_GET_INFO: libc::Ioctl = (3 << 30 | (size_of::<PidfdInfo>() as u32) << 16 | 0xff << 8 | 11) as libc::Ioctl;

/// Whether the name matches the pattern, byte by byte (fnmatch(3) without a locale).
pub fn matches(pattern: &CStr, name: &CStr) -> bool {
    // SAFETY: both are strings that end with a NUL, and are read only.
    unsafe { libc::fnmatch(pattern.as_ptr(), name.as_ptr(), 0) == 0 }
}

/// capget(2) for this process.
pub fn capget() -> nix::Result<[CapabilitySets; 2]> {
    let mut header = CapabilityHeader { version: CAPABILITY_VERSION_3, pid: 0 };
    let mut sets = [CapabilitySets::default(); 2];
    // SAFETY: the kernel reads the header and writes two structures of its own layout.
    Errno::result(unsafe { libc::syscall(libc::SYS_capget, &raw mut header, sets.as_mut_ptr()) })?;
    Ok(sets)
}

/// capset(2) for this process.
pub fn capset(sets: &[CapabilitySets; 2]) -> nix::Result<()> {
    let mut header = CapabilityHeader { version: CAPABILITY_VERSION_3, pid: 0 };
    // SAFETY: the kernel reads the header and two structures of its own layout.
    Errno::result(unsafe { libc::syscall(libc::SYS_capset, &raw mut header, sets.as_ptr()) }).map(drop)
}

/// getrandom(2): one number.
pub fn random() -> nix::Result<u64> {
    let mut bytes = [0; 8];
    // SAFETY: the kernel writes at most eight bytes into a live array.
    let got = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    if got == bytes.len() as isize { Ok(u64::from_ne_bytes(bytes)) } else { Err(Errno::last()) }
}

/// close_range(2) (5.9). EINVAL where the first is above the last.
pub fn close_range(first: RawFd, last: RawFd) -> nix::Result<()> {
    // SAFETY: numbers only; whoever owned these descriptors does not use them any more in this process.
    Errno::result(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) }).map(drop)
}

/// Whether the kernel has bpf(2), which knows no such command.
pub fn knows_bpf() -> bool {
    // SAFETY: there is no pointer to follow.
    Errno::result(unsafe { libc::syscall(libc::SYS_bpf, -1, 0usize, 0) }) != Err(Errno::ENOSYS)
}

/// getdents64(2): how many bytes of records were written; 0 at the end.
pub fn get_entries(directory: RawFd, records: &mut [u8]) -> nix::Result<usize> {
    // SAFETY: the kernel writes at most `len` bytes into a live slice.
    let result = unsafe { libc::syscall(libc::SYS_getdents64, directory, records.as_mut_ptr(), records.len()) };
    Errno::result(result).map(|length| length as usize)
}

/// read(2) into the room that the buffer has left; how much came. The kernel alone touches that memory, and so no more of it
/// than it writes.
pub fn read_into_room(file: impl AsFd, buffer: &mut Vec<u8>) -> nix::Result<usize> {
    let room = buffer.spare_capacity_mut();
    // SAFETY: the kernel writes at most `len` bytes into live memory.
    let got = unsafe { libc::read(file.as_fd().as_raw_fd(), room.as_mut_ptr().cast(), room.len()) };
    let got = Errno::result(got).map(|got| (got as usize).min(room.len()))?;
    // SAFETY: the kernel has written so many bytes behind the others, and there was room for them.
    unsafe { buffer.set_len(buffer.len() + got) };
    Ok(got)
}

/// recv(2) of one datagram into the room that the buffer has left; how long it was, for which there may have been no room.
pub fn receive_into_room(socket: impl AsFd, buffer: &mut Vec<u8>) -> nix::Result<usize> {
    let room = buffer.spare_capacity_mut();
    // SAFETY: the kernel writes at most `len` bytes into live memory.
    let length =
        unsafe { libc::recv(socket.as_fd().as_raw_fd(), room.as_mut_ptr().cast(), room.len(), libc::MSG_TRUNC) };
    let length = Errno::result(length)? as usize;
    let got = length.min(room.len());
    // SAFETY: the kernel has written so many bytes behind the others, and there was room for them.
    unsafe { buffer.set_len(buffer.len() + got) };
    Ok(length)
}

/// A mount of cgroup2 that is attached nowhere and goes with its descriptor (5.2, CAP_SYS_ADMIN).
pub fn detached_cgroup2() -> nix::Result<OwnedFd> {
    const FSOPEN_CLOEXEC: libc::c_long = 1;
    const FSMOUNT_CLOEXEC: libc::c_long = 1;
    const FSCONFIG_CMD_CREATE: libc::c_long = 6;
    // SAFETY: numbers and a live C string; each descriptor is the kernel's new one and ours alone.
    unsafe {
        let fs = Errno::result(libc::syscall(libc::SYS_fsopen, c"cgroup2".as_ptr(), FSOPEN_CLOEXEC))?;
        let fs = OwnedFd::from_raw_fd(fs as RawFd);
        Errno::result(libc::syscall(libc::SYS_fsconfig, fs.as_raw_fd(), FSCONFIG_CMD_CREATE, 0usize, 0usize, 0))?;
        let mount = Errno::result(libc::syscall(libc::SYS_fsmount, fs.as_raw_fd(), FSMOUNT_CLOEXEC, 0))?;
        Ok(OwnedFd::from_raw_fd(mount as RawFd))
    }
}

/// PR_GET_MDWE (6.3): how memory is denied to become code; negative if that is not known.
pub fn denied_code() -> libc::c_int {
    const PR_GET_MDWE: libc::c_int = 66;
    // SAFETY: numbers only.
    unsafe { libc::prctl(PR_GET_MDWE, 0, 0, 0, 0) }
}

/// pidfd_open(2) (5.3).
pub fn pidfd_open(pid: u32, flags: libc::c_uint) -> nix::Result<OwnedFd> {
    // SAFETY: numbers only.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, flags) })?;
    // SAFETY: the kernel just made this descriptor (close-on-exec), nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// pidfd_send_signal(2) (5.1) without a signal.
pub fn pidfd_probe(pidfd: &OwnedFd) -> nix::Result<()> {
    // SAFETY: numbers, and a null pointer for "no details".
    Errno::result(unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), 0, std::ptr::null::<u8>(), 0)
    })
    .map(drop)
}

/// PIDFD_GET_INFO (6.13): what the mask asks for, and which of it there was.
pub fn pidfd_get_info(pidfd: &OwnedFd, mask: u64) -> nix::Result<PidfdInfo> {
    let mut info = PidfdInfo { mask, ..PidfdInfo::default() };
    // SAFETY: the kernel reads and writes one live structure of the size in the number.
    Errno::result(unsafe { libc::ioctl(pidfd.as_raw_fd(), PIDFD_GET_INFO, &raw mut info) })?;
    Ok(info)
}

/// pidfd_getfd(2) (5.6).
pub fn pidfd_getfd(pidfd: &OwnedFd, number: RawFd) -> nix::Result<OwnedFd> {
    // SAFETY: numbers only.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_getfd, pidfd.as_raw_fd(), number, 0) })?;
    // SAFETY: the kernel just made this descriptor (close-on-exec), nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// `struct io_uring_bpf` (7.0).
#[repr(C)]
struct Registration {
    command: u16,
    command_flags: u16,
    reserved: u32,
    opcode: u32,
    flags: u32,
    filter_length: u32,
    details_size: u8,
    reserved_too: [u8; 3],
    filter: u64,
    reserved_last: [u64; 5],
}

/// IORING_REGISTER_BPF_FILTER (7.0) for this task and all it will start: a filter over IORING_OP_SOCKET. `details_size` is
/// that of what the kernel shows the filter.
pub fn io_uring_filter_sockets(filter: &[sock_filter], details_size: u8) -> nix::Result<()> {
    const IO_URING_BPF_CMD_FILTER: u16 = 1;
    const IORING_OP_SOCKET: u32 = 45;
    io_uring_register_filter(Some(&Registration {
        command: IO_URING_BPF_CMD_FILTER,
        command_flags: 0,
        reserved: 0,
        opcode: IORING_OP_SOCKET,
        flags: 0,
        filter_length: u32::try_from(filter.len()).map_err(|_| Errno::EINVAL)?,
        details_size,
        reserved_too: [0; 3],
        filter: filter.as_ptr().expose_provenance() as u64,
        reserved_last: [0; 5],
    }))
}

/// The same without a structure: what the kernel says to that.
pub fn io_uring_filter_nothing() -> nix::Result<()> {
    io_uring_register_filter(None)
}

fn io_uring_register_filter(registration: Option<&Registration>) -> nix::Result<()> {
    const IORING_REGISTER_BPF_FILTER: libc::c_uint = 37;
    /// For the task, not for one ring.
    const NO_RING: libc::c_int = -1;
    let registration = registration.map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: this operation reads one structure, and copies it and the filter that it names; both live in our callers. What
    // cannot be read is EFAULT.
    let outcome =
        unsafe { libc::syscall(libc::SYS_io_uring_register, NO_RING, IORING_REGISTER_BPF_FILTER, registration, 1) };
    Errno::result(outcome).map(drop)
}

/// Asks a ring for a socket (5.19), and waits for the answer.
pub fn ask_for_socket(ring: &mut IoUring, domain: libc::c_int, kind: libc::c_int) -> std::io::Result<()> {
    let wanted = opcode::Socket::new(domain, kind, 0).build();
    // SAFETY: the entry names no memory.
    unsafe { ring.submission().push(&wanted) }.map_err(std::io::Error::other)?;
    ring.submit_and_wait(1).map(drop)
}

/// A page that nobody uses.
pub struct Page(*mut libc::c_void);

impl Page {
    const SIZE: usize = 4096;

    /// Of memory.
    pub fn new(rights: libc::c_int) -> nix::Result<Self> {
        Self::map(rights, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1)
    }

    /// Of a file.
    pub fn of_file(file: BorrowedFd, rights: libc::c_int) -> nix::Result<Self> {
        Self::map(rights, libc::MAP_PRIVATE, file.as_raw_fd())
    }

    fn map(rights: libc::c_int, flags: libc::c_int, fd: RawFd) -> nix::Result<Self> {
        // SAFETY: the kernel chooses a place where nothing is.
        match unsafe { libc::mmap(null_mut(), Self::SIZE, rights, flags, fd, 0) } {
            libc::MAP_FAILED => Err(Errno::last()),
            page => Ok(Self(page)),
        }
    }

    /// mprotect(2).
    pub fn protect(&self, rights: libc::c_int) -> nix::Result<()> {
        // SAFETY: the page is ours, and nothing is in it.
        Errno::result(unsafe { libc::mprotect(self.0, Self::SIZE, rights) }).map(drop)
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: ours, and nothing refers to it.
        unsafe { libc::munmap(self.0, Self::SIZE) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_structure_has_the_kernels_size() {
        assert_eq!(size_of::<Registration>(), 72);
        assert_eq!(std::mem::offset_of!(Registration, filter), 24);
    }
}

//! System calls that neither libc's functions, nor the standard library, nor nix wrap: numbers and errors as the kernel
//! has them. And fnmatch(3), which nix does not wrap either.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

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

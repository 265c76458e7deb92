//! bpf(2): loads a program, tells its id, and pins it. What the program does is written elsewhere.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;

use crate::asm::{Instruction, Program};
use crate::memlock::with_memlock;

/// Where on a cgroup a program runs: `enum bpf_prog_type` and `enum bpf_attach_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hook {
    program_type: u32,
    pub(crate) attach_type: u32,
}

impl Hook {
    /// When an inet socket is made (4.10).
    pub const SOCK_CREATE: Hook = Hook { program_type: 9, attach_type: 2 };
    /// When a packet has come for a socket (4.10).
    pub const INGRESS: Hook = Hook { program_type: 8, attach_type: 0 };
    /// When a socket's packet leaves by a device (4.10).
    pub const EGRESS: Hook = Hook { program_type: 8, attach_type: 1 };
    /// When an inet socket is bound to an address (4.17).
    pub const BIND4: Hook = Hook::of_address(8);
    /// The same for IPv6.
    pub const BIND6: Hook = Hook::of_address(9);
    /// When an inet socket connects (4.17).
    pub const CONNECT4: Hook = Hook::of_address(10);
    /// The same for IPv6.
    pub const CONNECT6: Hook = Hook::of_address(11);
    /// When a UDP socket sends to an address (4.18).
    pub const SENDMSG4: Hook = Hook::of_address(14);
    /// The same for IPv6.
    pub const SENDMSG6: Hook = Hook::of_address(15);
    /// When a process calls setsockopt(2) (5.3).
    pub const SETSOCKOPT: Hook = Hook { program_type: 25, attach_type: 22 };

    const fn of_address(attach_type: u32) -> Hook {
        Hook { program_type: 18, attach_type }
    }
}

const BPF_PROG_LOAD: libc::c_long = 5;
/// BPF_F_ANY_ALIGNMENT (5.0)
const ANY_ALIGNMENT: u32 = 1 << 1;
const BPF_OBJ_PIN: libc::c_long = 6;
const BPF_OBJ_GET_INFO_BY_FD: libc::c_long = 15;
/// What the programs are called unless they have a name of their own.
const NAME: &[u8] = b"vrfrun";

/// The part of `union bpf_attr` for BPF_PROG_LOAD, up to what 4.17 knows.
#[repr(C)]
#[derive(Clone, Default)]
struct LoadAttributes {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
    prog_ifindex: u32,
    expected_attach_type: u32,
}

impl LoadAttributes {
    fn of(hook: Hook, instructions: &[Instruction], program_name: &[u8]) -> Self {
        Self {
            prog_type: hook.program_type,
            insn_cnt: instructions.len() as u32,
            insns: instructions.as_ptr().expose_provenance() as u64,
            license: c"GPL".as_ptr().expose_provenance() as u64,
            // Where a machine reads aligned words only (riscv64), the verifier takes the value of an option for a packet, whose
            // words are not; the kernel has it in memory of its own, at the beginning of which every word is.
            prog_flags: if hook == Hook::SETSOCKOPT { ANY_ALIGNMENT } else { 0 },
            prog_name: name(program_name),
            expected_attach_type: hook.attach_type,
            ..Self::default()
        }
    }
}

/// The beginning of `struct bpf_prog_info`.
#[repr(C)]
#[derive(Default)]
struct ProgramInfo {
    program_type: u32,
    id: u32,
}

/// The part of `union bpf_attr` for BPF_OBJ_GET_INFO_BY_FD.
#[repr(C)]
struct InfoAttributes {
    fd: u32,
    length: u32,
    info: u64,
}

/// The part of `union bpf_attr` for BPF_OBJ_PIN.
#[repr(C)]
struct PinAttributes {
    pathname: u64,
    bpf_fd: u32,
    file_flags: u32,
}

/// Loads a program. Before 5.11 its page counts against RLIMIT_MEMLOCK, which is raised for the moment if need be.
///
/// # Errors
/// EPERM without CAP_BPF and CAP_NET_ADMIN, ENOSYS without bpf(2), EINVAL where the kernel lacks what the program uses,
/// ENOEXEC for a program with a bad label; else as bpf(2).
pub fn load(hook: Hook, program: &Program) -> nix::Result<OwnedFd> {
    load_as(hook, program, NAME)
}

/// The same under a name by which it can be found again.
pub(crate) fn load_as(hook: Hook, program: &Program, program_name: &[u8]) -> nix::Result<OwnedFd> {
    let code = program.finish().map_err(|_| Errno::ENOEXEC)?;
    with_memlock(|| load_once(hook, &code, program_name))
}

fn load_once(hook: Hook, instructions: &[Instruction], program_name: &[u8]) -> nix::Result<OwnedFd> {
    let mut attributes = LoadAttributes::of(hook, instructions, program_name);
    // SAFETY: the attributes name live instructions and a live licence string, and the kernel copies both.
    unsafe { bpf_fd(BPF_PROG_LOAD, &mut attributes) }
}

/// What the kernel's verifier says of a program, for tests. Empty if it says nothing.
///
/// # Errors
/// As [`load`], if there is not even a word on why.
pub fn verifier_log(hook: Hook, program: &Program) -> nix::Result<String> {
    let code = program.finish().map_err(|_| Errno::ENOEXEC)?;
    let mut log = vec![0u8; 1 << 20];
    let attributes = LoadAttributes {
        log_level: 1,
        log_size: log.len() as u32,
        log_buf: log.as_mut_ptr().expose_provenance() as u64,
        ..LoadAttributes::of(hook, &code, NAME)
    };
    // SAFETY: as for `load_once`; the kernel writes at most `log_size` bytes into a live vector.
    let outcome = with_memlock(|| unsafe { bpf_fd(BPF_PROG_LOAD, &mut attributes.clone()) });
    let text = String::from_utf8_lossy(log.split(|&byte| byte == 0).next().unwrap_or_default()).into_owned();
    if text.is_empty() { outcome.map(|_| text) } else { Ok(text) }
}

/// A name as the kernel keeps it: 15 bytes and a NUL.
pub(crate) fn name(text: &[u8]) -> [u8; 16] {
    std::array::from_fn(|at| text.get(at).copied().filter(|_| at < 15).unwrap_or(0))
}

/// The id of a program (4.13): no other gets it while the program is there, nor for a long time after.
///
/// # Errors
/// As bpf(2).
pub fn program_id(program: impl AsFd) -> nix::Result<u32> {
    let mut info = ProgramInfo::default();
    object_info(program.as_fd().as_raw_fd(), &mut info)?;
    Ok(info.id)
}

/// Asks for the beginning of the structure that describes a program or a map.
pub(crate) fn object_info<T>(fd: RawFd, info: &mut T) -> nix::Result<()> {
    let (length, info) = (size_of::<T>() as u32, (&raw mut *info).expose_provenance() as u64);
    let mut attributes = InfoAttributes { fd: fd as u32, length, info };
    // SAFETY: the kernel writes at most `length` bytes into a live structure of numbers.
    unsafe { bpf(BPF_OBJ_GET_INFO_BY_FD, &mut attributes) }.map(drop)
}

/// Gives a program a name in bpffs, which keeps it.
///
/// # Errors
/// EEXIST where there is something, EPERM where this is no bpffs; else as bpf(2).
pub fn pin(program: impl AsFd, path: &CStr) -> nix::Result<()> {
    let bpf_fd = program.as_fd().as_raw_fd() as u32;
    let mut attributes = PinAttributes { pathname: path.as_ptr().addr() as u64, bpf_fd, file_flags: 0 };
    // SAFETY: the attributes name a live C string, which the kernel only reads.
    unsafe { bpf(BPF_OBJ_PIN, &mut attributes) }.map(drop)
}

/// A command that makes a descriptor.
///
/// # Safety
/// As for [`bpf`].
pub(crate) unsafe fn bpf_fd<T>(command: libc::c_long, attributes: &mut T) -> nix::Result<OwnedFd> {
    // SAFETY: the caller answers for the addresses; the descriptor is the kernel's new one (close-on-exec) and ours.
    unsafe { bpf(command, attributes).map(|fd| OwnedFd::from_raw_fd(fd as i32)) }
}

/// # Safety
/// Every address in the attributes must be live for the call, and writable where the command writes.
pub(crate) unsafe fn bpf<T>(command: libc::c_long, attributes: &mut T) -> nix::Result<libc::c_long> {
    let size = size_of::<T>();
    // SAFETY: the kernel reads, and for some commands writes, `size` bytes of a live structure; the caller answers for
    // the addresses in it.
    Errno::result(unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut *attributes, size) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_structures_have_the_kernels_sizes() {
        assert_eq!((size_of::<Instruction>(), size_of::<LoadAttributes>(), size_of::<PinAttributes>()), (8, 72, 16));
    }

    #[test]
    fn a_name_keeps_its_nul() {
        assert_eq!(&name(b"sixteen letters!"), b"sixteen letters\0");
        assert_eq!(&name(b"vrfrun")[..8], b"vrfrun\0\0");
    }
}

//! bpf(2): loads a program, attaches it to a cgroup or pins it. What the program does is written elsewhere.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};

/// One instruction: `struct bpf_insn`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// The operation.
    pub code: u8,
    /// The source register in the high half, the destination in the low one.
    pub registers: u8,
    /// Where to: a distance in instructions, or an offset in memory.
    pub offset: i16,
    /// A number.
    pub immediate: i32,
}

/// Writes an instruction in the order of the kernel's own documentation.
pub const fn op(code: u8, destination: u8, source: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction { code, registers: source << 4 | destination, offset, immediate }
}

/// Where on a cgroup a program runs: `enum bpf_prog_type` and `enum bpf_attach_type`.
#[derive(Clone, Copy, Debug)]
pub struct Hook {
    program_type: u32,
    attach_type: u32,
}

impl Hook {
    /// When an inet socket is made (4.10).
    pub const SOCK_CREATE: Hook = Hook { program_type: 9, attach_type: 2 };
    /// When a process calls setsockopt(2) (5.3).
    pub const SETSOCKOPT: Hook = Hook { program_type: 25, attach_type: 22 };
    /// When a socket's packet leaves by a device (4.10).
    pub const EGRESS: Hook = Hook { program_type: 8, attach_type: 1 };
}

const BPF_PROG_LOAD: libc::c_long = 5;
const BPF_OBJ_PIN: libc::c_long = 6;
const BPF_PROG_ATTACH: libc::c_long = 8;
const BPF_F_ALLOW_MULTI: u32 = 2;

/// The part of `union bpf_attr` for BPF_PROG_LOAD, up to what 4.17 knows.
#[repr(C)]
#[derive(Default)]
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

/// The part of `union bpf_attr` for BPF_PROG_ATTACH.
#[repr(C)]
struct AttachAttributes {
    target_fd: u32,
    attach_bpf_fd: u32,
    attach_type: u32,
    attach_flags: u32,
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
/// EPERM without CAP_BPF and CAP_NET_ADMIN, ENOSYS without bpf(2); else as bpf(2).
pub fn load(hook: Hook, instructions: &[Instruction]) -> nix::Result<OwnedFd> {
    with_memlock(|| load_once(hook, instructions))
}

fn load_once(hook: Hook, instructions: &[Instruction]) -> nix::Result<OwnedFd> {
    let mut attributes = LoadAttributes {
        prog_type: hook.program_type,
        insn_cnt: instructions.len() as u32,
        insns: instructions.as_ptr().addr() as u64,
        license: c"GPL".as_ptr().addr() as u64,
        prog_name: name(b"vrfrun"),
        expected_attach_type: hook.attach_type,
        ..LoadAttributes::default()
    };
    // SAFETY: the attributes name live instructions and a live licence string, and the kernel copies both.
    unsafe { bpf_fd(BPF_PROG_LOAD, &mut attributes) }
}

/// A name as the kernel keeps it: 15 bytes and a NUL.
pub(crate) fn name(text: &[u8]) -> [u8; 16] {
    std::array::from_fn(|at| text.get(at).copied().filter(|_| at < 15).unwrap_or(0))
}

/// Does what EPERM may keep from being done for want of lockable memory.
pub(crate) fn with_memlock<T>(work: impl Fn() -> nix::Result<T>) -> nix::Result<T> {
    match work() {
        Err(Errno::EPERM) => {
            let (soft, hard) = getrlimit(Resource::RLIMIT_MEMLOCK)?;
            setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY)?;
            let outcome = work();
            setrlimit(Resource::RLIMIT_MEMLOCK, soft, hard)?;
            outcome
        }
        outcome => outcome,
    }
}

/// Attaches it for as long as the cgroup lives. ALLOW_MULTI: a program that is already there stays.
///
/// # Errors
/// EPERM where a program of an ancestor allows no other below it; else as bpf(2).
pub fn attach(hook: Hook, program: impl AsFd, cgroup: impl AsFd) -> nix::Result<()> {
    let mut attributes = AttachAttributes {
        target_fd: cgroup.as_fd().as_raw_fd() as u32,
        attach_bpf_fd: program.as_fd().as_raw_fd() as u32,
        attach_type: hook.attach_type,
        attach_flags: BPF_F_ALLOW_MULTI,
    };
    // SAFETY: plain numbers in a structure of the kernel's layout.
    unsafe { bpf(BPF_PROG_ATTACH, &mut attributes) }.map(drop)
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
        assert_eq!((size_of::<Instruction>(), size_of::<LoadAttributes>(), size_of::<AttachAttributes>()), (8, 72, 16));
        assert_eq!(size_of::<PinAttributes>(), 16);
    }

    #[test]
    fn a_name_keeps_its_nul() {
        assert_eq!(&name(b"sixteen letters!"), b"sixteen letters\0");
        assert_eq!(&name(b"vrfrun")[..8], b"vrfrun\0\0");
    }
}

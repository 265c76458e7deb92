//! Mechanism `bpf`: a cgroup of our own, and a program on it that binds each inet socket when it is made.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};

use crate::cgroup::{self, Group};
use crate::device::Device;
use crate::kernel;
use crate::netns;
use crate::proof;
use crate::refusal::Refusal;

/// A concurrent run may remove the empty directory before we are in it; more often than this it is something else.
const TRIES: usize = 8;

/// Joins the device's cgroup and proves that its sockets are bound; otherwise this process is back where it was.
pub fn engage(device: &Device) -> Result<(), Refusal> {
    let base = cgroup::locate()?;
    let inode = netns::inode().map_err(Refusal::kernel("read the network namespace"))?;
    let name = cgroup::directory_name(device, inode);
    for _ in 0..TRIES {
        let group = base.make(&name)?;
        match group.join() {
            Ok(()) => return bind(device, &group).inspect_err(|_| group.leave()),
            Err(Errno::ENOENT | Errno::ENODEV) => {}
            Err(errno) => {
                group.remove();
                return Err(Refusal::kernel("join a cgroup")(errno));
            }
        }
    }
    Err(Refusal::new("another process keeps removing the cgroup"))
}

/// Removes the device's cgroup if nobody is in it.
pub fn remove_empty(device: &Device) {
    if let (Ok(base), Ok(inode)) = (cgroup::locate(), netns::inode()) {
        base.remove(&cgroup::directory_name(device, inode));
    }
}

/// In the cgroup: a program that is already there and works is enough; else attach ours.
fn bind(device: &Device, group: &Group) -> Result<(), Refusal> {
    if !group.is_new() && proof::is_bound(device).is_ok() {
        return Ok(());
    }
    let program = load(&instructions(device.ifindex, netns_cookie()))?;
    attach(&program, group)?;
    proof::is_bound(device).map_err(|refusal| explain_failure(refusal, kernel::release()))?;
    group.remove_empty_siblings();
    Ok(())
}

/// The program is attached, and yet sockets are not bound: say what is known to do that.
fn explain_failure(refusal: Refusal, release: kernel::Release) -> Refusal {
    if refusal.why.ends_with("stayed unbound") {
        if release < (5, 14) {
            return Refusal::new(format!(
                "{}: before Linux 5.15 any use of cgroup v1 net_cls or net_prio disables it, and before 5.14 a network \
                 namespace other than the first",
                refusal.why
            ));
        }
        if release < (5, 15) {
            return Refusal::new(format!("{}: net_cls or net_prio of cgroup v1 is in use (Linux 5.15)", refusal.why));
        }
    }
    refusal
}

/// One instruction: `struct bpf_insn`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    code: u8,
    /// The source register in the high half, the destination in the low one.
    registers: u8,
    offset: i16,
    immediate: i32,
}

const BPF_FUNC_GET_NETNS_COOKIE: i32 = 122;
const BOUND_DEV_IF: i16 = 0; // offset in struct bpf_sock

const fn op(code: u8, destination: u8, source: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction { code, registers: source << 4 | destination, offset, immediate }
}

/// The program: a socket of our network namespace is bound to the device, one of any other is left alone (an ifindex
/// means another device there). Without a cookie (before 5.14) ours must be the initial network namespace.
pub fn instructions(ifindex: u32, cookie: Option<u64>) -> Vec<Instruction> {
    let ours = match cookie {
        Some(cookie) => vec![
            op(0x18, 7, 0, 0, cookie as i32), // r7 = cookie, in two slots
            op(0x00, 0, 0, 0, (cookie >> 32) as i32),
        ],
        None => vec![
            op(0xb7, 1, 0, 0, 0), // r1 = NULL: the initial network namespace
            op(0x85, 0, 0, 0, BPF_FUNC_GET_NETNS_COOKIE),
            op(0xbf, 7, 0, 0, 0), // r7 = r0
        ],
    };
    let mut program = vec![op(0xbf, 6, 1, 0, 0)]; // r6 = the socket
    program.extend(ours);
    program.extend([
        op(0xbf, 1, 6, 0, 0), // r1 = the socket
        op(0x85, 0, 0, 0, BPF_FUNC_GET_NETNS_COOKIE),
        op(0x5d, 0, 7, 2, 0),              // if r0 != r7, over the next two
        op(0xb4, 2, 0, 0, ifindex as i32), // w2 = ifindex
        op(0x63, 6, 2, BOUND_DEV_IF, 0),   // socket.bound_dev_if = w2
        op(0xb7, 0, 0, 0, 1),              // r0 = 1: go on
        op(0x95, 0, 0, 0, 0),              // return
    ]);
    program
}

/// The number of the current network namespace (SO_NETNS_COOKIE, 5.14).
fn netns_cookie() -> Option<u64> {
    const SO_NETNS_COOKIE: libc::c_int = 71;
    let socket = nix::sys::socket::socket(
        nix::sys::socket::AddressFamily::Unix,
        nix::sys::socket::SockType::Datagram,
        nix::sys::socket::SockFlag::SOCK_CLOEXEC,
        None,
    )
    .ok()?;
    let (mut cookie, mut length) = (0u64, size_of::<u64>() as libc::socklen_t);
    // SAFETY: the kernel writes at most eight bytes into a live u64.
    let result = unsafe {
        let value = (&raw mut cookie).cast();
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, SO_NETNS_COOKIE, value, &raw mut length)
    };
    (result == 0).then_some(cookie)
}

const BPF_PROG_LOAD: libc::c_long = 5;
const BPF_PROG_ATTACH: libc::c_long = 8;
const BPF_PROG_TYPE_CGROUP_SOCK: u32 = 9;
const BPF_CGROUP_INET_SOCK_CREATE: u32 = 2;
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

/// Loads the program. Before 5.11 its page counts against RLIMIT_MEMLOCK, which is raised for the moment if need be.
fn load(instructions: &[Instruction]) -> Result<OwnedFd, Refusal> {
    let outcome = match load_once(instructions) {
        Err(Errno::EPERM) => with_unlimited_memlock(|| load_once(instructions)),
        other => other,
    };
    outcome.map_err(|errno| match errno {
        Errno::EPERM => Refusal::new("loading a BPF program needs CAP_BPF and CAP_NET_ADMIN"),
        Errno::ENOSYS => Refusal::new("the kernel has no bpf(2)"),
        errno => Refusal::kernel("load the BPF program")(errno),
    })
}

fn load_once(instructions: &[Instruction]) -> nix::Result<OwnedFd> {
    let mut name = [0; 16];
    name[..6].copy_from_slice(b"vrfrun");
    let attributes = LoadAttributes {
        prog_type: BPF_PROG_TYPE_CGROUP_SOCK,
        insn_cnt: instructions.len() as u32,
        insns: instructions.as_ptr().addr() as u64,
        license: c"GPL".as_ptr().addr() as u64,
        prog_name: name,
        expected_attach_type: BPF_CGROUP_INET_SOCK_CREATE,
        ..LoadAttributes::default()
    };
    // SAFETY: the attributes name live instructions and a live licence string, and the kernel copies both.
    let fd = unsafe { bpf(BPF_PROG_LOAD, &attributes) }?;
    // SAFETY: the kernel just made this descriptor (close-on-exec), nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

fn with_unlimited_memlock<T>(work: impl FnOnce() -> nix::Result<T>) -> nix::Result<T> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_MEMLOCK)?;
    setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY)?;
    let outcome = work();
    setrlimit(Resource::RLIMIT_MEMLOCK, soft, hard)?;
    outcome
}

/// Attaches it for as long as the cgroup lives. ALLOW_MULTI: a program that is already there stays.
fn attach(program: &OwnedFd, group: &Group) -> Result<(), Refusal> {
    let attributes = AttachAttributes {
        target_fd: group.as_raw_fd() as u32,
        attach_bpf_fd: program.as_raw_fd() as u32,
        attach_type: BPF_CGROUP_INET_SOCK_CREATE,
        attach_flags: BPF_F_ALLOW_MULTI,
    };
    // SAFETY: plain numbers in a structure of the kernel's layout.
    let result = unsafe { bpf(BPF_PROG_ATTACH, &attributes) };
    result.map(drop).map_err(|errno| match errno {
        Errno::EPERM => Refusal::new("an ancestor cgroup has a BPF program that allows no other below it"),
        errno => Refusal::kernel("attach the BPF program")(errno),
    })
}

/// # Safety
/// Every address in the attributes must be live for the call.
unsafe fn bpf<T>(command: libc::c_long, attributes: &T) -> nix::Result<libc::c_long> {
    let size = size_of::<T>();
    // SAFETY: the kernel reads `size` bytes of a live structure; the caller answers for the addresses in it.
    Errno::result(unsafe { libc::syscall(libc::SYS_bpf, command, &raw const *attributes, size) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_structures_have_the_kernels_sizes() {
        assert_eq!((size_of::<Instruction>(), size_of::<LoadAttributes>(), size_of::<AttachAttributes>()), (8, 72, 16));
    }

    #[test]
    fn a_foreign_network_namespace_jumps_over_the_binding() {
        let program = instructions(7, Some(0x1_0000_0002));
        let test = program.iter().position(|step| step.code == 0x5d).unwrap();
        let store = program.iter().position(|step| step.code == 0x63).unwrap();
        assert!(store > test && store <= test + program[test].offset as usize);
        assert_eq!((program[1].immediate, program[2].immediate), (2, 1));
    }

    #[test]
    fn what_old_kernels_do_is_named() {
        let unbound = || Refusal::new("an IPv4 socket stayed unbound");
        assert!(explain_failure(unbound(), (5, 10)).why.contains("net_cls"));
        assert_eq!(explain_failure(unbound(), (6, 1)), unbound());
    }
}

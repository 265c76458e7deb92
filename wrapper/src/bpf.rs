//! Mechanism `bpf`: a cgroup of our own, and a program on it that binds each inet socket when it is made.

use std::os::fd::AsRawFd;

use nix::errno::Errno;

use crate::bpf_call::{Hook, Instruction, attach, load, op};
use crate::cgroup::{self, Group};
use crate::device::Device;
use crate::kernel;
use crate::netns;
use crate::proof;
use crate::refusal::Refusal;
use crate::strict;

/// A concurrent run may remove the empty directory before we are in it; more often than this it is something else.
const TRIES: usize = 8;

/// Joins the device's cgroup and proves that its sockets are bound, and under `--strict` that they stay it; otherwise
/// this process is back where it was.
pub fn engage(device: &Device, is_strict: bool) -> Result<(), Refusal> {
    let base = cgroup::locate()?;
    let inode = netns::inode().map_err(Refusal::kernel("read the network namespace"))?;
    let name = cgroup::directory_name(device, inode, is_strict);
    for _ in 0..TRIES {
        let group = base.make(&name)?;
        match group.join() {
            Ok(()) => return bind(device, &group, is_strict).inspect_err(|_| group.leave()),
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
pub fn remove_empty(device: &Device, is_strict: bool) {
    if let (Ok(base), Ok(inode)) = (cgroup::locate(), netns::inode()) {
        base.remove(&cgroup::directory_name(device, inode, is_strict));
    }
}

/// In the cgroup: programs that are already there and work are enough; else attach ours.
fn bind(device: &Device, group: &Group, is_strict: bool) -> Result<(), Refusal> {
    let prove = || proof::is_bound(device).and_then(|()| if is_strict { strict::prove(device) } else { Ok(()) });
    if !group.is_new() && prove().is_ok() {
        return if is_strict { strict::refresh(device) } else { Ok(()) };
    }
    let program = load(Hook::SOCK_CREATE, &instructions(device.ifindex, netns_cookie()))?;
    attach(Hook::SOCK_CREATE, &program, group)?;
    if is_strict {
        strict::guard(device, group)?;
    }
    prove().map_err(|refusal| explain_failure(refusal, kernel::release()))?;
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

const BPF_FUNC_GET_NETNS_COOKIE: i32 = 122;
// Offsets in struct bpf_sock.
const BOUND_DEV_IF: i16 = 0;
const PROTOCOL: i16 = 12;
const IPPROTO_MPTCP: i32 = 262;

/// The program: a socket of our network namespace is bound to the device, one of any other is left alone (an ifindex
/// means another device there). MPTCP is refused: the socket would be bound, but not the inner one that sends. Without a cookie (before 5.14) ours must be the initial network namespace.
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
        op(0x5d, 0, 7, 6, 0),              // if r0 != r7, over the next six
        op(0x61, 1, 6, PROTOCOL, 0),       // w1 = socket.protocol
        op(0x55, 1, 0, 2, IPPROTO_MPTCP),  // if w1 == MPTCP:
        op(0xb7, 0, 0, 0, 0),              //     r0 = 0: the call fails with EPERM
        op(0x95, 0, 0, 0, 0),              //     return
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

#[cfg(test)]
mod tests {
    use super::*;

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

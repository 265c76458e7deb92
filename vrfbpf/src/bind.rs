//! The program that binds each new inet socket of a cgroup to a device.

use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;

use crate::call::{Instruction, op};

const BPF_FUNC_GET_NETNS_COOKIE: i32 = 122;
// Offsets in struct bpf_sock.
const BOUND_DEV_IF: i16 = 0;
const PROTOCOL: i16 = 12;
const IPPROTO_MPTCP: i32 = 262;

/// The program: a socket of our network namespace is bound to the device, one of any other is left alone (an index
/// means another device there). MPTCP is refused: the socket would be bound, but not the inner one that sends. Without
/// a cookie (before 5.14) ours must be the initial network namespace.
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
pub fn netns_cookie() -> Option<u64> {
    const SO_NETNS_COOKIE: libc::c_int = 71;
    let socket = UnixDatagram::unbound().ok()?;
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
        for cookie in [None, Some(0x1_0000_0002)] {
            let program = instructions(7, cookie);
            let test = program.iter().position(|step| step.code == 0x5d).unwrap();
            let store = program.iter().position(|step| step.code == 0x63).unwrap();
            let target = test + 1 + program[test].offset as usize;
            assert!(store > test && store < target, "{program:?}");
            assert_eq!((program[target].code, program[target].immediate), (0xb7, 1), "it goes on");
        }
    }

    #[test]
    fn the_cookie_stands_in_two_slots() {
        let program = instructions(7, Some(0x1_0000_0002));
        assert_eq!((program[1].immediate, program[2].immediate), (2, 1));
    }
}

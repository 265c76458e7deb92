//! Pins a program that binds each new inet socket of a cgroup to a VRF, for BPFProgram= of systemd 249 to 259.
//!
//! The one file with unsafe code in this crate: bpf(2) and SO_NETNS_COOKIE have no safe wrapper that is not a loader of
//! ELF objects.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

use crate::error::Error;
use crate::kernel::{Kernel, Refusal};
use crate::process::PINNED;

const BPF_PROG_LOAD: libc::c_int = 5;
const BPF_OBJ_PIN: libc::c_int = 6;
const BPF_PROG_TYPE_CGROUP_SOCK: u32 = 9;
const BPF_CGROUP_INET_SOCK_CREATE: u32 = 2;
const BPF_FUNC_GET_NETNS_COOKIE: i32 = 122;
const SO_NETNS_COOKIE: libc::c_int = 71;
/// Before this, BPF_FUNC_get_netns_cookie and expected_attach_type apart, the structure was shorter; the kernel takes
/// any length whose excess is zero.
const ATTRIBUTES: usize = 128;

/// Pins the program of this VRF, in place of an older one.
///
/// # Errors
/// There is no such VRF, bpffs is not mounted, or the kernel refused.
pub fn pin(kernel: &Kernel, vrf: &str) -> Result<(), Error> {
    let link = kernel.link(vrf).map_err(|_| Error::NoSuchLink(vrf.to_owned()))?;
    let path = Path::new(PINNED).join(vrf);
    let refused = |error: io::Error| Error::file(&path, &error);
    let program = load(&instructions(link.ifindex, netns_cookie())).map_err(|error| Error::Refused {
        step: format!("load a program for {vrf}"),
        refusal: Refusal::from_io(&error),
    })?;
    fs::create_dir_all(PINNED).map_err(refused)?;
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(refused(error)),
        _ => {}
    }
    pin_at(&program, &path).map_err(refused)
}

/// One instruction: `struct bpf_insn`.
const fn op(code: u8, registers: u8, offset: i16, immediate: i32) -> [u8; 8] {
    let (offset, immediate) = (offset.to_ne_bytes(), immediate.to_ne_bytes());
    [code, registers, offset[0], offset[1], immediate[0], immediate[1], immediate[2], immediate[3]]
}

/// A socket of our network namespace is bound, one of any other left alone: an index means another device there.
/// Registers: the destination in the low half, the source in the high half.
fn instructions(ifindex: u32, cookie: Option<u64>) -> Vec<[u8; 8]> {
    let mut program = vec![op(0xbf, 0x16, 0, 0)]; // r6 = the socket
    match cookie {
        // r7 = the cookie, in two slots
        Some(cookie) => program.extend([op(0x18, 0x07, 0, cookie as i32), op(0, 0, 0, (cookie >> 32) as i32)]),
        // Before 5.14 ours must be the first: r1 = NULL asks for that.
        None => program.extend([
            op(0xb7, 0x01, 0, 0),
            op(0x85, 0, 0, BPF_FUNC_GET_NETNS_COOKIE),
            op(0xbf, 0x07, 0, 0), // r7 = r0
        ]),
    }
    program.extend([
        op(0xbf, 0x61, 0, 0), // r1 = the socket
        op(0x85, 0, 0, BPF_FUNC_GET_NETNS_COOKIE),
        op(0x5d, 0x70, 2, 0),              // if r0 != r7, over the next two
        op(0xb4, 0x02, 0, ifindex as i32), // w2 = ifindex
        op(0x63, 0x26, 0, 0),              // socket.bound_dev_if = w2
        op(0xb7, 0x00, 0, 1),              // r0 = 1: go on
        op(0x95, 0, 0, 0),                 // return
    ]);
    program
}

fn load(program: &[[u8; 8]]) -> io::Result<OwnedFd> {
    let license = c"GPL";
    let mut attributes = [0u8; ATTRIBUTES];
    put(&mut attributes, 0, &BPF_PROG_TYPE_CGROUP_SOCK.to_ne_bytes());
    put(&mut attributes, 4, &(program.len() as u32).to_ne_bytes());
    put(&mut attributes, 8, &(program.as_ptr() as u64).to_ne_bytes());
    put(&mut attributes, 16, &(license.as_ptr() as u64).to_ne_bytes());
    put(&mut attributes, 68, &BPF_CGROUP_INET_SOCK_CREATE.to_ne_bytes());
    let fd = bpf(BPF_PROG_LOAD, &attributes)?;
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn pin_at(program: &OwnedFd, path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_encoded_bytes())?;
    let mut attributes = [0u8; ATTRIBUTES];
    put(&mut attributes, 0, &(path.as_ptr() as u64).to_ne_bytes());
    put(&mut attributes, 8, &program.as_raw_fd().to_ne_bytes());
    bpf(BPF_OBJ_PIN, &attributes).map(drop)
}

fn put(attributes: &mut [u8; ATTRIBUTES], at: usize, bytes: &[u8]) {
    attributes[at..at + bytes.len()].copy_from_slice(bytes);
}

fn bpf(command: libc::c_int, attributes: &[u8; ATTRIBUTES]) -> io::Result<i32> {
    // SAFETY: the kernel reads at most this many bytes of `attributes`; the program, licence and path that they point
    // to belong to the caller's frame and outlive the call.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attributes.as_ptr(), ATTRIBUTES) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result as i32) }
}

/// The number of our network namespace (5.14).
fn netns_cookie() -> Option<u64> {
    let socket = std::os::unix::net::UnixDatagram::unbound().ok()?;
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
            let test = program.iter().position(|step| step[0] == 0x5d).unwrap();
            let store = program.iter().position(|step| step[0] == 0x63).unwrap();
            assert_eq!((store, program[test][2]), (test + 2, 2));
        }
    }
}

//! `--strict`: two more programs on the cgroup, which deny a program's own ways out of the VRF.
//!
//! A socket that is bound stays bound (SO_BINDTODEVICE, SO_BINDTOIFINDEX), and no packet of it leaves by a device
//! outside the VRF, whatever IP_PKTINFO asked for. What another process does for the program is not covered, nor are
//! the kernel's own packets (IGMP).

mod ports;
mod programs;

use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use vrfbpf::Hook;

use crate::bind::bpf::cgroup::Group;
use crate::bind::bpf::program::{attach, load};
use crate::error::unavailable::Unavailable;
use crate::sys::socket;
use crate::vrf::device::Device;
use programs::{egress, setsockopt};

/// The index of `lo` in every network namespace.
const LOOPBACK: i32 = 1;

/// Puts the programs on the cgroup.
pub fn guard(device: &Device, group: &Group) -> Result<(), Unavailable> {
    // A cgroup may outlive the list of ports that it was made with: lists that are there are brought up to date too.
    refresh(device)?;
    let ports = ports::make(device)?;
    for (hook, program) in [
        (Hook::SETSOCKOPT, setsockopt(device.name_bytes(), device.ifindex)),
        (Hook::EGRESS, egress(device.ifindex, ports.as_raw_fd())),
    ] {
        attach(hook, &load(hook, &program)?, group)?;
    }
    Ok(())
}

/// Brings the lists of ports of all the VRF's strict cgroups up to date.
pub fn refresh(device: &Device) -> Result<(), Unavailable> {
    ports::refresh(device)
}

/// Tries the ways out with temporary sockets, which an ordinary socket of this process, bound by now, must not find.
pub fn verify(device: &Device) -> Result<(), Unavailable> {
    let socket = match datagram_socket() {
        Err(Errno::EAFNOSUPPORT) => return Ok(()), // the ways out are those of IPv4
        socket => socket.map_err(Unavailable::kernel("open an IPv4 socket"))?,
    };
    for (way, outcome) in [
        ("SO_BINDTODEVICE", set(&socket, libc::SO_BINDTODEVICE, b"\0")),
        ("SO_BINDTOIFINDEX", set(&socket, libc::SO_BINDTOIFINDEX, &0i32.to_ne_bytes())),
    ] {
        if outcome != Err(Errno::EPERM) {
            return Err(Unavailable::new(format!("{way} still unbinds a socket")));
        }
    }
    if device.ifindex == LOOPBACK as u32 {
        return Ok(());
    }
    match send_by_loopback(&socket) {
        Err(Errno::EPERM) => Ok(()),
        Ok(()) => Err(Unavailable::new("IP_PKTINFO still sends by another device")),
        Err(errno) => Err(Unavailable::kernel("try IP_PKTINFO")(errno).hint("ip link set lo up")),
    }
}

fn datagram_socket() -> nix::Result<OwnedFd> {
    socket::open(libc::AF_INET, libc::SOCK_DGRAM, 0)
}

fn set(socket: &OwnedFd, option: libc::c_int, value: &[u8]) -> nix::Result<()> {
    socket::set(socket, libc::SOL_SOCKET, option, value)
}

/// An empty datagram to this machine's own discard port, by `lo`: if it gets out, it gets nowhere.
fn send_by_loopback(socket: &OwnedFd) -> nix::Result<()> {
    socket::send_by(socket, LOOPBACK, [127, 0, 0, 1], 9)
}

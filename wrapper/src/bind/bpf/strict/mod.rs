//! `--strict`: two more programs on the cgroup, which deny a program's own ways out of the VRF.
//!
//! A socket that is bound stays bound (SO_BINDTODEVICE, SO_BINDTOIFINDEX), and no packet of it leaves by a device
//! outside the VRF, whatever IP_PKTINFO asked for. What another process does for the program is not covered, nor are
//! the kernel's own packets (IGMP).

mod ports;
mod programs;

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use vrfbpf::Hook;

use crate::bind::bpf::cgroup::Group;
use crate::bind::bpf::program::{attach, load};
use crate::error::unavailable::Refusal;
use crate::vrf::device::Device;
use programs::{egress, setsockopt};

/// The index of `lo` in every network namespace.
const LOOPBACK: i32 = 1;

/// Puts the programs on the cgroup.
pub fn guard(device: &Device, group: &Group) -> Result<(), Refusal> {
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
pub fn refresh(device: &Device) -> Result<(), Refusal> {
    ports::refresh(device)
}

/// Tries the ways out with throwaway sockets, which an ordinary socket of this process, bound by now, must not find.
pub fn prove(device: &Device) -> Result<(), Refusal> {
    let socket = match datagram_socket() {
        Err(Errno::EAFNOSUPPORT) => return Ok(()), // the ways out are those of IPv4
        socket => socket.map_err(Refusal::kernel("open an IPv4 socket"))?,
    };
    for (way, outcome) in [
        ("SO_BINDTODEVICE", set(&socket, libc::SO_BINDTODEVICE, b"\0")),
        ("SO_BINDTOIFINDEX", set(&socket, libc::SO_BINDTOIFINDEX, &0i32.to_ne_bytes())),
    ] {
        if outcome != Err(Errno::EPERM) {
            return Err(Refusal::new(format!("{way} still unbinds a socket")));
        }
    }
    if device.ifindex == LOOPBACK as u32 {
        return Ok(());
    }
    match send_by_loopback(&socket) {
        Err(Errno::EPERM) => Ok(()),
        Ok(()) => Err(Refusal::new("IP_PKTINFO still sends by another device")),
        Err(errno) => Err(Refusal::kernel("try IP_PKTINFO")(errno).hint("ip link set lo up")),
    }
}

fn datagram_socket() -> nix::Result<OwnedFd> {
    // SAFETY: three numbers.
    let fd = Errno::result(unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) })?;
    // SAFETY: the kernel just made this descriptor, nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn set(socket: &OwnedFd, option: libc::c_int, value: &[u8]) -> nix::Result<()> {
    let (value, length) = (value.as_ptr().cast(), value.len() as libc::socklen_t);
    // SAFETY: the kernel reads `length` bytes of a live slice.
    Errno::result(unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, value, length) }).map(drop)
}

/// An empty datagram to this machine's own discard port, by `lo`: if it gets out, it gets nowhere.
fn send_by_loopback(socket: &OwnedFd) -> nix::Result<()> {
    /// A control message of the kernel's layout, with its value.
    #[repr(C)]
    struct Control {
        header: libc::cmsghdr,
        value: libc::in_pktinfo,
    }
    // SAFETY: structures of numbers and pointers, for which zero is a value.
    let (mut address, mut control, mut message): (libc::sockaddr_in, Control, libc::msghdr) =
        unsafe { (std::mem::zeroed(), std::mem::zeroed(), std::mem::zeroed()) };
    address.sin_family = libc::AF_INET as libc::sa_family_t;
    address.sin_port = 9u16.to_be();
    address.sin_addr.s_addr = u32::from_ne_bytes([127, 0, 0, 1]);
    control.header.cmsg_len = size_of::<libc::cmsghdr>() + size_of::<libc::in_pktinfo>();
    control.header.cmsg_level = libc::IPPROTO_IP;
    control.header.cmsg_type = libc::IP_PKTINFO;
    control.value.ipi_ifindex = LOOPBACK;
    message.msg_name = (&raw mut address).cast();
    message.msg_namelen = size_of_val(&address) as libc::socklen_t;
    message.msg_control = (&raw mut control).cast();
    message.msg_controllen = size_of_val(&control);
    // SAFETY: the message points to live structures, with their sizes.
    Errno::result(unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_DONTWAIT) }).map(drop)
}

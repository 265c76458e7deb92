//! `--strict`: verifies that a program's own ways out of the VRF are denied: a socket that is bound stays bound
//! (SO_BINDTODEVICE, SO_BINDTOIFINDEX), and no packet leaves by a device outside the VRF, whatever IP_PKTINFO asks for.

use std::os::fd::OwnedFd;

use nix::errno::Errno;

use crate::bind::bpf::ports::LOOPBACK;
use crate::error::unavailable::Unavailable;
use crate::sys::socket;
use crate::vrf::device::Device;

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
    if device.ifindex == LOOPBACK {
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
    socket::send_by(socket, LOOPBACK as i32, [127, 0, 0, 1], 9)
}

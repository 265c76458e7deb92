//! Asks the kernel whether a device is there and is a VRF (`ip -d link show NAME`), and which device an index stands for.
//!
//! One request on a netlink socket of its own, answered into a buffer on the stack: nothing is kept between calls, since
//! devices come and go and their names are given again.

use crate::name::{self, Name};
use crate::sys::{self, Errno};
use core::ffi::c_int;
use vrfnl::link::{self, Link};
use vrfnl::{Message, Messages};

/// Small enough for a signal stack. The kernel tells master and kind within the first few hundred bytes; what does not
/// fit is cut off (it is mostly per-family settings).
const ANSWER: usize = 2048;

/// The routing table of a VRF: ENODEV if there is no such device, EINVAL if it is something else.
pub(crate) fn vrf_table(name: &Name) -> Result<u32, Errno> {
    find(name)?.vrf_table.ok_or(Errno(libc::EINVAL))
}

/// The VRF in which the packets of a socket travel that is bound to this device: the device itself, or the VRF whose
/// port it is. EINVAL if it is neither.
pub(crate) fn vrf_of_device(name: Name, socket: c_int) -> Result<Name, Errno> {
    let link = find(&name)?;
    if link.vrf_table.is_some() {
        return Ok(name);
    }
    if link.master == 0 {
        return Err(Errno(libc::EINVAL));
    }
    let master = sys::device_name(socket, link.master)?;
    vrf_table(&master).map(|_| master)
}

fn find(name: &Name) -> Result<Link, Errno> {
    let socket = sys::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::NETLINK_ROUTE, 0)?;
    let link = ask(socket, name);
    sys::close(socket);
    link
}

fn ask(socket: c_int, name: &Name) -> Result<Link, Errno> {
    let request = link::get(name.as_bytes()).ok_or(Errno(libc::ENODEV))?;
    sys::send(socket, request.as_bytes())?;
    let mut answer = [0; ANSWER];
    let len = sys::receive(socket, &mut answer)?;
    let answer = answer.get(..len).unwrap_or_default();
    match Messages(answer).next() {
        Some(Message::Data(_, body)) => link::parse(body).ok_or(Errno(libc::EPROTO)),
        Some(Message::Error(errno)) if errno > 0 => Err(Errno(errno)),
        _ => Err(Errno(libc::EPROTO)),
    }
}

const _: () = assert!(link::NAME_MAX + 1 == name::SIZE);

//! A datagram or raw socket is bound, and told the VRF a second time: `connect(AF_UNSPEC)` takes the binding away, and
//! what it sends then goes where these options say; IPv4 multicast does so always. An IPv6 socket sends IPv4 as well
//! (::ffff:192.0.2.1), except a raw one.
//!
//! The order is the kernel's: IPV6_UNICAST_IF is EINVAL once a socket is bound, and IP_MULTICAST_IF after that is EINVAL
//! for any device but the one it is bound to, so that a wrong index does not pass.

use crate::name::Name;
use crate::names;
use crate::sys::{self, Errno};
use core::ffi::c_int;
use core::sync::atomic::Ordering;
use vrfabi::socket::SOCK_TYPE;

const IP_UNICAST_IF: c_int = 50;
const IPV6_UNICAST_IF: c_int = 76;

/// Whether a socket sends packets one by one.
#[inline]
pub(crate) fn is_datagram(domain: c_int, kind: c_int) -> bool {
    matches!(domain, libc::AF_INET | libc::AF_INET6) && matches!(kind & SOCK_TYPE, libc::SOCK_DGRAM | libc::SOCK_RAW)
}

/// Binds the socket to the device; a datagram socket by the index that the device had when it was last looked up, or
/// has now if that is to be looked up again.
#[inline(always)]
pub(crate) fn bind(fd: c_int, domain: c_int, kind: c_int, name: &Name, looks_up: bool) -> Result<(), Errno> {
    if is_datagram(domain, kind) {
        index(fd, name, looks_up).and_then(|index| bind_datagram(fd, domain, kind, name, index))
    } else {
        sys::bind_to_device(fd, name)
    }
}

#[inline(never)]
fn index(socket: c_int, name: &Name, looks_up: bool) -> Result<u32, Errno> {
    let remembered = names::index(name);
    match remembered.map_or(0, |index| index.load(Ordering::Relaxed)) {
        index if index != 0 && !looks_up => Ok(index),
        _ => {
            let found = sys::device_index(socket, name)?;
            if let Some(index) = remembered {
                index.store(found, Ordering::Relaxed);
            }
            Ok(found)
        }
    }
}

fn bind_datagram(fd: c_int, domain: c_int, kind: c_int, name: &Name, index: u32) -> Result<(), Errno> {
    let is_raw6 = domain == libc::AF_INET6 && kind & SOCK_TYPE == libc::SOCK_RAW;
    if !is_raw6 {
        sys::set(fd, libc::IPPROTO_IP, IP_UNICAST_IF, &index.to_be_bytes())?;
    }
    if domain == libc::AF_INET6 {
        sys::set(fd, libc::IPPROTO_IPV6, IPV6_UNICAST_IF, &index.to_be_bytes())?;
    }
    sys::bind_to_device(fd, name)?;
    if domain == libc::AF_INET6 {
        sys::set(fd, libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_IF, &index.to_ne_bytes())?;
    }
    if is_raw6 {
        return Ok(());
    }
    // struct ip_mreqn: two addresses, and the index.
    let group = (u128::from(index) << 64).to_le_bytes();
    sys::set(fd, libc::IPPROTO_IP, libc::IP_MULTICAST_IF, group.get(..12).unwrap_or_default())
}

/// Puts a socket that exists into the VRF. It is bound to the device with this index, or to none (0); refused, it is as it was.
pub(crate) fn move_to(fd: c_int, domain: c_int, kind: c_int, name: &Name, from: c_int) -> Result<(), Errno> {
    if !is_datagram(domain, kind) {
        return sys::bind_to_device(fd, name);
    }
    const UNICAST: [(c_int, c_int); 2] = [(libc::IPPROTO_IP, IP_UNICAST_IF), (libc::IPPROTO_IPV6, IPV6_UNICAST_IF)];
    let former = UNICAST.map(|(level, option)| (level, option, sys::option(fd, level, option).unwrap_or(0)));
    // The options of another device would lead back there. A socket without one takes it from everybody who may bind.
    sys::set(fd, libc::SOL_SOCKET, libc::SO_BINDTODEVICE, &[0])?;
    bind(fd, domain, kind, name, true).inspect_err(|_| {
        for (level, option, value) in former {
            let _ = sys::set(fd, level, option, &value.to_ne_bytes());
        }
        let _ = sys::set(fd, libc::SOL_SOCKET, libc::SO_BINDTOIFINDEX, &from.to_ne_bytes());
    })
}

/// Binds a socket that was unbound to the device that its options still name; one without them is not ours, or has
/// kept its binding.
pub(crate) fn bind_again(fd: c_int) -> Result<(), Errno> {
    let index = sys::option(fd, libc::IPPROTO_IPV6, IPV6_UNICAST_IF)
        .or_else(|_| sys::option(fd, libc::IPPROTO_IP, IP_UNICAST_IF))
        .unwrap_or(0);
    if index == 0 || sys::bound_index(fd) != Ok(0) {
        return Ok(());
    }
    sys::set(fd, libc::SOL_SOCKET, libc::SO_BINDTOIFINDEX, &u32::from_be(index as u32).to_ne_bytes())
}

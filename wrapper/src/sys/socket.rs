//! Sockets with what nix does not offer: the cookie for the filter, and the options that bind to a device.

use std::ffi::OsString;
use std::io::IoSliceMut;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockFlag, SockaddrIn, SockaddrIn6, accept4, bind, connect, getsockname, recvmsg,
};
use nix::unistd::dup;
use vrfabi::socket::SO_NETNS_COOKIE;

/// TCP_SYN_SENT of the kernel's states.
const SYN_SENT: u8 = 2;

/// `socket(2)`, close-on-exec.
pub fn open(domain: libc::c_int, kind: libc::c_int, protocol: libc::c_int) -> nix::Result<OwnedFd> {
    open_with_cookie(domain, kind, protocol, 0)
}

/// `socket(2)`, close-on-exec, with the cookie in its sixth, unused argument.
pub fn open_with_cookie(
    domain: libc::c_int,
    kind: libc::c_int,
    protocol: libc::c_int,
    cookie: u64,
) -> nix::Result<OwnedFd> {
    let kind = kind | libc::SOCK_CLOEXEC;
    // SAFETY: plain numbers; the kernel reads three of them, the filter the last one.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_socket, domain, kind, protocol, 0, 0, cookie) })?;
    // SAFETY: the kernel just made this descriptor, nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// `setsockopt(2)` with the bytes of a value.
pub fn set(socket: &impl AsFd, level: libc::c_int, option: libc::c_int, value: &[u8]) -> nix::Result<()> {
    let (fd, length) = (socket.as_fd().as_raw_fd(), value.len() as libc::socklen_t);
    // SAFETY: the kernel reads `length` bytes from a live slice.
    Errno::result(unsafe { libc::setsockopt(fd, level, option, value.as_ptr().cast(), length) }).map(drop)
}

/// Binds a socket to a device by name, which needs no NUL.
pub fn bind_to_device(socket: &impl AsFd, name: &[u8]) -> nix::Result<()> {
    set(socket, libc::SOL_SOCKET, libc::SO_BINDTODEVICE, name)
}

/// Whether a socket that is bound to nothing can be bound to nothing: who may not name a device may not either.
pub fn may_bind() -> bool {
    let socket = open(libc::AF_INET, libc::SOCK_DGRAM, 0);
    socket.is_ok_and(|socket| bind_to_device(&socket, b"\0").is_ok())
}

/// The device that a socket is bound to (SO_BINDTODEVICE, readable since 3.8).
pub fn device_of(socket: &impl AsFd) -> nix::Result<Option<OsString>> {
    let mut name = [0u8; libc::IFNAMSIZ];
    let length = get(socket, libc::SO_BINDTODEVICE, &mut name)?;
    let name = name.split(|&b| b == 0).next().filter(|_| length > 0).unwrap_or_default();
    Ok((!name.is_empty()).then(|| OsString::from_vec(name.to_vec())))
}

/// The index of the device with this name, in the socket's network namespace (SIOCGIFINDEX). ENODEV if there is none.
pub fn index_by_name(socket: &impl AsFd, name: &[u8]) -> nix::Result<u32> {
    // SAFETY: an ifreq of zeros is one.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    let room = request.ifr_name.len() - 1;
    request.ifr_name.iter_mut().take(room).zip(name).for_each(|(to, from)| *to = *from as libc::c_char);
    // SAFETY: the kernel reads and writes one live ifreq.
    Errno::result(unsafe {
        libc::ioctl(socket.as_fd().as_raw_fd(), libc::SIOCGIFINDEX as libc::Ioctl, &raw mut request)
    })?;
    // SAFETY: the kernel has put an int there.
    Ok(unsafe { request.ifr_ifru.ifru_ifindex } as u32)
}

/// The family of a socket; ENOTSOCK for everything else.
pub fn domain_of(socket: &impl AsFd) -> nix::Result<libc::c_int> {
    let mut domain = [0; size_of::<libc::c_int>()];
    get(socket, libc::SO_DOMAIN, &mut domain)?;
    Ok(libc::c_int::from_ne_bytes(domain))
}

/// The type of a socket.
pub fn type_of(socket: &impl AsFd) -> nix::Result<libc::c_int> {
    let mut kind = [0; size_of::<libc::c_int>()];
    get(socket, libc::SO_TYPE, &mut kind)?;
    Ok(libc::c_int::from_ne_bytes(kind))
}

/// The protocol of a socket.
pub fn protocol_of(socket: &impl AsFd) -> nix::Result<libc::c_int> {
    let mut protocol = [0; size_of::<libc::c_int>()];
    get(socket, libc::SO_PROTOCOL, &mut protocol)?;
    Ok(libc::c_int::from_ne_bytes(protocol))
}

/// Dissolves the association of a datagram socket: `connect(AF_UNSPEC)`.
pub fn dissolve(socket: &impl AsFd) -> nix::Result<()> {
    let nobody = libc::sockaddr { sa_family: libc::AF_UNSPEC as libc::sa_family_t, sa_data: [0; 14] };
    let size = size_of_val(&nobody) as libc::socklen_t;
    // SAFETY: the kernel reads one live structure.
    Errno::result(unsafe { libc::connect(socket.as_fd().as_raw_fd(), &raw const nobody, size) }).map(drop)
}

/// Connects to the discard port of this machine's loopback address.
pub fn connect_to_loopback(socket: &impl AsFd, domain: libc::c_int) -> nix::Result<()> {
    let fd = socket.as_fd().as_raw_fd();
    if domain == libc::AF_INET {
        connect(fd, &SockaddrIn::new(127, 0, 0, 1, 9))
    } else {
        connect(fd, &SockaddrIn6::from(SocketAddrV6::new(Ipv6Addr::LOCALHOST, 9, 0, 0)))
    }
}

/// Binds an IPv4 socket to a port of any address; which it got.
pub fn bind_to_port(socket: &impl AsFd, port: u16) -> nix::Result<u16> {
    let fd = socket.as_fd().as_raw_fd();
    bind(fd, &SockaddrIn::new(0, 0, 0, 0, port))?;
    getsockname::<SockaddrIn>(fd).map(|address| address.port())
}

/// The cookie of the network namespace that a socket was made in (5.14; ENOPROTOOPT before).
pub fn netns_cookie_of(socket: &impl AsFd) -> nix::Result<u64> {
    let mut cookie = [0; size_of::<u64>()];
    get(socket, SO_NETNS_COOKIE, &mut cookie)?;
    Ok(u64::from_ne_bytes(cookie))
}

/// Whether a socket listens for connections.
pub fn is_listening(socket: &impl AsFd) -> bool {
    let mut answer = [0; size_of::<libc::c_int>()];
    get(socket, libc::SO_ACCEPTCONN, &mut answer).is_ok() && answer != [0; 4]
}

/// Whether it may share its port with other sockets (SO_REUSEPORT).
pub fn may_share_port(socket: &impl AsFd) -> nix::Result<bool> {
    let mut answer = [0; size_of::<libc::c_int>()];
    get(socket, libc::SO_REUSEPORT, &mut answer)?;
    Ok(answer != [0; 4])
}

/// Whether a TCP socket has asked for a connection that nobody has answered yet.
pub fn is_connecting(socket: &impl AsFd) -> nix::Result<bool> {
    tcp_info(socket).map(|info| info[0] == SYN_SENT)
}

/// Whether an SCTP socket for many peers has some: it has no peer's address then either.
pub fn has_associations(socket: &impl AsFd) -> nix::Result<bool> {
    const SCTP_GET_ASSOC_NUMBER: libc::c_int = 28;
    let mut number = [0; size_of::<u32>()];
    if type_of(socket)? != libc::SOCK_SEQPACKET {
        return Ok(false);
    }
    get_at(socket, libc::IPPROTO_SCTP, SCTP_GET_ASSOC_NUMBER, &mut number)?;
    Ok(number != [0; 4])
}

/// How many connections wait to be accepted from a TCP listener: tcpi_unacked, as the kernel fills it in for those.
pub fn waiting(listener: &impl AsFd) -> nix::Result<u32> {
    let [.., a, b, c, d] = tcp_info(listener)?;
    Ok(u32::from_ne_bytes([a, b, c, d]))
}

/// `struct tcp_info` from its first byte, tcpi_state, to tcpi_unacked.
fn tcp_info(socket: &impl AsFd) -> nix::Result<[u8; 28]> {
    let mut info = [0; 28];
    match get_at(socket, libc::IPPROTO_TCP, libc::TCP_INFO, &mut info)? {
        28 => Ok(info),
        _ => Err(Errno::EPROTO),
    }
}

/// Accepts a connection, close-on-exec.
pub fn accept(listener: &impl AsFd) -> nix::Result<OwnedFd> {
    let fd = accept4(listener.as_fd().as_raw_fd(), SockFlag::SOCK_CLOEXEC)?;
    // SAFETY: the kernel just made this descriptor, nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// `getsockopt(2)` at the socket's own level; returns how many bytes were written.
fn get(socket: &impl AsFd, option: libc::c_int, value: &mut [u8]) -> nix::Result<usize> {
    get_at(socket, libc::SOL_SOCKET, option, value)
}

/// `getsockopt(2)`; returns how many bytes were written.
pub(super) fn get_at(
    socket: &impl AsFd,
    level: libc::c_int,
    option: libc::c_int,
    value: &mut [u8],
) -> nix::Result<usize> {
    let (fd, mut length) = (socket.as_fd().as_raw_fd(), value.len() as libc::socklen_t);
    // SAFETY: the kernel writes at most `length` bytes into a live slice and says how many.
    let result = unsafe { libc::getsockopt(fd, level, option, value.as_mut_ptr().cast(), &raw mut length) };
    Errno::result(result).map(|_| length as usize)
}

/// Sends an empty datagram to an IPv4 address and port, with IP_PKTINFO naming the device that it shall leave by.
pub fn send_by(socket: &impl AsFd, ifindex: libc::c_int, to: [u8; 4], port: u16) -> nix::Result<()> {
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
    address.sin_port = port.to_be();
    address.sin_addr.s_addr = u32::from_ne_bytes(to);
    control.header.cmsg_len = (size_of::<libc::cmsghdr>() + size_of::<libc::in_pktinfo>()) as _;
    control.header.cmsg_level = libc::IPPROTO_IP;
    control.header.cmsg_type = libc::IP_PKTINFO;
    control.value.ipi_ifindex = ifindex;
    message.msg_name = (&raw mut address).cast();
    message.msg_namelen = size_of_val(&address) as libc::socklen_t;
    message.msg_control = (&raw mut control).cast();
    message.msg_controllen = size_of_val(&control) as _;
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: the message points to live structures, with their sizes.
    Errno::result(unsafe { libc::sendmsg(fd, &raw const message, libc::MSG_DONTWAIT) }).map(drop)
}

/// Receives one message of one byte with a descriptor. EMFILE: there was no number for it; EACCES: a security module let none
/// through; ECONNRESET: there was none.
pub fn receive_descriptor(socket: &impl AsFd) -> nix::Result<OwnedFd> {
    match receive_with_descriptor(socket, &mut [0; 1])? {
        (1, Some(descriptor)) => Ok(descriptor),
        _ => Err(Errno::ECONNRESET),
    }
}

/// Receives what has come, how many bytes, and the first descriptor in it, close-on-exec; others are closed. Errors as above.
pub fn receive_with_descriptor(socket: &impl AsFd, bytes: &mut [u8]) -> nix::Result<(usize, Option<OwnedFd>)> {
    let mut parts = [IoSliceMut::new(bytes)];
    let mut space = cmsg_space!([RawFd; 4]);
    let fd = socket.as_fd().as_raw_fd();
    let message = recvmsg::<()>(fd, &mut parts, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC)?;
    if message.bytes == 0 {
        // The end; nothing comes with it.
        return Ok((0, None));
    }
    let mut descriptors = Vec::new();
    for control in message.cmsgs().into_iter().flatten() {
        if let ControlMessageOwned::ScmRights(fds) = control {
            // SAFETY: the kernel just put these descriptors here, nobody else has them.
            descriptors.extend(fds.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
        }
    }
    if message.flags.contains(MsgFlags::MSG_CTRUNC) {
        return Err(if dup(socket).is_err() { Errno::EMFILE } else { Errno::EACCES });
    }
    Ok((message.bytes, descriptors.into_iter().next()))
}

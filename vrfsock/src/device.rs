//! The device that a socket is bound to, and the network namespace that it was made in.

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::stat::fstat;

/// The network namespace that a socket was made in (linux/sockios.h).
const SIOCGSKNS: u32 = 0x894c;

/// The index of the device that a socket is bound to (SO_BINDTOIFINDEX, 5.0); 0 if none.
///
/// # Errors
/// As getsockopt(2).
pub fn of(socket: &impl AsFd) -> nix::Result<u32> {
    let (mut index, mut length) = (0u32, size_of::<u32>() as libc::socklen_t);
    let (fd, value) = (socket.as_fd().as_raw_fd(), (&raw mut index).cast());
    // SAFETY: the kernel writes at most `length` bytes into a live number.
    let result = unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_BINDTOIFINDEX, value, &raw mut length) };
    Errno::result(result).map(|_| index)
}

/// Binds a socket to the device of this index in its network namespace, whether that is there or not; 0 unbinds it.
///
/// # Errors
/// As setsockopt(2).
pub fn bind(socket: &impl AsFd, index: u32) -> nix::Result<()> {
    let (fd, value) = (socket.as_fd().as_raw_fd(), (&raw const index).cast());
    let length = size_of_val(&index) as libc::socklen_t;
    // SAFETY: the kernel reads `length` bytes of a live number.
    let result = unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_BINDTOIFINDEX, value, length) };
    Errno::result(result).map(drop)
}

/// The inode of the network namespace that a socket was made in (CAP_NET_ADMIN there).
///
/// # Errors
/// As ioctl(2).
pub fn netns(socket: &impl AsFd) -> nix::Result<u64> {
    // SAFETY: the call takes no argument, and returns a descriptor that the kernel just made and nobody else has.
    let netns = unsafe {
        let fd = Errno::result(libc::ioctl(socket.as_fd().as_raw_fd(), SIOCGSKNS as _))?;
        OwnedFd::from_raw_fd(fd)
    };
    Ok(fstat(&netns)?.st_ino)
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn an_unbound_socket_has_no_device_and_a_number_that_is_no_index_is_refused() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!((of(&socket), bind(&socket, 0)), (Ok(0), Ok(())));
        assert_eq!(bind(&socket, u32::MAX), Err(Errno::EINVAL));
        assert_eq!(of(&socket), Ok(0));
        assert_eq!(of(&std::fs::File::open("/dev/null").unwrap()), Err(Errno::ENOTSOCK));
    }

    #[test]
    fn a_socket_knows_its_network_namespace() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (own, me) = ["/proc/self/ns/net", "/proc/self"].map(|path| std::fs::metadata(path).unwrap()).into();
        let told = netns(&socket);
        assert!(told == Ok(own.ino()) || (me.uid() != 0 && told == Err(Errno::EPERM)), "{told:?}");
    }
}

//! Inherited listeners that share their port by SO_REUSEPORT: the kernel hands a connection to any of those that were together
//! when they began to listen, whatever device each is bound to by now. Bound apart, each would get the connections of both
//! domains.

use std::collections::HashSet;
use std::os::fd::RawFd;

use nix::sys::stat::fstat;
use vrfnl::listener::{self, Listener};

use crate::sys::process::descriptor;
use crate::sys::socket;
use crate::vrf::netlink::Netlink;

/// The first of these sockets, which are to be bound, that shares its port with one that is not among them. Its option may have
/// been cleared since it began to listen, which does not take it out of its group: the kernel's list tells, and the option only
/// where there is no list.
///
/// # Errors
/// The one of which nobody can tell, and why.
pub fn with_others(sockets: &[RawFd]) -> Result<Option<RawFd>, (RawFd, nix::Error)> {
    let listening: Vec<RawFd> = sockets.iter().copied().filter(|fd| socket::is_listening(&descriptor(*fd))).collect();
    if listening.is_empty() {
        return Ok(None);
    }
    let may_share = |fd: &RawFd| socket::may_share_port(&descriptor(*fd)).unwrap_or(true);
    let all = match listeners() {
        Ok(all) => all,
        Err(errno) => return listening.into_iter().find(may_share).map_or(Ok(None), |fd| Err((fd, errno))),
    };
    let inode = |fd: &RawFd| fstat(descriptor(*fd)).map_or(0, |stat| stat.st_ino);
    let ours: HashSet<u64> = sockets.iter().map(inode).collect();
    Ok(listening.into_iter().find(|fd| has_stranger(&all, inode(fd), &ours)))
}

/// Whether another socket, none of ours, listens at the same place.
fn has_stranger(all: &[Listener], inode: u64, ours: &HashSet<u64>) -> bool {
    let own = all.iter().find(|listener| u64::from(listener.inode) == inode);
    let is_stranger = |other: &Listener| {
        own.is_some_and(|own| (own.at, own.device) == (other.at, other.device))
            && !ours.contains(&u64::from(other.inode))
    };
    all.iter().any(is_stranger)
}

/// Those of this network namespace.
fn listeners() -> nix::Result<Vec<Listener>> {
    let (mut netlink, mut all) = (Netlink::open_sockets()?, Vec::new());
    for family in [libc::AF_INET, libc::AF_INET6] {
        netlink.ask(&listener::all(family as u8), true, |body| all.extend(listener::parse(body)))?;
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::os::fd::{AsFd, AsRawFd};

    use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, listen};

    #[test]
    fn only_who_listens_at_the_same_place_and_is_none_of_ours_is_a_stranger() {
        let at = |port, device, inode| Listener { at: (2, [0, port], [0; 16]), device, inode };
        let all = [at(80, 0, 1), at(80, 0, 2), at(81, 0, 3), at(81, 7, 4)];
        let ours = |inodes: &[u64]| inodes.iter().copied().collect();
        assert!(has_stranger(&all, 1, &ours(&[1])));
        assert!(!has_stranger(&all, 1, &ours(&[1, 2])), "both are inherited");
        assert!(!has_stranger(&all, 3, &ours(&[3])), "another device, another group");
        assert!(!has_stranger(&all, 9, &ours(&[9])), "gone");
    }

    fn share(socket: &impl AsFd, is_on: bool) {
        let on = libc::c_int::from(is_on).to_ne_bytes();
        socket::set(socket, libc::SOL_SOCKET, libc::SO_REUSEPORT, &on).unwrap();
    }

    #[test]
    fn the_kernel_lists_a_listener_and_one_alone_shares_with_nobody() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        share(&listener, true);
        let inode = fstat(&listener).unwrap().st_ino;
        assert!(listeners().unwrap().iter().any(|listed| u64::from(listed.inode) == inode));
        assert_eq!(with_others(&[listener.as_raw_fd()]), Ok(None));
    }

    #[test]
    fn one_whose_option_was_cleared_since_shares_its_port_all_the_same() {
        let made = |port| {
            let kind = (AddressFamily::Inet, SockType::Stream, SockFlag::empty());
            let socket = nix::sys::socket::socket(kind.0, kind.1, kind.2, None).unwrap();
            share(&socket, true);
            bind(socket.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, port)).unwrap();
            listen(&socket, Backlog::new(1).unwrap()).unwrap();
            TcpListener::from(socket)
        };
        let one = made(0);
        let other = made(one.local_addr().unwrap().port());
        share(&one, false);
        assert_eq!(with_others(&[one.as_raw_fd()]), Ok(Some(one.as_raw_fd())));
        assert_eq!(with_others(&[one.as_raw_fd(), other.as_raw_fd()]), Ok(None), "both are inherited");
    }
}

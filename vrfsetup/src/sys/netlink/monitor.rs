//! What the kernel reports by itself when links, addresses, routes or rules change: the multicast groups of routing
//! netlink. A plain user may hear them; those of other network namespaces are not heard.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::socket::{setsockopt, sockopt};
use rtnetlink::sys::protocols::NETLINK_ROUTE;
use rtnetlink::sys::{Socket as RawSocket, SocketAddr};

use super::reply::{Replies, Reply};
use super::route::RTM_DST_LEN;

/// RTNLGRP_* of links, IPv4 addresses, routes, rules and nexthop objects. The kernel reports no IPv4 route that goes with
/// its link, its source address or its nexthop object, only these. Groups that it does not know are left out (nexthop
/// objects before 5.3).
const GROUPS: [u32; 7] = [1, 5, 7, 8, 11, 19, 32];
/// Thousands of links in one go; without CAP_NET_ADMIN the kernel gives less.
const QUEUE: usize = 1 << 20;
const BUFFER: usize = 1 << 16;
/// Reports that are read in one go.
const AT_ONCE: u32 = 1024;

/// A socket that hears all of them.
pub struct Monitor {
    raw: RawSocket,
    buffer: Vec<u8>,
}

/// What has been reported since the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Something that VRFs, ports, seals or rules may depend on.
    pub is_relevant: bool,
    /// There was more than the socket can hold: the kernel dropped reports.
    pub is_overflow: bool,
}

impl Monitor {
    /// Opens it in the thread's network namespace. What changes from now on is heard.
    ///
    /// # Errors
    /// Those of socket(2) and bind(2).
    pub fn open() -> io::Result<Self> {
        let mut raw = RawSocket::new(NETLINK_ROUTE)?;
        if setsockopt(&raw, sockopt::RcvBufForce, &QUEUE).is_err() {
            setsockopt(&raw, sockopt::RcvBuf, &QUEUE)?;
        }
        raw.bind(&SocketAddr::new(0, GROUPS.iter().fold(0, |mask, group| mask | 1 << (group - 1))))?;
        raw.set_non_blocking(true)?;
        Ok(Self { raw, buffer: Vec::with_capacity(BUFFER) })
    }

    /// Reads what has come, but not for ever where more comes all the time; does not wait.
    ///
    /// # Errors
    /// Those of recv(2).
    pub fn drain(&mut self) -> io::Result<Heard> {
        let mut heard = Heard::default();
        for _ in 0..AT_ONCE {
            self.buffer.clear();
            match self.raw.recv(&mut self.buffer, libc::MSG_TRUNC) {
                Ok(length) if length > self.buffer.len() => heard.is_relevant = true,
                Ok(_) => heard.is_relevant |= Replies(&self.buffer).any(|reply| is_relevant(&reply)),
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => heard.is_overflow = true,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(heard),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(heard)
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.raw.as_fd()
    }
}

/// A routing daemon makes and deletes routes by the thousand: of these only default routes can be seals.
fn is_relevant(reply: &Reply) -> bool {
    match reply.kind {
        libc::RTM_NEWROUTE | libc::RTM_DELROUTE => reply.body().get(RTM_DST_LEN) == Some(&0),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(kind: u16, body: &[u8]) -> Vec<u8> {
        let mut bytes = ((16 + body.len()) as u32).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.resize(16, 0);
        bytes.extend(body);
        bytes
    }

    #[test]
    fn of_routes_only_default_ones_matter() {
        let matters = |kind, body: &[u8]| Replies(&report(kind, body)).any(|reply| is_relevant(&reply));
        let [default, host] = [[2, 0, 0, 0], [2, 32, 0, 0]];
        assert!(matters(libc::RTM_NEWROUTE, &default) && matters(libc::RTM_DELROUTE, &default));
        assert!(!matters(libc::RTM_NEWROUTE, &host) && !matters(libc::RTM_DELROUTE, &host));
        assert!(matters(libc::RTM_NEWLINK, &host) && matters(libc::RTM_DELRULE, &host));
    }
}

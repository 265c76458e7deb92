//! What one descriptor is, as the socket itself says.

use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{SockaddrStorage, getpeername, getsockname};
use vrfabi::socket::{AF_SMC, IPPROTO_SMC};
use vrfsock::device;

use super::judge::Kind;
use super::verdict::Description;
use crate::sys::pidfd;
use crate::sys::sock_diag::state_name;

/// Families whose sockets reach no network.
const LOCAL: [i32; 4] = [libc::AF_UNIX, libc::AF_NETLINK, libc::AF_KEY, libc::AF_ALG];
const ESTABLISHED: u8 = 1;
const CLOSE: u8 = 7;
const LISTEN: u8 = 10;

/// A socket.
#[derive(Debug)]
pub struct Seen {
    /// What it is to a move.
    pub kind: Kind,
    /// The index of the device that it is bound to.
    pub device: u32,
    /// How it is called.
    pub description: Description,
}

/// Looks at a socket; None if it reaches no network. `netns`: that of this process.
///
/// # Errors
/// The kernel does not tell.
pub fn look(socket: &OwnedFd, netns: u64) -> nix::Result<Option<Seen>> {
    let (domain, kind, protocol) = pidfd::kind(socket)?;
    if LOCAL.contains(&domain) {
        return Ok(None);
    }
    let name = name(domain, kind, protocol);
    if ![libc::AF_INET, libc::AF_INET6].contains(&domain) {
        let why = if domain == AF_SMC { inside("SMC") } else { "no VRF holds such a socket".to_owned() };
        return Ok(Some(fixed(name, why)));
    }
    // A name and an index mean other devices there.
    match device::netns(socket) {
        Ok(its) if its == netns => {}
        Ok(_) | Err(Errno::EPERM) => return Ok(Some(fixed(name, "it is of another network namespace".to_owned()))),
        Err(errno) => return Err(errno),
    }
    let (local, peer) = (getsockname::<SockaddrStorage>(socket.as_raw_fd())?, getpeername(socket.as_raw_fd()).ok());
    let has_peer = peer.is_some();
    let (kind, state) = match (kind, protocol) {
        (_, libc::IPPROTO_MPTCP) => (Kind::Fixed(inside("MPTCP")), ""),
        (_, IPPROTO_SMC) => (Kind::Fixed(inside("SMC")), ""),
        (libc::SOCK_STREAM, libc::IPPROTO_TCP) => of_tcp(pidfd::tcp_state(socket)?, has_port(&local)),
        (libc::SOCK_RAW, _)
        | (libc::SOCK_DGRAM, libc::IPPROTO_UDP | libc::IPPROTO_UDPLITE | libc::IPPROTO_ICMP | libc::IPPROTO_ICMPV6) => {
            of_datagrams(has_peer)
        }
        _ => (Kind::Fixed(format!("sockets of protocol {protocol} cannot be moved")), ""),
    };
    let text = |address: &SockaddrStorage| address.to_string();
    let description = Description {
        protocol: name,
        state: state.to_owned(),
        local: text(&local),
        peer: peer.as_ref().map(text).unwrap_or_default(),
        from: String::new(),
    };
    Ok(Some(Seen { kind, device: device::of(socket)?, description }))
}

/// A socket that a binding would not move; nobody asks where it is.
fn fixed(protocol: String, why: String) -> Seen {
    Seen { kind: Kind::Fixed(why), device: 0, description: Description { protocol, ..Description::default() } }
}

fn of_tcp(state: u8, has_port: bool) -> (Kind, &'static str) {
    let kind = match state {
        CLOSE if has_port => Kind::Bound,
        CLOSE => Kind::Free,
        LISTEN => Kind::Listener,
        _ => Kind::Connection,
    };
    (kind, state_name(state))
}

fn has_port(address: &SockaddrStorage) -> bool {
    let v4 = address.as_sockaddr_in().map(|address| address.port());
    v4.or_else(|| Some(address.as_sockaddr_in6()?.port())).is_some_and(|port| port != 0)
}

fn of_datagrams(has_peer: bool) -> (Kind, &'static str) {
    if has_peer { (Kind::Connection, state_name(ESTABLISHED)) } else { (Kind::Free, state_name(CLOSE)) }
}

fn inside(name: &str) -> String {
    format!("an {name} socket has others inside, which nobody can bind")
}

/// As ss(8) calls it, where it does.
fn name(domain: i32, kind: i32, protocol: i32) -> String {
    let name = match (domain, kind, protocol) {
        (libc::AF_PACKET, ..) => "packet",
        (AF_SMC, ..) => "smc",
        (libc::AF_INET | libc::AF_INET6, libc::SOCK_RAW, _) => "raw",
        (libc::AF_INET | libc::AF_INET6, _, libc::IPPROTO_TCP) => "tcp",
        (libc::AF_INET | libc::AF_INET6, _, libc::IPPROTO_UDP) => "udp",
        (libc::AF_INET | libc::AF_INET6, _, libc::IPPROTO_UDPLITE) => "udplite",
        (libc::AF_INET | libc::AF_INET6, _, libc::IPPROTO_ICMP | libc::IPPROTO_ICMPV6) => "ping",
        (libc::AF_INET | libc::AF_INET6, _, libc::IPPROTO_MPTCP) => "mptcp",
        (libc::AF_INET | libc::AF_INET6, _, libc::IPPROTO_SCTP) => "sctp",
        (libc::AF_INET | libc::AF_INET6, _, other) => return format!("protocol {other}"),
        (other, ..) => return format!("address family {other}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::unix::net::UnixStream;

    use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, socket};

    use super::*;
    use crate::sys::run_dir;

    fn of(socket: impl Into<OwnedFd>) -> Option<(Kind, String)> {
        let seen = look(&socket.into(), run_dir::netns().unwrap()).unwrap()?;
        Some((seen.kind, format!("{} {}", seen.description.protocol, seen.description.state)))
    }

    #[test]
    fn listeners_and_unconnected_sockets_are_free_and_connections_are_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let connected = UdpSocket::bind("[::1]:0").unwrap();
        connected.connect("[::1]:9").unwrap();
        if !nix::unistd::geteuid().is_root() {
            return; // who has made a socket is told to root only
        }
        // Each is closed once it was looked at.
        assert_eq!(of(client), Some((Kind::Connection, "tcp ESTAB".into())));
        assert_eq!(of(listener), Some((Kind::Listener, "tcp LISTEN".into())));
        assert_eq!(of(UdpSocket::bind("0.0.0.0:0").unwrap()), Some((Kind::Free, "udp UNCONN".into())));
        assert_eq!(of(connected), Some((Kind::Connection, "udp ESTAB".into())));
        assert_eq!(of(UnixStream::pair().unwrap().0), None);
        let fresh = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
        assert_eq!(of(fresh.try_clone().unwrap()).unwrap().0, Kind::Free);
        bind(fresh.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)).unwrap();
        assert_eq!(of(fresh).unwrap().0, Kind::Bound);
    }

    #[test]
    fn a_socket_has_the_name_that_ss_gives_it() {
        let [inet, dgram] = [libc::AF_INET6, libc::SOCK_DGRAM];
        for (socket, expected) in [
            ((inet, libc::SOCK_RAW, 58), "raw"),
            ((inet, dgram, libc::IPPROTO_ICMPV6), "ping"),
            ((libc::AF_PACKET, libc::SOCK_RAW, 3), "packet"),
            ((inet, libc::SOCK_STREAM, libc::IPPROTO_MPTCP), "mptcp"),
            ((inet, libc::SOCK_DCCP, libc::IPPROTO_DCCP), "protocol 33"),
            ((40, dgram, 0), "address family 40"),
        ] {
            assert_eq!(name(socket.0, socket.1, socket.2), expected);
        }
    }
}

//! Sockets (sock_diag, `ss -a`): established TCP connections and UDP sessions, which a change of routing would cut off, and all others,
//! which may be outside the VRF that their program should be in.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rtnetlink::sys::protocols::NETLINK_SOCK_DIAG;

use crate::sys::netlink::KernelError;
use crate::sys::netlink::socket::Socket;

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLMSG_HEADER: usize = 16;
const INET_DIAG_REQ: usize = 56;
const INET_DIAG_MSG: usize = 72;
const TCP_ESTABLISHED: u32 = 1 << 1;
const ANY_STATE: u32 = u32::MAX;

/// One socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// IPPROTO_*.
    pub protocol: u8,
    /// TCP_* of the kernel; a UDP or raw socket has TCP_CLOSE (7), or TCP_ESTABLISHED (1) if it is connected.
    pub state: u8,
    /// This machine's end.
    pub local: (IpAddr, u16),
    /// The other end.
    pub peer: (IpAddr, u16),
    /// The interface that the socket is bound to; 0 if none.
    pub bound: u32,
    /// By which processes have it; 0 if none has any more.
    pub inode: u32,
}

impl Connection {
    /// The protocol by the name of `ss`.
    pub fn protocol_name(&self) -> String {
        match i32::from(self.protocol) {
            libc::IPPROTO_TCP => "tcp".to_owned(),
            libc::IPPROTO_UDP => "udp".to_owned(),
            libc::IPPROTO_RAW => "raw".to_owned(),
            other => other.to_string(),
        }
    }

    /// The state by the name of `ss`.
    pub fn state_name(&self) -> &'static str {
        const NAMES: [&str; 13] = [
            "UNKNOWN",
            "ESTAB",
            "SYN-SENT",
            "SYN-RECV",
            "FIN-WAIT-1",
            "FIN-WAIT-2",
            "TIME-WAIT",
            "UNCONN",
            "CLOSE-WAIT",
            "LAST-ACK",
            "LISTEN",
            "CLOSING",
            "SYN-RECV",
        ];
        NAMES.get(usize::from(self.state)).copied().unwrap_or("UNKNOWN")
    }
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [local, peer] = [self.local, self.peer].map(|(address, port)| std::net::SocketAddr::new(address, port));
        write!(f, "the connection from {peer} to {local}")
    }
}

/// All established TCP connections of this network namespace and all connected UDP sockets, both families.
///
/// # Errors
/// Those of the socket; a kernel without sock_diag for TCP (inet_diag is a module) is one.
pub fn established() -> Result<Vec<Connection>, KernelError> {
    sockets(&[libc::IPPROTO_TCP, libc::IPPROTO_UDP], TCP_ESTABLISHED)
}

/// All TCP, UDP and raw sockets of this network namespace that some process still has.
///
/// # Errors
/// Those of the socket. A kernel without the raw_diag module (4.10) has no raw sockets to tell.
pub fn all() -> Result<Vec<Connection>, KernelError> {
    let mut all = sockets(&[libc::IPPROTO_TCP, libc::IPPROTO_UDP, libc::IPPROTO_RAW], ANY_STATE)?;
    all.retain(|socket| socket.inode != 0);
    Ok(all)
}

fn sockets(protocols: &[i32], states: u32) -> Result<Vec<Connection>, KernelError> {
    let mut all = Vec::new();
    for family in [libc::AF_INET, libc::AF_INET6] {
        for &protocol in protocols {
            match dump(family, protocol, states) {
                Err(error) if error.errno == libc::ENOENT && protocol != libc::IPPROTO_TCP => {}
                sockets => all.extend(sockets?),
            }
        }
    }
    Ok(all)
}

fn dump(family: i32, protocol: i32, states: u32) -> Result<Vec<Connection>, KernelError> {
    let mut socket = Socket::open(NETLINK_SOCK_DIAG)?;
    let (mut all, mut error) = (Vec::new(), None);
    socket.exchange(&[request(family as u8, protocol as u8, states)], |_, reply| match reply.is_end() {
        true => error = reply.error(),
        false => all.extend(connection(reply.body(), protocol as u8)),
    })?;
    error.map_or(Ok(all), Err)
}

/// `struct nlmsghdr` and `struct inet_diag_req_v2`.
fn request(family: u8, protocol: u8, states: u32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(NLMSG_HEADER + INET_DIAG_REQ);
    bytes.extend(((NLMSG_HEADER + INET_DIAG_REQ) as u32).to_ne_bytes());
    bytes.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes.extend(((libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16).to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend([family, protocol, 0, 0]);
    bytes.extend(states.to_ne_bytes());
    bytes.resize(NLMSG_HEADER + INET_DIAG_REQ, 0);
    bytes
}

/// `struct inet_diag_msg`.
fn connection(body: &[u8], protocol: u8) -> Option<Connection> {
    let body: &[u8; INET_DIAG_MSG] = body.first_chunk()?;
    let port = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
    let word = |at: usize| u32::from_ne_bytes([body[at], body[at + 1], body[at + 2], body[at + 3]]);
    Some(Connection {
        protocol,
        state: body[1],
        local: (address(body[0], &body[8..24])?, port(4)),
        peer: (address(body[0], &body[24..40])?, port(6)),
        bound: word(40),
        inode: word(68),
    })
}

/// An IPv4 connection of an AF_INET6 socket has mapped addresses, which are IPv4 to the routing.
fn address(family: u8, bytes: &[u8]) -> Option<IpAddr> {
    match i32::from(family) {
        libc::AF_INET => Some(Ipv4Addr::from(*bytes.first_chunk()?).into()),
        libc::AF_INET6 => Some(Ipv6Addr::from(*bytes.first_chunk()?).to_canonical()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn an_established_connection_is_found_with_both_its_ends() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let ends = [client.local_addr().unwrap(), client.peer_addr().unwrap()].map(|end| (end.ip(), end.port()));
        let is_it = |connection: &&Connection| [connection.local, connection.peer] == ends;
        let found = established().unwrap().iter().find(is_it).cloned().unwrap();
        assert_eq!((found.bound, found.state_name()), (0, "ESTAB"));
        assert!(all().unwrap().contains(&found));
    }

    #[test]
    fn a_udp_socket_is_found_by_its_port() {
        let socket = std::net::UdpSocket::bind("[::1]:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let udp = |socket: &&Connection| socket.protocol_name() == "udp" && socket.local.1 == port;
        assert_eq!(all().unwrap().iter().filter(udp).count(), 1);
    }

    #[test]
    fn no_bytes_of_the_kernel_make_a_panic() {
        use proptest::collection::vec;
        use proptest::prelude::any;
        crate::proptests::check((vec(any::<u8>(), 0..100), any::<u8>()), |(body, protocol)| {
            let found = connection(&body, protocol);
            assert!(found.is_none() || body.len() >= INET_DIAG_MSG);
            found.iter().for_each(|one| drop((one.to_string(), one.state_name(), one.protocol_name())));
        });
    }

    #[test]
    fn mapped_addresses_are_ipv4() {
        let mapped = Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped();
        assert_eq!(address(libc::AF_INET6 as u8, &mapped.octets()), Some(Ipv4Addr::new(192, 0, 2, 1).into()));
    }
}

//! Sockets (sock_diag, `ss -a`): TCP connections and UDP sessions, which a change of routing would cut off, and all others.

use std::fmt;
use std::net::IpAddr;

use rtnetlink::sys::protocols::NETLINK_SOCK_DIAG;
use vrfnl::address;

use crate::sys::netlink::KernelError;
use crate::sys::netlink::socket::Socket;

mod attribute;
mod request;
mod state;

use attribute::attribute;
use request::{body, message, request};
pub use state::name as state_name;

const SOCK_DESTROY: u16 = 21;
const INET_DIAG_MARK: u16 = 15;
const INET_DIAG_CGROUP_ID: u16 = 21;
const INET_DIAG_SOCKOPT: u16 = 22;
/// `transparent` of `struct inet_diag_sockopt`.
const TRANSPARENT: u8 = 1 << 5;
const SOCKID: usize = 48;
const INET_DIAG_MSG: usize = 72;
const TCP_ESTABLISHED: u32 = 1 << 1;
const TCP_CLOSE: u32 = 1 << 7;
const TCP_LISTEN: u32 = 1 << 10;
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
    /// By which processes have it; 0 if none has any more, or not yet.
    pub inode: u32,
    /// What few ask for.
    rest: Box<Rest>,
}

/// By what the kernel finds a socket again and no other (`struct inet_diag_sockid`, and its family), and where it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rest {
    family: u8,
    id: [u8; SOCKID],
    cgroup: Option<u64>,
    user: u32,
    mark: u32,
    is_transparent: Option<bool>,
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

    /// The number of the cgroup that it was made in (5.8).
    pub fn cgroup(&self) -> Option<u64> {
        self.rest.cgroup
    }

    /// The user whose socket it is.
    pub fn user(&self) -> u32 {
        self.rest.user
    }

    /// The mark that it gives its packets; the kernel tells it only with CAP_NET_ADMIN.
    pub fn mark(&self) -> u32 {
        self.rest.mark
    }

    /// Whether its own address need not be this machine's (IP_TRANSPARENT); None where the kernel does not tell.
    pub fn is_transparent(&self) -> Option<bool> {
        self.rest.is_transparent
    }

    /// The state by the name of `ss`.
    pub fn state_name(&self) -> &'static str {
        state_name(self.state)
    }
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.peer.0.is_unspecified() {
            return write!(f, "the session at {} port {}", self.local.0, self.local.1);
        }
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

/// All TCP sockets of this network namespace that listen.
///
/// # Errors
/// As [`established`].
pub fn listening() -> Result<Vec<Connection>, KernelError> {
    sockets(&[libc::IPPROTO_TCP], TCP_LISTEN)
}

/// All TCP sockets of this network namespace, also those that no process has yet or any more.
///
/// # Errors
/// As [`established`].
pub fn tcp() -> Result<Vec<Connection>, KernelError> {
    sockets(&[libc::IPPROTO_TCP], ANY_STATE)
}

/// All UDP sockets of this network namespace that some process has bound to an address of their own and not connected.
///
/// # Errors
/// Those of the socket.
pub fn unconnected() -> Result<Vec<Connection>, KernelError> {
    let mut all = sockets(&[libc::IPPROTO_UDP], TCP_CLOSE)?;
    all.retain(|socket| socket.inode != 0 && !socket.local.0.is_unspecified());
    Ok(all)
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

/// All TCP, UDP and raw sockets of this network namespace, also those that no process has yet or any more.
///
/// # Errors
/// As [`all`].
pub fn everything() -> Result<Vec<Connection>, KernelError> {
    sockets(&[libc::IPPROTO_TCP, libc::IPPROTO_UDP, libc::IPPROTO_RAW], ANY_STATE)
}

/// Closes a connection, as `ss -K` does: the peer of a TCP connection is told so, and whoever uses it here gets an error.
///
/// # Errors
/// ENOENT: it is gone; EOPNOTSUPP: this kernel cannot (CONFIG_INET_DIAG_DESTROY).
pub fn destroy(socket: &Connection) -> Result<(), KernelError> {
    let mut kernel = Socket::open(NETLINK_SOCK_DIAG)?;
    let Rest { family, id, .. } = socket.rest.as_ref();
    let body = body(*family, socket.protocol, raw_protocol(socket), ANY_STATE, id);
    let (mut error, flags) = (None, libc::NLM_F_REQUEST | libc::NLM_F_ACK);
    kernel.exchange(&[message(SOCK_DESTROY, flags as u16, &body)], |_, reply| error = reply.error())?;
    error.map_or(Ok(()), Err)
}

/// What a raw socket is a socket of, which it has in the place of a port.
fn raw_protocol(socket: &Connection) -> u8 {
    if i32::from(socket.protocol) == libc::IPPROTO_RAW { socket.local.1 as u8 } else { 0 }
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

/// `struct inet_diag_msg`.
fn connection(body: &[u8], protocol: u8) -> Option<Connection> {
    let (body, attributes): (&[u8; INET_DIAG_MSG], _) = body.split_first_chunk()?;
    let port = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
    let word = |at: usize| u32::from_ne_bytes([body[at], body[at + 1], body[at + 2], body[at + 3]]);
    let (family, id) = (body[0], *body[4..].first_chunk()?);
    let cgroup = attribute(attributes, INET_DIAG_CGROUP_ID).map(u64::from_ne_bytes);
    let mark = attribute(attributes, INET_DIAG_MARK).map_or(0, u32::from_ne_bytes);
    let is_transparent = attribute(attributes, INET_DIAG_SOCKOPT).map(|[first]: [u8; 1]| first & TRANSPARENT != 0);
    Some(Connection {
        protocol,
        state: body[1],
        local: (address(body[0], &body[8..24])?, port(4)),
        peer: (address(body[0], &body[24..40])?, port(6)),
        bound: word(40),
        inode: word(68),
        rest: Box::new(Rest { family, id, cgroup, user: word(64), mark, is_transparent }),
    })
}

/// An IPv4 connection of an AF_INET6 socket has mapped addresses, which are IPv4 to the routing.
fn address(family: u8, bytes: &[u8]) -> Option<IpAddr> {
    address::of_family(family.into(), bytes).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

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
    fn one_connection_is_closed_and_no_other() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let [one, mut other] = [(); 2].map(|()| TcpStream::connect(listener.local_addr().unwrap()).unwrap());
        let end = one.local_addr().unwrap().port();
        let found = established().unwrap().into_iter().find(|found| found.local.1 == end).unwrap();
        match destroy(&found) {
            // A plain user may not, and not every kernel can.
            Err(refused) => assert!([libc::EPERM, libc::EOPNOTSUPP].contains(&refused.errno), "{refused}"),
            Ok(()) => {
                assert_eq!(one.peer_addr().unwrap_err().raw_os_error(), Some(libc::ENOTCONN));
                assert_eq!(destroy(&found).unwrap_err().errno, libc::ENOENT);
            }
        }
        std::io::Write::write_all(&mut other, b"x").unwrap();
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

//! Established TCP connections (sock_diag, `ss -tn state established`): what a change of routing would cut off.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rtnetlink::sys::protocols::NETLINK_SOCK_DIAG;
use rtnetlink::sys::{Socket, SocketAddr};

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLMSG_HEADER: usize = 16;
const INET_DIAG_REQ: usize = 56;
const INET_DIAG_MSG: usize = 72;
const TCP_ESTABLISHED: u32 = 1 << 1;

/// One established TCP connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// This machine's end.
    pub local: (IpAddr, u16),
    /// The other end.
    pub peer: (IpAddr, u16),
    /// The interface that the socket is bound to; 0 if none.
    pub bound: u32,
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [local, peer] = [self.local, self.peer].map(|(address, port)| std::net::SocketAddr::new(address, port));
        write!(f, "the connection from {peer} to {local}")
    }
}

/// All established TCP connections of this network namespace, both families.
///
/// # Errors
/// Those of the socket; a kernel without sock_diag for TCP (inet_diag is a module) is one.
pub fn established() -> io::Result<Vec<Connection>> {
    let mut all = dump(libc::AF_INET as u8)?;
    all.extend(dump(libc::AF_INET6 as u8)?);
    Ok(all)
}

fn dump(family: u8) -> io::Result<Vec<Connection>> {
    let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.send(&request(family), 0)?;
    let mut all = Vec::new();
    loop {
        let (datagram, _) = socket.recv_from_full()?;
        if read(&datagram, &mut all)? {
            return Ok(all);
        }
    }
}

/// `struct nlmsghdr` and `struct inet_diag_req_v2`.
fn request(family: u8) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(NLMSG_HEADER + INET_DIAG_REQ);
    bytes.extend(((NLMSG_HEADER + INET_DIAG_REQ) as u32).to_ne_bytes());
    bytes.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes.extend(((libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16).to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend([family, libc::IPPROTO_TCP as u8, 0, 0]);
    bytes.extend(TCP_ESTABLISHED.to_ne_bytes());
    bytes.resize(NLMSG_HEADER + INET_DIAG_REQ, 0);
    bytes
}

/// Reads one datagram; true at the end of the dump.
fn read(mut datagram: &[u8], all: &mut Vec<Connection>) -> io::Result<bool> {
    while let Some(header) = datagram.get(..NLMSG_HEADER) {
        let len = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let kind = i32::from(u16::from_ne_bytes([header[4], header[5]]));
        let body = datagram.get(NLMSG_HEADER..len).ok_or(io::ErrorKind::InvalidData)?;
        match kind {
            libc::NLMSG_DONE => return Ok(true),
            libc::NLMSG_ERROR => return Err(refusal(body)),
            _ => all.extend(connection(body)),
        }
        datagram = datagram.get((len + 3) & !3..).unwrap_or_default();
    }
    Ok(false)
}

fn refusal(body: &[u8]) -> io::Error {
    let code = body.first_chunk().map_or(-libc::EPROTO, |bytes| i32::from_ne_bytes(*bytes));
    io::Error::from_raw_os_error(code.wrapping_neg())
}

/// `struct inet_diag_msg`.
fn connection(body: &[u8]) -> Option<Connection> {
    let body: &[u8; INET_DIAG_MSG] = body.first_chunk()?;
    let port = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
    Some(Connection {
        local: (address(body[0], &body[8..24])?, port(4)),
        peer: (address(body[0], &body[24..40])?, port(6)),
        bound: u32::from_ne_bytes(*body[40..44].first_chunk()?),
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
        let wanted = Connection {
            local: (client.local_addr().unwrap().ip(), client.local_addr().unwrap().port()),
            peer: (client.peer_addr().unwrap().ip(), client.peer_addr().unwrap().port()),
            bound: 0,
        };
        assert!(established().unwrap().contains(&wanted));
    }

    #[test]
    fn mapped_addresses_are_ipv4() {
        let mapped = Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped();
        assert_eq!(address(libc::AF_INET6 as u8, &mapped.octets()), Some(Ipv4Addr::new(192, 0, 2, 1).into()));
    }
}

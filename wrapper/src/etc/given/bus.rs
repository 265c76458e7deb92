//! Asks systemd-resolved itself for a link's servers, by D-Bus: its files are closed to plain users, and this is not.
//! (org.freedesktop.resolve1(5); the D-Bus specification's "Message Protocol".)

use std::io::{self, Read};
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::sys::socket::sockopt::PeerCredentials;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, getsockopt, send, socket};
use nix::unistd::geteuid;

use crate::etc::given::Given;
use crate::etc::given::message::{Reader, call, length, reply_to};
use crate::etc::given::server::{Server, domain};
use crate::vrf::ports::Port;

const DIRECTORY: &str = "/run/dbus";
const BUS: &str = "/run/dbus/system_bus_socket";
/// In all: a program must not wait for a bus that is stuck.
const PATIENCE: Duration = Duration::from_secs(2);
/// Longer than all answers.
const LONGEST: usize = 1 << 16;
const DNS_PORT: u16 = 53;

const DRIVER: [&str; 2] = ["org.freedesktop.DBus", "/org/freedesktop/DBus"];
const RESOLVED: &str = "org.freedesktop.resolve1";
const LINK: &str = "org.freedesktop.resolve1.Link";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
/// The serial numbers of the calls.
const HELLO: u32 = 1;
const SERVERS: u32 = 2;
const DOMAINS: u32 = 3;

/// Adds what resolved has for this link. None if it does not answer.
pub fn add(port: &Port, given: &mut Given) -> Option<()> {
    let [servers, domains] = ask(port.ifindex)?;
    let servers = servers_in(&servers).unwrap_or_default();
    let servers = servers.iter().filter_map(|address| Server::parse(&address.to_string(), port));
    let domains = domains_in(&domains).unwrap_or_default();
    given.add(servers, domains.iter().filter_map(|name| domain(name)), port);
    Some(())
}

/// The bodies of the two answers. Everything is sent at once, as resolved's own clients do it.
fn ask(ifindex: u32) -> Option<[Vec<u8>; 2]> {
    let mut bus = Bus::open()?;
    let digits: String = geteuid().to_string().bytes().map(|digit| format!("{digit:02x}")).collect();
    let mut request = format!("\0AUTH EXTERNAL {digits}\r\nBEGIN\r\n").into_bytes();
    request.extend(call(HELLO, DRIVER[1], [DRIVER[0], DRIVER[0], "Hello"], &[]));
    // The first letter of a link's path is written as a number: _35 is 5, and _312 is 12.
    let path = format!("/{}/link/_3{ifindex}", RESOLVED.replace('.', "/"));
    for (serial, property) in [(SERVERS, "DNSEx"), (DOMAINS, "Domains")] {
        request.extend(call(serial, &path, [RESOLVED, PROPERTIES, "Get"], &[LINK, property]));
    }
    // One that has gone must not end vrfrun by a signal.
    let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
    let sent = send(bus.stream.as_raw_fd(), &request, flags).ok()?;
    (sent == request.len()).then(|| answers(&mut bus))?
}

/// Read until its time is over.
struct Bus {
    stream: UnixStream,
    deadline: Instant,
}

impl Bus {
    /// None if its backlog is full, which connect(2) would wait for without an end, and if it is neither root's nor that of
    /// whoever has its directory.
    fn open() -> Option<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None).ok()?;
        connect(socket.as_raw_fd(), &UnixAddr::new(BUS).ok()?).ok()?;
        let peer = getsockopt(&socket, PeerCredentials).ok()?.uid();
        let stream = UnixStream::from(socket);
        stream.set_nonblocking(false).ok()?;
        let is_known = peer == 0 || std::fs::metadata(DIRECTORY).is_ok_and(|directory| directory.uid() == peer);
        is_known.then(|| Self { stream, deadline: Instant::now() + PATIENCE })
    }
}

impl Read for Bus {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        self.stream.read(bytes)
    }
}

fn answers(bus: &mut impl Read) -> Option<[Vec<u8>; 2]> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n") {
        bytes.extend(take(bus, 1).filter(|_| bytes.len() < LONGEST)?);
    }
    let (mut servers, mut domains) = (None, None);
    while bytes.starts_with(b"OK ") && (servers.is_none() || domains.is_none()) {
        let mut message = take(bus, 16)?;
        message.extend(take(bus, length(&message).filter(|length| *length < LONGEST)?)?);
        match reply_to(&message)? {
            (SERVERS, body) => servers = Some(body.to_vec()),
            (DOMAINS, body) => domains = Some(body.to_vec()),
            _ => {}
        }
    }
    Some([servers?, domains?])
}

fn take(bus: &mut impl Read, length: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; length];
    bus.read_exact(&mut bytes).ok().map(|()| bytes)
}

/// `a(iayqs)`: family, address, port, name.
fn servers_in(body: &[u8]) -> Option<Vec<IpAddr>> {
    let mut array = Reader(body, 0).variant("a(iayqs)")?.array()?;
    let mut servers = Vec::new();
    while !array.is_at_end() {
        array.align(8)?;
        let (_family, length) = (array.u32()?, array.u32()?);
        let address = array.take(length as usize)?;
        let (port, _name) = (array.u16()?, array.string()?);
        let of_four = || <[u8; 4]>::try_from(address).ok().map(IpAddr::from);
        let address = of_four().or_else(|| <[u8; 16]>::try_from(address).ok().map(IpAddr::from))?;
        servers.extend((port == 0 || port == DNS_PORT).then_some(address));
    }
    Some(servers)
}

/// `a(sb)`: name, and whether it only says which names go there.
fn domains_in(body: &[u8]) -> Option<Vec<String>> {
    let mut array = Reader(body, 0).variant("a(sb)")?.array()?;
    let mut domains = Vec::new();
    while !array.is_at_end() {
        array.align(8)?;
        let (name, is_route) = (array.string()?, array.u32()? != 0);
        domains.extend((!is_route).then_some(name));
    }
    Some(domains)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proptests;

    /// What resolved would answer for 192.0.2.53, 2001:db8::53 and port 5353 of 192.0.2.54.
    fn servers() -> Vec<u8> {
        let mut body = b"\x08a(iayqs)\0\0\0".to_vec();
        let mut array = Vec::new();
        for (family, address, port) in [
            (2u32, &[192, 0, 2, 53][..], 0u16),
            (10, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x53], 53),
            (2, &[192, 0, 2, 54], 5353),
        ] {
            array.resize((array.len() + 7) & !7, 0);
            array.extend([family.to_le_bytes(), (address.len() as u32).to_le_bytes()].concat());
            array.extend([address, &port.to_le_bytes(), &[0, 0], &[0; 5]].concat());
        }
        body.extend((array.len() as u32).to_le_bytes());
        body.extend(array);
        body
    }

    #[test]
    fn an_answers_servers_at_the_port_of_dns_are_read() {
        let read: Vec<String> = servers_in(&servers()).unwrap().iter().map(IpAddr::to_string).collect();
        assert_eq!(read, ["192.0.2.53", "2001:db8::53"]);
    }

    #[test]
    fn domains_for_routing_only_are_left_out() {
        let mut body = b"\x05a(sb)\0\0\x1c\0\0\0\0\0\0\0".to_vec();
        body.extend(b"\x03\0\0\0a.b\0\0\0\0\0\0\0\0\0\x03\0\0\0c.d\0\x01\0\0\0");
        assert_eq!(domains_in(&body).unwrap(), ["a.b"]);
    }

    #[test]
    fn no_answer_makes_a_panic() {
        proptests::check(proptests::cut_and_changed(servers()), |body| {
            let _ = (servers_in(&body), domains_in(&body));
            let greeted = [b"OK x\r\n", &body[..]].concat();
            let _ = answers(&mut &greeted[..]);
        });
    }
}

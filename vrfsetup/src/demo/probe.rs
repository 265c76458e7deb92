//! What curl and ping would find out, in a VRF or outside.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, connect, recv, send, setsockopt, socket,
    sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

/// How long an answer may take.
const SECONDS: i64 = 1;

/// The port of the discard service.
pub const DISCARD: u16 = 9;

/// One question.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    kind: Kind,
    address: &'static str,
    vrf: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Fetch,
    Ping,
    Send,
}

impl Probe {
    /// `curl http://ADDRESS/`.
    pub const fn fetch(address: &'static str) -> Self {
        Self { kind: Kind::Fetch, address, vrf: None }
    }

    /// `ping -c 1 ADDRESS`.
    pub const fn ping(address: &'static str) -> Self {
        Self { kind: Kind::Ping, address, vrf: None }
    }

    /// `echo | nc -u ADDRESS 9`.
    pub const fn send(address: &'static str) -> Self {
        Self { kind: Kind::Send, address, vrf: None }
    }

    /// From inside a VRF.
    pub const fn within(self, vrf: &'static str) -> Self {
        Self { vrf: Some(vrf), ..self }
    }

    /// Who answered, if anybody did; for a datagram, where it arrived, which `arrival` knows.
    pub fn ask(&self, arrival: impl Fn() -> Option<String>) -> Option<String> {
        let address: Ipv4Addr = self.address.parse().ok()?;
        match self.kind {
            Kind::Fetch => self.fetch_from(address).ok(),
            Kind::Ping => self.ping_at(address).ok().map(|()| "this machine".to_owned()),
            Kind::Send => self.send_to(address).ok().and_then(|()| arrival()),
        }
    }

    /// How to say what came of it: before a name, and without one.
    pub fn outcomes(&self) -> (&'static str, &'static str) {
        match self.kind {
            Kind::Send => ("arrives in network", "arrives nowhere"),
            Kind::Fetch | Kind::Ping => ("answer from", "no answer"),
        }
    }

    fn fetch_from(&self, address: Ipv4Addr) -> io::Result<String> {
        let fd = self.socket(SockType::Stream, None)?;
        connect(fd.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(address, 80)))?;
        let mut stream = TcpStream::from(fd);
        stream.write_all(format!("GET / HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let body = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::InvalidData)?.1;
        Ok(body.trim().to_owned())
    }

    fn send_to(&self, address: Ipv4Addr) -> io::Result<()> {
        let fd = self.socket(SockType::Datagram, None)?;
        connect(fd.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(address, DISCARD)))?;
        send(fd.as_raw_fd(), b"\n", MsgFlags::empty())?;
        Ok(())
    }

    fn ping_at(&self, address: Ipv4Addr) -> io::Result<()> {
        let fd = self.socket(SockType::Raw, Some(SockProtocol::Icmp))?;
        connect(fd.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(address, 0)))?;
        send(fd.as_raw_fd(), &ECHO, MsgFlags::empty())?;
        loop {
            let mut packet = [0; 256];
            let len = recv(fd.as_raw_fd(), &mut packet, MsgFlags::empty())?;
            if is_reply(&packet[..len]) {
                return Ok(());
            }
        }
    }

    fn socket(&self, kind: SockType, protocol: Option<SockProtocol>) -> io::Result<OwnedFd> {
        let fd = socket(AddressFamily::Inet, kind, SockFlag::SOCK_CLOEXEC, protocol)?;
        let time = TimeVal::seconds(SECONDS);
        setsockopt(&fd, sockopt::SendTimeout, &time)?;
        setsockopt(&fd, sockopt::ReceiveTimeout, &time)?;
        if let Some(vrf) = self.vrf {
            setsockopt(&fd, sockopt::BindToDevice, &vrf.into())?;
        }
        Ok(fd)
    }
}

/// An echo request: type 8, code 0, checksum, identifier 0x5652, sequence 1.
const ECHO: [u8; 8] = [8, 0, 0xa1, 0xac, 0x56, 0x52, 0, 1];

/// The answer to [`ECHO`], behind an IPv4 header.
fn is_reply(packet: &[u8]) -> bool {
    let Some(&first) = packet.first() else { return false };
    let icmp = packet.get(usize::from(first & 0x0f) * 4..).unwrap_or_default();
    matches!(icmp, [0, 0, _, _, 0x56, 0x52, 0, 1, ..])
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind, self.vrf) {
            (Kind::Fetch, None) => write!(f, "curl http://{}/", self.address),
            (Kind::Fetch, Some(vrf)) => write!(f, "curl --interface {vrf} http://{}/", self.address),
            (Kind::Send, None) => write!(f, "echo | nc -u {} {DISCARD}", self.address),
            (Kind::Send, Some(vrf)) => write!(f, "echo | nc -u {} {DISCARD}   (in {vrf})", self.address),
            (Kind::Ping, None) => write!(f, "ping -c 1 {}", self.address),
            (Kind::Ping, Some(vrf)) => write!(f, "ping -c 1 -I {vrf} {}", self.address),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_echo_requests_checksum_is_right() {
        let words = ECHO.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
        let sum: u32 = words.sum();
        assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff);
    }

    #[test]
    fn a_reply_is_told_from_our_own_request() {
        let mut packet = vec![0x45; 20];
        packet.extend(ECHO);
        assert!(!is_reply(&packet));
        packet[20] = 0;
        assert!(is_reply(&packet));
        assert!(!is_reply(&[]));
    }
}

//! A name server as the daemons write it, and a domain: strictly what a resolv.conf can say of it.

use std::fmt::{self, Display, Formatter};
use std::net::{IpAddr, SocketAddr};

use crate::vrf::ports::Port;

const DNS_PORT: u16 = 53;
/// The longest name that DNS has.
const LONGEST_NAME: usize = 253;

/// An address, and the interface that it is on where it means nothing without one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    address: IpAddr,
    scope: Option<u32>,
}

impl Server {
    /// Reads `ADDRESS[:PORT][%INTERFACE][#NAME]`, an IPv6 address with a port in brackets. None for what is none, for one
    /// at another port than DNS's, and for one that this interface does not lead to.
    pub fn parse(word: &str, port: &Port) -> Option<Self> {
        let word = word.split_once('#').map_or(word, |(server, _)| server);
        let (word, scope) = word.split_once('%').map_or((word, None), |(server, scope)| (server, Some(scope)));
        let is_ours = scope.is_none_or(|scope| scope == port.name || scope == port.ifindex.to_string());
        let address = address(word).filter(|address| is_ours && is_reached(address))?;
        Some(Self { address, scope: is_link_local(&address).then_some(port.ifindex) })
    }
}

impl Display for Server {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.scope {
            Some(ifindex) => write!(f, "{}%{ifindex}", self.address),
            None => write!(f, "{}", self.address),
        }
    }
}

fn address(word: &str) -> Option<IpAddr> {
    let with_port = || word.parse().ok().filter(|server: &SocketAddr| server.port() == DNS_PORT);
    let address = word.parse().ok().or_else(|| with_port().map(|server| server.ip()))?;
    Some(IpAddr::to_canonical(&address))
}

/// No loopback address, and not many at once.
fn is_reached(address: &IpAddr) -> bool {
    let is_broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    !(address.is_loopback() || address.is_unspecified() || address.is_multicast() || is_broadcast)
}

fn is_link_local(address: &IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

/// A domain to search in. None for what is no name, such as systemd's `~example.com`, which is not searched in.
pub fn domain(word: &str) -> Option<String> {
    let is_fit = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let name = word.strip_suffix('.').unwrap_or(word);
    let is_name = (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(is_fit) && !name.starts_with(['.', '-']);
    is_name.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(word: &str) -> Option<String> {
        Server::parse(word, &Port { ifindex: 3, name: "eth0".into() }).map(|server| server.to_string())
    }

    #[test]
    fn servers_are_read_as_the_daemons_write_them() {
        for (word, read) in [
            ("192.0.2.53", "192.0.2.53"),
            ("192.0.2.53:53", "192.0.2.53"),
            ("192.0.2.53#dns.example.com", "192.0.2.53"),
            ("2001:db8::53", "2001:db8::53"),
            ("[2001:db8::53]:53%3#dns.example.com", "2001:db8::53"),
            ("fe80::1", "fe80::1%3"),
            ("fe80::1%eth0", "fe80::1%3"),
            ("[fe80::1]:53%3", "fe80::1%3"),
            ("::ffff:192.0.2.53", "192.0.2.53"),
        ] {
            assert_eq!(parse(word).as_deref(), Some(read), "{word}");
        }
    }

    #[test]
    fn what_no_resolv_conf_can_say_or_no_vrf_reaches_is_left_out() {
        for word in [
            "",
            "#",
            "%",
            "x",
            "192.0.2",
            "192.0.2.53:5353",
            "192.0.2.53 ",
            "0192.0.2.53",
            "[192.0.2.53]:53",
            "fe80::1%eth1",
            "fe80::1%4",
            "2001:db8::53%4",
            "127.0.0.53",
            "::1",
            "::ffff:127.0.0.1",
            "0.0.0.0",
            "::",
            "ff02::fb",
            "224.0.0.251",
            "255.255.255.255",
            "[2001:db8::53]",
            "192.0.2.53\nsearch x",
        ] {
            assert_eq!(parse(word), None, "{word:?}");
        }
    }

    #[test]
    fn domains_are_names() {
        assert_eq!(domain("example.com.").as_deref(), Some("example.com"));
        for word in ["", ".", "~example.com", "~.", "a b", "a\nnameserver", "-x", "a\u{e9}", &"a.".repeat(200)] {
            assert_eq!(domain(word), None, "{word:?}");
        }
    }
}

//! The name servers that the VRF's ports were given, as whoever configured them wrote it down. The format of these files
//! is nobody's promise: what is not understood is left out.

mod bus;
mod file;
mod lease;
mod message;
mod server;

use std::ffi::OsStr;
use std::fmt::{self, Display, Formatter};
use std::time::SystemTime;

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};

use crate::error;
use crate::etc::given::server::{Server, domain};
use crate::vrf::device::Device;
use crate::vrf::netns;
use crate::vrf::ports::{self, Port};

/// As many as resolv.conf(5) takes.
const MOST_SERVERS: usize = 3;
const MOST_DOMAINS: usize = 6;

/// Reads what one daemon knows of these interfaces.
type Read = fn(&[Port], &mut Given);

/// Who knows them, in the order in which they are asked.
const SOURCES: [(&str, Read); 4] = [
    ("systemd-resolved", of_resolved),
    ("systemd-networkd", |ports, given| ports.iter().for_each(|port| of_networkd(port, given))),
    ("NetworkManager", |ports, given| ports.iter().for_each(|port| of_network_manager(port, given))),
    ("dhclient", |ports, given| ports.iter().for_each(|port| of_dhclient(port, given))),
];

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    servers: Vec<Server>,
    domains: Vec<String>,
    /// The names of the interfaces that they were given to.
    ports: Vec<String>,
    source: &'static str,
}

/// Those of the first source that knows any, for the device itself and its ports. None outside the network namespace whose
/// interfaces these files are about.
pub fn find(device: &Device) -> Option<Given> {
    if !netns::is_of_the_system() {
        return None;
    }
    let ports = ports::with_device(device).ok()?;
    SOURCES.into_iter().find_map(|(source, read)| {
        let mut given = Given::new(source);
        read(&ports, &mut given);
        (!given.servers.is_empty()).then_some(given)
    })
}

impl Given {
    fn new(source: &'static str) -> Self {
        Self { servers: Vec::new(), domains: Vec::new(), ports: Vec::new(), source }
    }

    /// A resolv.conf with them.
    pub fn text(&self) -> String {
        let mut text: String = self.servers.iter().map(|server| format!("nameserver {server}\n")).collect();
        if !self.servers.is_empty() && !self.domains.is_empty() {
            text.push_str(&format!("search {}\n", self.domains.join(" ")));
        }
        text
    }

    /// Their addresses.
    pub fn servers(&self) -> impl Iterator<Item = String> {
        self.servers.iter().map(Server::to_string)
    }

    fn add(&mut self, servers: impl Iterator<Item = Server>, domains: impl Iterator<Item = String>, port: &Port) {
        let before = self.servers.len();
        servers.for_each(|server| add_new(&mut self.servers, server, MOST_SERVERS));
        if self.servers.len() > before {
            self.ports.push(error::text(OsStr::new(&port.name)));
        }
        domains.for_each(|domain| add_new(&mut self.domains, domain, MOST_DOMAINS));
    }

    /// Adds what systemd's daemons write: lines of KEY=WORD WORD….
    fn add_state(&mut self, text: &str, keys: [&str; 2], port: &Port) {
        let servers = words(text, keys[0]).filter_map(|word| Server::parse(word, port));
        self.add(servers, words(text, keys[1]).filter_map(domain), port);
    }
}

impl Display for Given {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let servers: Vec<String> = self.servers().collect();
        write!(f, "{} (of {}, by {})", servers.join(", "), self.ports.join(", "), self.source)
    }
}

fn add_new<T: PartialEq>(list: &mut Vec<T>, new: T, most: usize) {
    if list.len() < most && !list.contains(&new) {
        list.push(new);
    }
}

fn words<'a>(text: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    let values = text.lines().filter_map(move |line| line.strip_prefix(key)?.strip_prefix('='));
    values.flat_map(str::split_whitespace)
}

/// What a client gave resolved for a link (resolvectl dns, NetworkManager). networkd's are among them only where resolved
/// itself is asked, because its files are closed.
fn of_resolved(ports: &[Port], given: &mut Given) {
    let directory = "/run/systemd/resolve/netif";
    if access(directory, AccessFlags::X_OK) == Err(Errno::EACCES) {
        // A bus that does not answer once is not asked again.
        for port in ports {
            if given.servers.len() == MOST_SERVERS || bus::add(port, given).is_none() {
                break;
            }
        }
        return;
    }
    for port in ports {
        let text = file::read(&format!("{directory}/{}", port.ifindex), "/run/systemd/resolve");
        text.iter().for_each(|text| given.add_state(text, ["SERVERS", "DOMAINS"], port));
    }
}

/// Those of the lease are among them, unless the administrator does not want them: the lease is not asked.
fn of_networkd(port: &Port, given: &mut Given) {
    let Some(text) = file::read(&format!("/run/systemd/netif/links/{}", port.ifindex), "/run/systemd/netif") else {
        return;
    };
    given.add_state(&text, ["DNS", "DOMAINS"], port);
}

/// The leases of its clients, which only root can read; that of its newer client (`internal`) names no servers.
fn of_network_manager(port: &Port, given: &mut Given) {
    let Some(text) = file::read(&format!("/run/NetworkManager/devices/{}", port.ifindex), "/run/NetworkManager") else {
        return;
    };
    let Some(uuid) = words(&text, "connection-uuid").find(|word| is_uuid(word)) else { return };
    let of = "/var/lib/NetworkManager";
    let path = |client: &str| format!("{of}/{client}-{uuid}-{}.lease", port.name);
    if let Some(text) = file::read(&path("internal"), of) {
        given.add_state(&text, ["DNS", "DOMAINNAME"], port);
    }
    if let Some(text) = file::read(&path("dhclient"), of) {
        lease::read(&text, port, SystemTime::now(), given);
    }
}

fn of_dhclient(port: &Port, given: &mut Given) {
    let of = "/var/lib/dhcp";
    for path in [format!("{of}/dhclient.{}.leases", port.name), format!("{of}/dhclient.leases")] {
        if let Some(text) = file::read(&path, of) {
            lease::read(&text, port, SystemTime::now(), given);
        }
    }
}

/// It becomes a part of a path.
fn is_uuid(word: &str) -> bool {
    word.len() == 36 && word.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proptests;

    fn port() -> Port {
        Port { ifindex: 3, name: "eth0".into() }
    }

    fn state(text: &str) -> Given {
        let mut given = Given::new("systemd-networkd");
        given.add_state(text, ["DNS", "DOMAINS"], &port());
        given
    }

    #[test]
    fn the_state_of_a_link_is_read() {
        let text = "# private\nADMIN_STATE=configured\nDNS=192.0.2.53 2001:db8::53 192.0.2.53 127.0.0.53\n\
                    DOMAINS=example.com ~route.example\nXDNS=192.0.2.1\nROUTE_DOMAINS=x.example\n";
        let given = state(text);
        assert_eq!(given.text(), "nameserver 192.0.2.53\nnameserver 2001:db8::53\nsearch example.com\n");
        assert_eq!(given.to_string(), "192.0.2.53, 2001:db8::53 (of eth0, by systemd-networkd)");
    }

    #[test]
    fn a_domain_without_a_server_is_no_resolver() {
        assert_eq!(state("DOMAINS=example.com\nDNS=\n").text(), "");
    }

    #[test]
    fn no_more_than_a_resolver_takes() {
        let given = state("DNS=192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.4\n");
        assert_eq!(given.servers().count(), MOST_SERVERS);
    }

    #[test]
    fn a_uuid_is_no_path() {
        assert!(is_uuid("7e73a292-0051-3bb8-8369-5e9349961078"));
        for word in ["", "../../../../../../../etc/passwd-----", "7e73a292-0051-3bb8-8369-5e934996107"] {
            assert!(!is_uuid(word), "{word}");
        }
    }

    #[test]
    fn no_state_makes_a_panic_or_a_line_of_its_own() {
        const WORDS: [&str; 12] = [
            "DNS=",
            "DOMAINS=",
            "\n",
            " ",
            "192.0.2.53",
            "[2001:db8::53]:53",
            "%",
            "#",
            "eth0",
            "fe80::1",
            ":53",
            "~a.b",
        ];
        proptests::check(proptests::text_of(&WORDS), |text| {
            let lines = state(&text).text();
            assert!(lines.lines().count() <= MOST_SERVERS + 1);
            assert!(lines.lines().all(|line| line.starts_with("nameserver ") || line.starts_with("search ")));
        });
    }
}

//! The map of the world, as scripts for `ip -batch`. Pure. The addresses are the documentation
//! ranges of RFC 5737 and RFC 3849, the same behind each of the three domains.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The web server that every name of the world leads to.
pub const WEB4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 80);
/// The web server that every name of the world leads to.
pub const WEB6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x80);
/// The nameserver in the world's resolv.conf.
pub const DNS4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 53);
/// The nameserver's other address.
pub const DNS6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x53);
/// A name that the world's nameservers know (they know all).
pub const NAME: &str = "www.vrf.test";
/// TCP and UDP echo.
pub const ECHO_PORT: u16 = 7;

/// The machine's own address on each of its three links.
pub const OWN4: &str = "198.51.100.2";
/// The machine's own address on each of its three links.
pub const OWN6: &str = "2001:db8:1::2";
/// The other end of each link.
pub const GATEWAY4: &str = "198.51.100.1";
/// The same of IPv6.
pub const GATEWAY6: &str = "2001:db8:1::1";

/// The metric of the route that seals a table, as the kernel's documentation of VRFs has it.
const SEAL_METRIC: u32 = 4_278_198_272;

/// A routing domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Domain {
    /// The one outside every VRF.
    Default,
    /// The one that the tests' programs are meant to be in.
    Blue,
    /// The other VRF.
    Red,
}

impl Domain {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Default, Self::Blue, Self::Red];

    /// Its name: what its peer answers and what its VRF is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Blue => "blue",
            Self::Red => "red",
        }
    }

    /// The table of its VRF.
    pub fn table(self) -> Option<u32> {
        match self {
            Self::Default => None,
            Self::Blue => Some(10),
            Self::Red => Some(20),
        }
    }

    /// The machine's end of its link.
    pub fn link(self, kind: Kind) -> &'static str {
        match (self, kind) {
            (Self::Default, _) => "eth0",
            (Self::Blue, Kind::Links) => "blue",
            (Self::Red, Kind::Links) => "red",
            (Self::Blue, Kind::Vrfs | Kind::Emulated | Kind::Bare) => "blue0",
            (Self::Red, Kind::Vrfs | Kind::Emulated | Kind::Bare) => "red0",
        }
    }
}

/// What `blue` and `red` are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// VRFs, made with `ip`, each with a port, a default route and a sealed table.
    Vrfs,
    /// VRFs that vrfsetup emulates, each with its port and a default route: for any kernel.
    Emulated,
    /// Plain links of these names, for a kernel without VRFs: a socket bound to one leaves by it.
    Links,
    /// Nothing yet: only the links `blue0` and `red0`, up and without addresses, for vrfsetup.
    Bare,
}

/// The links, each with its far end in the peer's network namespace.
pub fn links(kind: Kind, peers: [u32; 3]) -> String {
    let mut script = String::from("link set lo up\n");
    for (domain, pid) in Domain::ALL.into_iter().zip(peers) {
        let link = domain.link(kind);
        let _ = writeln!(script, "link add {link} type veth peer name peer0 netns {pid}");
        // Without link-local addresses there is no router solicitation and no duplicate detection.
        let _ = writeln!(script, "link set {link} addrgenmode none");
    }
    script
}

/// The machine's address on a link: where VRFs are emulated the kernel tells whose an answer of its own is by it.
fn own(domain: Domain, kind: Kind) -> (String, String) {
    match (kind, domain) {
        (Kind::Emulated, Domain::Blue) => ("198.51.100.3".to_owned(), "2001:db8:1::3".to_owned()),
        (Kind::Emulated, Domain::Red) => ("198.51.100.4".to_owned(), "2001:db8:1::4".to_owned()),
        _ => (OWN4.to_owned(), OWN6.to_owned()),
    }
}

/// Addresses, VRFs and routes of the machine.
pub fn machine_side(kind: Kind) -> String {
    let mut script = String::new();
    for (metric, domain) in (100..).step_by(100).zip(Domain::ALL) {
        let link = domain.link(kind);
        let vrf = domain.table().filter(|_| kind == Kind::Vrfs);
        if let Some(table) = vrf {
            let name = domain.name();
            let _ = write!(script, "link add {name} type vrf table {table}\nlink set {name} up\n");
            let _ = writeln!(script, "link set {link} master {name}");
        }
        let _ = writeln!(script, "link set {link} up");
        if kind == Kind::Bare && domain != Domain::Default {
            continue;
        }
        let (own4, own6) = own(domain, kind);
        let _ = writeln!(script, "addr add {own4}/24 dev {link}");
        let _ = writeln!(script, "addr add {own6}/64 dev {link} nodad");
        if kind == Kind::Emulated && domain != Domain::Default {
            continue;
        }
        // Three default routes in one table (Kind::Links) differ by metric; the default domain's wins.
        let table = vrf.unwrap_or(254);
        for gateway in [GATEWAY4, GATEWAY6] {
            let _ = writeln!(script, "route add default via {gateway} dev {link} table {table} metric {metric}");
        }
        if vrf.is_some() {
            for all in ["0.0.0.0/0", "::/0"] {
                let _ = writeln!(script, "route add unreachable {all} table {table} metric {SEAL_METRIC}");
            }
        }
    }
    script
}

/// What vrfsetup is asked for where VRFs are emulated.
pub fn emulations() -> Vec<Vec<String>> {
    let emulation = |domain: &Domain| {
        let (name, port) = (domain.name(), domain.link(Kind::Emulated));
        let words = format!("add {name} --port {port} --emulate --table {}", domain.table()?);
        Some(words.split(' ').map(str::to_owned).collect())
    };
    Domain::ALL.iter().filter_map(emulation).collect()
}

/// The default routes of their tables.
pub fn emulated_defaults() -> String {
    let mut script = String::new();
    for (domain, table) in Domain::ALL.into_iter().filter_map(|domain| Some((domain, domain.table()?))) {
        for gateway in [GATEWAY4, GATEWAY6] {
            let link = domain.link(Kind::Emulated);
            let _ = writeln!(script, "route add default via {gateway} dev {link} table {table}");
        }
    }
    script
}

/// The far end of a link: the gateway, and the service addresses behind it. From its link-local address it asks whether a
/// neighbour is still there: what it answers by the addresses on lo is none to ask from, and without any it would forget
/// the machine within seconds, and with that the way of its answers.
pub fn peer_side() -> String {
    let mut script = String::from("link set lo up\nlink set peer0 addrgenmode none\nlink set peer0 up\n");
    for address in [WEB4, DNS4] {
        let _ = writeln!(script, "addr add {address}/32 dev lo");
    }
    for address in [WEB6, DNS6] {
        let _ = writeln!(script, "addr add {address}/128 dev lo nodad");
    }
    let _ = writeln!(script, "addr add {GATEWAY4}/24 dev peer0\naddr add {GATEWAY6}/64 dev peer0 nodad");
    script.push_str("addr add fe80::99/64 dev peer0 nodad\n");
    script
}

/// The world's resolv.conf: one nameserver, the same address in each domain. Each domain answers; the time is for a slow
/// machine.
pub fn resolv_conf() -> String {
    format!("nameserver {DNS4}\noptions timeout:30 attempts:1\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_domain_gets_the_same_addresses_on_its_own_link() {
        let script = machine_side(Kind::Vrfs);
        for link in ["eth0", "blue0", "red0"] {
            assert!(script.contains(&format!("addr add {OWN4}/24 dev {link}\n")), "{link}");
        }
        assert_eq!(script.matches("route add unreachable").count(), 4);
    }

    #[test]
    fn without_vrfs_the_device_itself_is_called_blue() {
        let script = links(Kind::Links, [11, 12, 13]);
        assert!(script.contains("link add blue type veth peer name peer0 netns 12\n"));
        assert!(!machine_side(Kind::Links).contains("type vrf"));
    }

    #[test]
    fn a_bare_world_leaves_blue_and_red_without_addresses() {
        let script = machine_side(Kind::Bare);
        assert!(!script.contains("dev blue0"));
        assert!(script.contains("link set blue0 up"));
    }
}

//! What a file declares twice: each run would make the one in the place of the other.

use std::collections::HashSet;
use std::net::IpAddr;

use toml::Spanned;

use super::config::Source;
use super::prune;
use crate::error::Error;
use crate::model::address::Address;
use crate::model::family::Family;
use crate::model::route::Route;

/// What tells an address from the others of its interface: an IPv6 one is there once, whatever its prefix is.
fn key(address: &Address) -> (&str, IpAddr, u8, Option<IpAddr>) {
    let prefix_len = if address.family() == Family::V6 { 128 } else { address.prefix_len };
    (&address.device.name, address.local, prefix_len, address.peer)
}

/// The addresses of a VRF and its ports.
///
/// # Errors
/// The first that is there already.
pub(super) fn addresses(source: &Source, texts: &[Spanned<String>], read: &[Address]) -> Result<(), Error> {
    let mut seen = HashSet::new();
    match read.iter().position(|address| !seen.insert(key(address))) {
        Some(at) => Err(source.mistake_at(&texts[at], "declared already")),
        None => Ok(()),
    }
}

/// The routes of a table.
///
/// # Errors
/// The first that has destination and metric of an earlier one.
pub(super) fn routes(source: &Source, texts: &[Spanned<String>], read: &[Route]) -> Result<(), Error> {
    let mut seen = HashSet::new();
    match read.iter().position(|route| !seen.insert(prune::key(route))) {
        Some(at) => Err(source.mistake_at(&texts[at], "an earlier route has this destination and metric")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn mistake(below: &str) -> String {
        let text = format!("[vrf.a]\nports = [\"eth1\"]\n{below}\n");
        Source::new(Path::new("vrf.toml"), &text).read().map_or_else(|error| error.to_string(), |_| String::new())
    }

    #[test]
    fn an_address_is_declared_once() {
        let twice = "addresses = [\n\"192.0.2.1/24 dev eth1\",\n\"192.0.2.1/24 dev eth1 metric 5\"]";
        assert!(mistake(twice).starts_with("vrf.toml:5: declared already"), "{}", mistake(twice));
        let six = "addresses = [\"2001:db8::1/64 dev eth1\", \"2001:db8::1/128 dev eth1\"]";
        assert!(mistake(six).contains("declared already"), "{}", mistake(six));
        let others = "addresses = [\"192.0.2.1/24 dev eth1\", \"192.0.2.1/25 dev eth1\", \"192.0.2.1/24 dev a\"]";
        assert_eq!(mistake(others), "");
    }

    #[test]
    fn a_route_is_declared_once() {
        let six = "routes = [\"default via 2001:db8::1\",\n\"::/0 via 2001:db8::2 metric 1024\"]";
        assert!(mistake(six).starts_with("vrf.toml:4: an earlier route has this destination"), "{}", mistake(six));
        let others =
            "routes = [\"default via 192.0.2.1\", \"default via 192.0.2.2 metric 5\", \"default via 2001:db8::1\"]";
        assert_eq!(mistake(others), "");
    }

    #[test]
    fn a_leak_within_one_domain_is_a_mistake() {
        let leak = "[[leak]]\nfrom = \"a\"\nto = \"a\"\nprefixes = [\"10.0.0.0/8\"]";
        assert!(mistake(leak).starts_with("vrf.toml:5: the domain that the prefixes come from"), "{}", mistake(leak));
    }

    #[test]
    fn a_setting_is_a_number_or_a_text() {
        assert!(mistake("[sysctl]\n\"net.ipv4.ip_forward\" = true").contains("a number, or a text in quotes"));
    }
}

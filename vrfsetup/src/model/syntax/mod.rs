//! Addresses and routes in the words of ip(8): what `ip addr add` and `ip route add` take. The declared state (`apply`,
//! `export`) is written in them. Pure.
//!
//! A word that is not known is refused: what was not understood must not be half applied.

pub mod address;
mod encap;
pub mod route;

use std::net::IpAddr;
use std::str::FromStr;

use crate::model::prefix::Prefix;

/// The words of one line, taken from the front.
struct Tokens<'a>(std::str::SplitWhitespace<'a>);

impl<'a> Tokens<'a> {
    fn of(text: &'a str) -> Self {
        Self(text.split_whitespace())
    }

    fn next(&mut self) -> Option<&'a str> {
        self.0.next()
    }

    /// The word that must follow `after`.
    fn value(&mut self, after: &str) -> Result<&'a str, String> {
        self.0.next().ok_or_else(|| format!("'{after}' needs a value"))
    }

    /// The same, read.
    fn parsed<T: FromStr>(&mut self, after: &str) -> Result<T, String> {
        let word = self.value(after)?;
        word.parse().map_err(|_| format!("'{word}' is no value for '{after}'"))
    }
}

/// `192.0.2.0/24`; without a length, one address.
///
/// # Errors
/// It is something else.
pub fn prefix(word: &str) -> Result<Prefix, String> {
    let (address, len) = word.split_once('/').map_or((word, None), |(address, len)| (address, Some(len)));
    let no_prefix = || format!("'{word}' is no address and no prefix");
    let address: IpAddr = address.parse().map_err(|_| no_prefix())?;
    let full = if address.is_ipv4() { 32 } else { 128 };
    let len = len.map_or(Ok(full), |len| len.parse().map_err(|_| no_prefix()))?;
    if len <= full { Ok((address, len)) } else { Err(no_prefix()) }
}

/// `192.0.2.0/24` as a destination. Bits behind the prefix are left out, as the kernel does for IPv6; for IPv4 it would
/// refuse them without saying which.
///
/// # Errors
/// It is something else, or an IPv4 address with such bits.
pub fn destination(word: &str) -> Result<Prefix, String> {
    let given = prefix(word)?;
    let network = crate::model::prefix::network(given);
    if given.0.is_ipv4() && given != network {
        return Err(format!("'{word}' is no network: '{}/{}' is", network.0, network.1));
    }
    Ok(network)
}

/// A scope by name or number.
fn scope(word: &str) -> Result<u8, String> {
    match word {
        "global" => Ok(0),
        "site" => Ok(200),
        "link" => Ok(253),
        "host" => Ok(254),
        "nowhere" => Ok(255),
        number => number.parse().map_err(|_| format!("'{number}' is no scope")),
    }
}

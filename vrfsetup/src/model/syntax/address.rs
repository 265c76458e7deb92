//! `192.0.2.1/24 brd 192.0.2.255 dev eth1 label eth1:1 metric 5 nodad`.

use super::{Tokens, prefix, scope};
use crate::model::address::{Address, FOREVER, SCOPE_HOST};
use crate::model::device::Device;

/// Flags by their tokens.
const FLAGS: [(&str, u32); 6] = [
    ("nodad", libc::IFA_F_NODAD),
    ("optimistic", libc::IFA_F_OPTIMISTIC),
    ("home", libc::IFA_F_HOMEADDRESS),
    ("mngtmpaddr", libc::IFA_F_MANAGETEMPADDR),
    ("noprefixroute", libc::IFA_F_NOPREFIXROUTE),
    ("autojoin", libc::IFA_F_MCAUTOJOIN),
];

/// Reads an address; its device has a name and no index.
///
/// # Errors
/// What is wrong with it, in tokens.
pub fn parse(text: &str) -> Result<Address, String> {
    let mut tokens = Tokens::of(text);
    let (local, prefix_len) = prefix(tokens.next().ok_or("an address is missing")?)?;
    let device = Device { ifindex: 0, name: String::new() };
    let scope_of = if local.is_loopback() { SCOPE_HOST } else { 0 };
    let mut address = Address {
        device,
        local,
        peer: None,
        prefix_len,
        scope: scope_of,
        flags: 0,
        broadcast: None,
        label: None,
        metric: None,
        is_generated: false,
        lifetimes: (FOREVER, FOREVER),
    };
    while let Some(word) = tokens.next() {
        match word {
            "dev" => tokens.value(word)?.clone_into(&mut address.device.name),
            "brd" | "broadcast" => address.broadcast = Some(tokens.parsed(word)?),
            "label" => address.label = Some(tokens.value(word)?.to_owned()),
            "metric" => address.metric = Some(tokens.parsed(word)?),
            "scope" => address.scope = scope(tokens.value(word)?)?,
            "peer" => {
                let (peer, len) = prefix(tokens.value(word)?)?;
                (address.peer, address.prefix_len) = (Some(peer), len);
            }
            // Deprecated for good: it answers, and nothing new is sent from it.
            "preferred_lft" => match tokens.value(word)? {
                "0" => address.flags |= libc::IFA_F_DEPRECATED,
                other => return Err(format!("'{other}' is state, not configuration: 'preferred_lft' may be 0 only")),
            },
            flag => match FLAGS.iter().find(|(name, _)| *name == flag) {
                Some((_, bit)) => address.flags |= bit,
                None => return Err(format!("'{flag}' is not known in an address")),
            },
        }
    }
    if address.device.name.is_empty() { Err("'dev' is missing".to_owned()) } else { Ok(address) }
}

/// Writes what [`parse`] reads back. Lifetimes that end are state, not configuration, and left out.
pub fn write(address: &Address) -> String {
    let mut text = match address.peer {
        Some(peer) => format!("{} peer {peer}/{}", address.local, address.prefix_len),
        None => format!("{}/{}", address.local, address.prefix_len),
    };
    if let Some(broadcast) = address.broadcast {
        text += &format!(" brd {broadcast}");
    }
    text += &format!(" dev {}", address.device.name);
    if let Some(label) = address.label.as_ref().filter(|label| **label != address.device.name) {
        text += &format!(" label {label}");
    }
    if let Some(metric) = address.metric {
        text += &format!(" metric {metric}");
    }
    if address.scope != 0 && !address.local.is_loopback() {
        text += &format!(" scope {}", address.scope_name());
    }
    let flags = FLAGS.iter().filter(|(_, bit)| address.flags & bit != 0);
    flags.for_each(|(name, _)| text += &format!(" {name}"));
    if address.is_deprecated() {
        text += " preferred_lft 0";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for text in [
            "192.0.2.1/24 dev eth1",
            "192.0.2.1/24 brd 192.0.2.255 dev eth1 label eth1:1 metric 5",
            "192.0.2.1 peer 192.0.2.2/32 dev eth1",
            "2001:db8::1/64 dev eth1 nodad noprefixroute",
            "127.0.0.1/8 dev blue",
            "192.0.2.1/24 dev eth1 scope link",
            "2001:db8::1/64 dev eth1 nodad preferred_lft 0",
        ] {
            assert_eq!(write(&parse(text).unwrap()), text);
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (text, why) in [
            ("", "an address is missing"),
            ("192.0.2.1/33 dev eth1", "'192.0.2.1/33' is no address and no prefix"),
            ("192.0.2.1/24", "'dev' is missing"),
            ("192.0.2.1/24 dev", "'dev' needs a value"),
            ("192.0.2.1/24 dev eth1 nodda", "'nodda' is not known in an address"),
            ("192.0.2.1/24 dev eth1 preferred_lft 9", "'9' is state, not configuration: 'preferred_lft' may be 0 only"),
        ] {
            assert_eq!(parse(text), Err(why.to_owned()));
        }
    }
}

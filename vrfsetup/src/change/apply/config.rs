//! vrf.toml: the declared state, as values. `source` reads them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use toml::Spanned;

use crate::change::tunnel::Receiving;
use crate::model::user_line::UserLine;
use crate::plan::rules::Unreachable;

/// A whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `[rules]`.
    #[serde(default)]
    pub rules: Rules,
    /// `[zones]`.
    #[serde(default)]
    pub zones: Zones,
    /// `[user]`: users by name or number, each with the VRF that its sockets are in.
    #[serde(default)]
    pub user: BTreeMap<String, Spanned<UserLine>>,
    /// Users of lines with a mistake, as they are called there: whose sockets fail, unless they are in a VRF already.
    #[serde(skip)]
    pub closed: BTreeSet<String>,
    /// What does not follow VRFs and ports in this change, because nft cannot look at it or make it.
    #[serde(skip)]
    pub stale: Stale,
    /// `[tunnel]`: tunnels by their interfaces, each with the VRF that its outside is in.
    #[serde(default)]
    pub tunnel: BTreeMap<String, Spanned<String>>,
    /// `[sysctl]`: settings by the names of sysctl(8).
    #[serde(default)]
    pub sysctl: BTreeMap<String, Value>,
    /// `[default]`.
    #[serde(default)]
    pub default: DefaultDomain,
    /// `[vrf.NAME]`.
    #[serde(default)]
    pub vrf: BTreeMap<String, Vrf>,
    /// `[[leak]]`.
    #[serde(default)]
    pub leak: Vec<Leak>,
}

/// Which of vrfsetup's nftables tables are left as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stale {
    /// What tunnels receive: rules and marks follow all the same, which need no nft.
    pub received: bool,
    /// The tunnels' rules and marks as well.
    pub tunnels: bool,
    /// The conntrack zones.
    pub zones: bool,
}

impl Stale {
    /// What becomes of what tunnels receive.
    pub fn receiving(self) -> Receiving {
        if self.received { Receiving::Stays } else { Receiving::Follows }
    }
}

/// What becomes of the routing rules.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// Whether they are fixed.
    pub fix: bool,
    /// What stops packets that a VRF's table has no route for.
    pub unreachable: Unreachable,
}

impl Default for Rules {
    fn default() -> Self {
        Self { fix: true, unreachable: Unreachable::Rule }
    }
}

impl Rules {
    /// Why a VRF that counts on the rule behind l3mdev would not be sealed.
    pub fn leaves_open(&self, vrfs: Unreachable) -> Option<&'static str> {
        let is_removed = self.fix && self.unreachable != Unreachable::Rule;
        (is_removed && vrfs == Unreachable::Rule)
            .then_some("[rules] removes the rule that is to seal this VRF; give [rules] unreachable = \"rule\"")
    }
}

/// What becomes of conntrack zones.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Zones {
    /// Whether each VRF has one; as it is where the file does not say.
    pub on: Option<bool>,
}

/// A setting's value: a number, or whatever sysctl(8) takes, in quotes.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a number, or a text in quotes")]
pub enum Value {
    /// `1`.
    Number(i64),
    /// `"0 2147483647"`.
    Text(String),
}

/// What the domain outside all VRFs has to do with them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DefaultDomain {
    /// Routes of its table, in the words of `ip route add`.
    #[serde(default)]
    pub routes: Vec<Spanned<String>>,
}

/// One VRF.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vrf {
    /// Its table; the one it has, or a free one.
    pub table: Option<Spanned<u32>>,
    /// Whether it has 127.0.0.1/8 and ::1/128.
    #[serde(default = "yes")]
    pub loopback: bool,
    /// How its own table is sealed.
    #[serde(default = "route")]
    pub unreachable: Unreachable,
    /// Whether it is one port, for kernels without the vrf driver.
    #[serde(default)]
    pub emulate: bool,
    /// Its ports.
    #[serde(default)]
    pub ports: Vec<Spanned<String>>,
    /// Addresses of its ports and of itself, in the words of `ip addr add`.
    #[serde(default)]
    pub addresses: Vec<Spanned<String>>,
    /// Routes of its table, in the words of `ip route add`.
    #[serde(default)]
    pub routes: Vec<Spanned<String>>,
}

/// Prefixes of one domain that another one reaches.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leak {
    /// Whose they are: a VRF, or `default`.
    pub from: Spanned<String>,
    /// Who reaches them.
    pub to: Spanned<String>,
    /// The prefixes.
    pub prefixes: Vec<Spanned<String>>,
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

fn yes() -> bool {
    true
}

fn route() -> Unreachable {
    Unreachable::Route
}

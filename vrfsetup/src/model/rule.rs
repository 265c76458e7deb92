//! One routing rule (`ip rule`), as a value.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::model::family::Family;
use crate::model::shell;

/// The table of the machine's own addresses.
pub const TABLE_LOCAL: u32 = 255;
/// The table of the default domain.
pub const TABLE_MAIN: u32 = 254;
/// The table that the last of the kernel's three rules looks up.
pub const TABLE_DEFAULT: u32 = 253;
/// RTPROT_KERNEL: networkd leaves such rules alone at its restart.
pub const PROTOCOL_KERNEL: u8 = 2;

/// What a rule does with a packet that it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Looks it up in the rule's table, or in that of its VRF.
    Lookup,
    /// Goes on at a later rule.
    Goto(u32),
    /// Nothing.
    Nop,
    /// Drops it.
    Blackhole,
    /// Answers EHOSTUNREACH.
    Unreachable,
    /// Answers EACCES.
    Prohibit,
    /// An action that this program does not know.
    Other(u8),
}

/// What narrows a rule. Everything absent: the rule matches all packets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selectors {
    /// `not`: matches what the rest does not.
    pub is_inverted: bool,
    /// `from`.
    pub from: Option<(IpAddr, u8)>,
    /// `to`.
    pub to: Option<(IpAddr, u8)>,
    /// `iif`.
    pub iif: Option<String>,
    /// `oif`.
    pub oif: Option<String>,
    /// `fwmark`: all of its bits, unless a `fwmask` is among the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fwmark: Option<u32>,
    /// Everything else (`tos 0x10`, `uidrange 0-99` …) in the words of ip(8).
    pub others: Vec<String>,
}

/// One rule of one family.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// The family; each has its own list.
    pub family: Family,
    /// The preference: rules are tried from the lowest on.
    pub priority: u32,
    /// What it does.
    pub action: Action,
    /// The table of a lookup; 0 for an l3mdev rule.
    pub table: u32,
    /// Matches the packets of every VRF (4.8).
    pub is_l3mdev: bool,
    /// Who made it (FRA_PROTOCOL, 4.17); None on older kernels.
    pub protocol: Option<u8>,
    /// What it matches.
    pub selectors: Selectors,
}

impl Rule {
    /// `ip rule add pref PRIORITY lookup TABLE protocol kernel`.
    pub fn lookup(family: Family, priority: u32, table: u32) -> Self {
        Self {
            family,
            priority,
            action: Action::Lookup,
            table,
            is_l3mdev: false,
            protocol: Some(PROTOCOL_KERNEL),
            selectors: Selectors::default(),
        }
    }

    /// `ip rule add pref PRIORITY l3mdev protocol kernel`: a packet of a VRF is looked up in the VRF's table.
    pub fn l3mdev(family: Family, priority: u32) -> Self {
        Self { is_l3mdev: true, ..Self::lookup(family, priority, 0) }
    }

    /// `ip rule add pref PRIORITY l3mdev unreachable protocol kernel`: what the VRF's table lacks ends here.
    pub fn l3mdev_unreachable(family: Family, priority: u32) -> Self {
        Self { action: Action::Unreachable, ..Self::l3mdev(family, priority) }
    }

    /// `ip rule add pref PRIORITY unreachable protocol kernel`.
    pub fn stop(family: Family, priority: u32) -> Self {
        Self { action: Action::Unreachable, ..Self::lookup(family, priority, 0) }
    }

    /// Whether it looks up packets of every VRF in the VRF's table.
    pub fn looks_up_vrfs(&self) -> bool {
        self.is_l3mdev && self.action == Action::Lookup
    }

    /// Whether it stops packets of every VRF that no rule before it has found a route for.
    pub fn stops_vrfs(&self) -> bool {
        self.is_l3mdev && self.action == Action::Unreachable
    }

    /// The rule for packets that come in by the device, and the one for those that go out by it.
    pub fn both_ways(self, device: &str) -> [Self; 2] {
        let name = Some(device.to_owned());
        let (mut iif, mut oif) = (self.clone(), self);
        (iif.selectors.iif, oif.selectors.oif) = (name.clone(), name);
        [iif, oif]
    }

    /// The rule for what this machine sends from this address of its own, by whatever socket.
    pub fn of_own_address(self, address: IpAddr) -> Self {
        let length = if address.is_ipv4() { 32 } else { 128 };
        let selectors = Selectors { from: Some((address, length)), iif: Some("lo".to_owned()), ..Selectors::default() };
        Self { selectors, ..self }
    }

    /// The rule for packets with this mark.
    pub fn of_mark(self, mark: u32) -> Self {
        Self { selectors: Selectors { fwmark: Some(mark), ..Selectors::default() }, ..self }
    }

    /// The mark of the tunnels whose outer packets it leads into a VRF's table or stops: by nothing but the mark, and of
    /// protocol kernel, as `vrfsetup tunnel` alone makes them.
    pub fn tunnel_mark(&self) -> Option<u32> {
        let selects_only = |mark| self.selectors == Selectors { fwmark: Some(mark), ..Selectors::default() };
        let is_ours = self.protocol == Some(PROTOCOL_KERNEL)
            && !self.is_l3mdev
            && matches!(self.action, Action::Lookup | Action::Unreachable);
        self.selectors.fwmark.filter(|mark| is_ours && selects_only(*mark))
    }

    /// Whether the two do the same, whoever made them.
    pub fn is_same_as(&self, other: &Self) -> bool {
        Self { protocol: None, ..self.clone() } == Self { protocol: None, ..other.clone() }
    }

    /// Whether it is of protocol kernel. FRA_PROTOCOL came with 4.17; a rule of an older kernel has none, and networkd
    /// there looks for none.
    pub fn is_kernels(&self) -> bool {
        self.protocol.is_none_or(|protocol| protocol == PROTOCOL_KERNEL)
    }

    /// Whether it matches every packet of its family.
    pub fn matches_all(&self) -> bool {
        !self.is_l3mdev && self.selectors == Selectors::default()
    }

    /// The three rules that every network namespace is born with.
    pub fn is_kernels_own(&self) -> bool {
        self.matches_all()
            && self.action == Action::Lookup
            && [TABLE_LOCAL, TABLE_MAIN, TABLE_DEFAULT].contains(&self.table)
    }
}

/// The rule in the words of `ip rule show`.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.priority)?;
        self.write_selectors(f, true)?;
        self.write_action(f)
    }
}

impl Rule {
    /// The rule as the arguments of `ip rule add` and `ip rule del`.
    pub fn arguments(&self) -> impl fmt::Display + '_ {
        struct Arguments<'a>(&'a Rule);
        impl fmt::Display for Arguments<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "pref {}", self.0.priority)?;
                self.0.write_selectors(f, false)?;
                self.0.write_action(f)?;
                match self.0.protocol {
                    None | Some(0) => Ok(()),
                    Some(PROTOCOL_KERNEL) => f.write_str(" protocol kernel"),
                    Some(other) => write!(f, " protocol {other}"),
                }
            }
        }
        Arguments(self)
    }

    /// The line that gives it another preference, without a moment without it.
    pub fn move_command(&self, priority: u32) -> String {
        let (flag, moved) = (self.family.ip_flag(), Self { priority, ..self.clone() });
        format!("ip {flag}rule add {}; ip {flag}rule del {}", moved.arguments(), self.arguments())
    }

    fn write_selectors(&self, f: &mut fmt::Formatter<'_>, says_from_all: bool) -> fmt::Result {
        let selectors = &self.selectors;
        if selectors.is_inverted {
            f.write_str(" not")?;
        }
        match selectors.from {
            Some((address, len)) => write!(f, " from {address}/{len}")?,
            None if says_from_all => f.write_str(" from all")?,
            None => {}
        }
        if let Some((address, len)) = selectors.to {
            write!(f, " to {address}/{len}")?;
        }
        if let Some(iif) = &selectors.iif {
            write!(f, " iif {}", shell::word(iif))?;
        }
        if let Some(oif) = &selectors.oif {
            write!(f, " oif {}", shell::word(oif))?;
        }
        if let Some(mark) = selectors.fwmark {
            write!(f, " fwmark {mark:#x}")?;
        }
        for other in &selectors.others {
            write!(f, " {other}")?;
        }
        if self.is_l3mdev { f.write_str(" l3mdev") } else { Ok(()) }
    }

    fn write_action(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.action {
            Action::Lookup if self.is_l3mdev => Ok(()),
            Action::Lookup => write!(f, " lookup {}", table_name(self.table)),
            Action::Goto(target) => write!(f, " goto {target}"),
            Action::Nop => f.write_str(" nop"),
            Action::Blackhole => f.write_str(" blackhole"),
            Action::Unreachable => f.write_str(" unreachable"),
            Action::Prohibit => f.write_str(" prohibit"),
            Action::Other(action) => write!(f, " action {action}"),
        }
    }
}

/// The three names that every ip(8) knows, and the number of any other table.
pub fn table_name(table: u32) -> String {
    match table {
        TABLE_LOCAL => "local".to_owned(),
        TABLE_MAIN => "main".to_owned(),
        TABLE_DEFAULT => "default".to_owned(),
        _ => table.to_string(),
    }
}

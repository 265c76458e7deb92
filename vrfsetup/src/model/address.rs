//! One address of an interface (`ip addr`), with what is needed to give it back unchanged.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

use crate::model::device::Device;
use crate::model::family::Family;
use crate::model::shell;

/// RT_SCOPE_HOST: valid inside this machine only.
pub const SCOPE_HOST: u8 = 254;
/// RT_SCOPE_LINK: valid on this link only.
pub const SCOPE_LINK: u8 = 253;
/// A lifetime without end.
pub const FOREVER: u32 = u32::MAX;

/// An address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The interface that it is on.
    pub device: Device,
    /// The address itself.
    pub local: IpAddr,
    /// The other end, on a point-to-point link.
    pub peer: Option<IpAddr>,
    /// The length of the network's prefix.
    pub prefix_len: u8,
    /// RT_SCOPE_*.
    pub scope: u8,
    /// Whether the kernel says that it made this link-local address by itself (5.18), and so makes it again.
    #[serde(default)]
    pub is_generated: bool,
    /// IFA_F_* bits.
    pub flags: u32,
    /// The broadcast address.
    pub broadcast: Option<Ipv4Addr>,
    /// The label (`eth0:1`), IPv4 only.
    pub label: Option<String>,
    /// The metric of the prefix route (4.18).
    pub metric: Option<u32>,
    /// Seconds for which it is valid, and preferred.
    pub lifetimes: (u32, u32),
}

impl Address {
    /// Whether the kernel has yet to find out if somebody else has this address.
    pub fn is_tentative(&self) -> bool {
        self.flags & (libc::IFA_F_TENTATIVE | libc::IFA_F_DADFAILED) == libc::IFA_F_TENTATIVE
    }

    /// Whether it answers, and nothing new is sent from it, for good. Of an IPv4 address the kernel says so by the flag alone.
    pub fn is_deprecated(&self) -> bool {
        self.flags & libc::IFA_F_DEPRECATED != 0 && self.lifetimes.0 == FOREVER
    }

    /// An address that the machine has in this VRF alone, as `ip addr add 127.0.0.1/8 dev VRF` makes it, or `ip addr
    /// add ::1/128 dev VRF nodad`: after a detection, even one that has nobody to ask, the kernel walks through the
    /// IPv6 routes of all tables.
    pub fn loopback(device: &Device, family: Family) -> Self {
        let (local, prefix_len, flags) = match family {
            Family::V4 => (IpAddr::from([127, 0, 0, 1]), 8, 0),
            Family::V6 => (IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]), 128, libc::IFA_F_NODAD),
        };
        Self {
            device: device.clone(),
            local,
            peer: None,
            prefix_len,
            scope: SCOPE_HOST,
            is_generated: false,
            flags: libc::IFA_F_PERMANENT | flags,
            broadcast: None,
            label: None,
            metric: None,
            lifetimes: (FOREVER, FOREVER),
        }
    }

    /// Whether it looks like one by DHCP. The IPv6 ones are single; those that come with router advertisements have the
    /// length of the link's prefix.
    pub fn is_by_dhcp(&self) -> bool {
        let is_temporary = self.flags & libc::IFA_F_TEMPORARY != 0 && self.family() == Family::V6;
        let is_single = self.prefix_len == 128 && self.scope != SCOPE_LINK;
        self.lifetimes.0 != FOREVER && !is_temporary && (self.family() == Family::V4 || is_single)
    }

    /// Whether somebody configured it: not the kernel (link-local), and no DHCP client or router advertisement.
    pub fn is_configured(&self) -> bool {
        self.lifetimes.0 == FOREVER && !(self.family() == Family::V6 && self.scope == SCOPE_LINK)
    }

    pub fn family(&self) -> Family {
        self.local.into()
    }

    /// Whether it is the same address of the same interface, whatever its lifetime and flags are. An IPv4 address may be on
    /// it once for each peer.
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.device.ifindex == other.device.ifindex && self.is_same_elsewhere(other)
    }

    /// The same where the interface is another, or has no number yet.
    pub fn is_same_elsewhere(&self, other: &Self) -> bool {
        let is_of_peer = self.family() == Family::V6 || self.peer == other.peer;
        is_of_peer && (self.local, self.prefix_len) == (other.local, other.prefix_len)
    }

    /// The scope by the name of `ip -j addr`.
    pub fn scope_name(&self) -> String {
        match self.scope {
            0 => "global".to_owned(),
            200 => "site".to_owned(),
            SCOPE_LINK => "link".to_owned(),
            SCOPE_HOST => "host".to_owned(),
            other => other.to_string(),
        }
    }

    /// The address as the arguments of `ip addr add` and `ip addr del`.
    pub fn arguments(&self) -> impl fmt::Display + '_ {
        struct Arguments<'a>(&'a Address);
        impl fmt::Display for Arguments<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let Address { device, local, peer, prefix_len, broadcast, label, .. } = self.0;
                match peer {
                    Some(peer) => write!(f, "{local} peer {peer}/{prefix_len}")?,
                    None => write!(f, "{local}/{prefix_len}")?,
                }
                if let Some(broadcast) = broadcast {
                    write!(f, " brd {broadcast}")?;
                }
                write!(f, " dev {}", device.word())?;
                match label {
                    Some(label) if *label != device.name => write!(f, " label {}", shell::word(label))?,
                    _ => {}
                }
                if self.0.flags & libc::IFA_F_NODAD != 0 {
                    f.write_str(" nodad")?;
                }
                match self.0.lifetimes {
                    (FOREVER, FOREVER) => Ok(()),
                    (valid, preferred) => write!(f, " valid_lft {valid} preferred_lft {preferred}"),
                }
            }
        }
        Arguments(self)
    }
}

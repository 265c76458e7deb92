//! The two address families that a VRF routes.

use std::fmt;
use std::net::IpAddr;

use rtnetlink::packet_route::AddressFamily;
use serde::{Deserialize, Serialize};

/// An address family; its JSON names are those of `ip -j`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Family {
    /// AF_INET.
    #[serde(rename = "inet")]
    V4,
    /// AF_INET6.
    #[serde(rename = "inet6")]
    V6,
}

impl Family {
    /// The flag that makes ip(8) speak of this family.
    pub fn ip_flag(self) -> &'static str {
        match self {
            Self::V4 => "",
            Self::V6 => "-6 ",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "ipv4",
            Self::V6 => "ipv6",
        })
    }
}

impl From<Family> for AddressFamily {
    fn from(family: Family) -> Self {
        match family {
            Family::V4 => Self::Inet,
            Family::V6 => Self::Inet6,
        }
    }
}

impl TryFrom<AddressFamily> for Family {
    type Error = ();

    fn try_from(family: AddressFamily) -> Result<Self, ()> {
        match family {
            AddressFamily::Inet => Ok(Self::V4),
            AddressFamily::Inet6 => Ok(Self::V6),
            _ => Err(()),
        }
    }
}

impl From<IpAddr> for Family {
    fn from(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

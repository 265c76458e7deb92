//! One entry that somebody made in a neighbour table (`ip neigh`): one that the kernel does not probe, or an address that is
//! answered for.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::model::device::Device;
use crate::model::link::Link;

/// A permanent neighbour, one that is `nud noarp`, or, without a link-layer address, a proxy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbour {
    /// The interface that it is on.
    pub device: Device,
    pub address: IpAddr,
    /// Its link-layer address; a proxy has none.
    pub link_address: Vec<u8>,
    /// Whether this machine answers for the address (`ip neigh add proxy`).
    pub is_proxy: bool,
    /// Whether it is `nud noarp` instead of permanent.
    #[serde(default)]
    pub is_noarp: bool,
    /// NTF_ROUTER and the like.
    pub flags: u8,
    /// Who made it (RTPROT_*), from 5.3 on.
    pub protocol: Option<u8>,
}

/// The entry as the arguments of `ip neigh add` and `ip neigh del`.
impl fmt::Display for Neighbour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { device, address, .. } = self;
        if self.is_proxy {
            return write!(f, "proxy {address} dev {}", device.word());
        }
        write!(f, "{address} lladdr ")?;
        for (place, byte) in self.link_address.iter().enumerate() {
            write!(f, "{}{byte:02x}", if place == 0 { "" } else { ":" })?;
        }
        let state = if self.is_noarp { "noarp" } else { "permanent" };
        write!(f, " dev {} nud {state}", device.word())
    }
}

impl Neighbour {
    /// Whether the kernel made it by itself on such an interface: it asks nobody for the link-layer address of a group, of
    /// the broadcast address, nor anybody where an interface has no use for such addresses.
    pub fn is_kernels_own(&self, link: &Link) -> bool {
        const NONE_ASKED: i32 = libc::IFF_NOARP | libc::IFF_LOOPBACK | libc::IFF_POINTOPOINT;
        let is_broadcast = self.link_address.iter().all(|&byte| byte == 0xff);
        self.is_noarp && (self.address.is_multicast() || is_broadcast || link.flags & NONE_ASKED as u32 != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_read_like_the_commands_that_make_them() {
        let device = Device { ifindex: 3, name: "eth1".into() };
        let address = "192.0.2.9".parse().unwrap();
        let mut neighbour = Neighbour {
            device,
            address,
            link_address: vec![2, 0, 0, 0, 0, 9],
            is_proxy: false,
            is_noarp: false,
            flags: 0,
            protocol: None,
        };
        assert_eq!(neighbour.to_string(), "192.0.2.9 lladdr 02:00:00:00:00:09 dev eth1 nud permanent");
        neighbour.is_noarp = true;
        assert_eq!(neighbour.to_string(), "192.0.2.9 lladdr 02:00:00:00:00:09 dev eth1 nud noarp");
        let link = Link::plain(3, "eth1", None);
        assert!(!neighbour.is_kernels_own(&link));
        assert!(neighbour.is_kernels_own(&Link { flags: libc::IFF_NOARP as u32, ..link.clone() }));
        let all = Neighbour { link_address: vec![0xff; 6], ..neighbour.clone() };
        let group = Neighbour { address: "224.0.0.22".parse().unwrap(), ..neighbour.clone() };
        assert!(all.is_kernels_own(&link) && group.is_kernels_own(&link));
        neighbour.is_proxy = true;
        assert_eq!(neighbour.to_string(), "proxy 192.0.2.9 dev eth1");
    }
}

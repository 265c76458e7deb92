//! One entry that somebody made in a neighbour table (`ip neigh`): a permanent one, or an address that is answered for.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::model::device::Device;

/// A permanent neighbour or, without a link-layer address, a proxy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbour {
    /// The interface that it is on.
    pub device: Device,
    pub address: IpAddr,
    /// Its link-layer address; a proxy has none.
    pub link_address: Vec<u8>,
    /// Whether this machine answers for the address (`ip neigh add proxy`).
    pub is_proxy: bool,
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
            return write!(f, "proxy {address} dev {}", device.name);
        }
        write!(f, "{address} lladdr ")?;
        for (place, byte) in self.link_address.iter().enumerate() {
            write!(f, "{}{byte:02x}", if place == 0 { "" } else { ":" })?;
        }
        write!(f, " dev {} nud permanent", device.name)
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
            flags: 0,
            protocol: None,
        };
        assert_eq!(neighbour.to_string(), "192.0.2.9 lladdr 02:00:00:00:00:09 dev eth1 nud permanent");
        neighbour.is_proxy = true;
        assert_eq!(neighbour.to_string(), "proxy 192.0.2.9 dev eth1");
    }
}

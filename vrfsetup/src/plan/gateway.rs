//! By which port a declared route's gateway is reached. The kernel would look for a gateway that the VRF's own table
//! does not know in the default domain, and the route would lead out of the VRF. Pure.

use std::net::IpAddr;

use crate::model::address::Address;
use crate::model::prefix::contains;
use crate::model::route::Route;
use crate::model::syntax;
use crate::plan::system::System;

/// The networks that a VRF's ports are in.
#[derive(Debug, Default)]
pub struct Networks {
    ports: Vec<String>,
    known: Vec<((IpAddr, u8), String)>,
}

impl Networks {
    /// None yet, of a VRF with these ports. What leads elsewhere, as a leak does into another VRF, reaches no gateway.
    pub fn of(ports: impl IntoIterator<Item = String>) -> Self {
        Self { ports: ports.into_iter().collect(), known: Vec::new() }
    }

    /// The network that the kernel makes a route to with this address.
    pub fn add_address(&mut self, address: &Address) {
        if address.flags & libc::IFA_F_NOPREFIXROUTE == 0 {
            let network = (address.peer.unwrap_or(address.local), address.prefix_len);
            self.add(network, &address.device.name);
        }
    }

    /// What a route without a gateway reaches.
    pub fn add_route(&mut self, route: &Route) {
        if let (true, None, Some(network), Some(device)) =
            (route.is_unicast(), route.gateway(), route.destination(), &route.device)
        {
            self.add(network, device);
        }
    }

    fn add(&mut self, network: (IpAddr, u8), device: &str) {
        if self.ports.iter().any(|port| port == device) {
            self.known.push((network, device.to_owned()));
        }
    }

    /// Gives a route that names only its gateway the port by which that is reached.
    ///
    /// # Errors
    /// A gateway that is in no network of the VRF, in words.
    pub fn complete(&self, route: &mut Route) -> Result<(), String> {
        if let (None, Some(gateway)) = (&route.device, route.gateway()) {
            route.device = Some(self.port_of(gateway)?.to_owned());
        }
        route.next_hops().iter().filter_map(|hop| hop.gateway).try_for_each(|gateway| self.port_of(gateway).map(drop))
    }

    fn port_of(&self, gateway: IpAddr) -> Result<&str, String> {
        let around = self.known.iter().filter(|(network, _)| contains(*network, gateway));
        let nearest = around.max_by_key(|((_, len), _)| *len).map(|(_, device)| device.as_str());
        nearest.ok_or_else(|| format!("no port has a network with {gateway}: name it, as in 'dev eth1 onlink'"))
    }
}

/// The words by which a file declares the route that is there: an export writes them, and `--prune` leaves what has none.
pub fn words(system: &System, route: &Route) -> Option<String> {
    if is_vague(system, route) { None } else { syntax::route::write(route) }
}

/// Whether one of several next hops would lead over another interface if only its gateway were named: an interface of its
/// domain has a network with that which is no larger than its own.
fn is_vague(system: &System, route: &Route) -> bool {
    let vrf_of = |ifindex| system.link_by_index(ifindex).and_then(|link| system.vrf_of(link)).map(|vrf| vrf.ifindex);
    let is_of =
        |address: &Address, gateway| contains((address.peer.unwrap_or(address.local), address.prefix_len), gateway);
    route.next_hops().iter().any(|hop| {
        let Some(gateway) = hop.gateway else { return false };
        let around = system.addresses.iter().filter(|address| is_of(address, gateway));
        let (own, others): (Vec<_>, Vec<_>) = around.partition(|address| address.device.ifindex == hop.ifindex);
        let nearest = own.iter().map(|address| address.prefix_len).max().unwrap_or_default();
        let domain = vrf_of(hop.ifindex);
        others.iter().any(|other| other.prefix_len >= nearest && vrf_of(other.device.ifindex) == domain)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks() -> Networks {
        let mut networks = Networks::of(["eth1", "eth2", "eth3"].map(str::to_owned));
        for text in ["192.0.2.1/24 dev eth1", "203.0.113.1/24 dev eth2 noprefixroute", "2001:db8::1/64 dev eth1"] {
            networks.add_address(&syntax::address::parse(text).unwrap());
        }
        networks.add_route(&syntax::route::parse("192.0.2.128/25 dev eth3", 10).unwrap());
        networks.add_route(&syntax::route::parse("198.51.100.0/24 dev red", 10).unwrap());
        networks
    }

    fn completed(text: &str) -> Result<Option<String>, String> {
        let mut route = syntax::route::parse(text, 10).unwrap();
        networks().complete(&mut route).map(|()| route.device)
    }

    #[test]
    fn a_gateway_is_reached_by_the_nearest_network() {
        assert_eq!(completed("default via 192.0.2.7"), Ok(Some("eth1".into())));
        assert_eq!(completed("default via 192.0.2.200"), Ok(Some("eth3".into())));
        assert_eq!(completed("default via 2001:db8::7"), Ok(Some("eth1".into())));
        assert_eq!(completed("default via 198.51.100.1 dev eth9"), Ok(Some("eth9".into())));
        assert_eq!(completed("198.51.100.0/24 nexthop via 192.0.2.7 nexthop via 192.0.2.200"), Ok(None));
    }

    #[test]
    fn a_gateway_outside_the_vrf_is_refused() {
        for text in ["default via 198.51.100.1", "default via 203.0.113.9", "198.18.0.0/15 nexthop via 198.51.100.1"] {
            assert!(completed(text).unwrap_err().contains("no port has a network with"), "{text}");
        }
    }
}

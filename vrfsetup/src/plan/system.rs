//! The interfaces, addresses and routes of this network namespace, read once per command.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::error::Error;
use crate::model::address::Address;
use crate::model::family::Family;
use crate::model::link::Link;
use crate::model::nexthop::Nexthop;
use crate::model::prefix::contains;
use crate::model::route::Route;
use crate::model::rule::Rule;
use crate::sys::families;
use crate::sys::netlink::Kernel;

/// What is there. Lookups take constant time: there may be thousands of VRFs.
pub struct System {
    /// All interfaces, in the kernel's order.
    pub links: Vec<Link>,
    /// All addresses, with the names of their interfaces.
    pub addresses: Vec<Address>,
    by_index: HashMap<u32, usize>,
    by_name: HashMap<String, usize>,
    ports: HashMap<u32, Vec<usize>>,
    addresses_of: HashMap<u32, Vec<usize>>,
    uppers: HashMap<u32, Vec<usize>>,
}

impl System {
    /// Reads interfaces and addresses.
    ///
    /// # Errors
    /// The kernel's own.
    pub fn read(kernel: &Kernel) -> Result<Self, Error> {
        let links = kernel.links().map_err(Error::unreadable("the interfaces"))?;
        let addresses = kernel.addresses().map_err(Error::unreadable("the addresses"))?;
        Ok(Self::new(links, addresses))
    }

    /// Puts together what was read.
    pub fn new(links: Vec<Link>, mut addresses: Vec<Address>) -> Self {
        let by_index: HashMap<u32, usize> = links.iter().enumerate().map(|(at, link)| (link.ifindex, at)).collect();
        let altnames =
            |(at, link): (usize, &Link)| link.altnames.iter().map(|name| (name.clone(), at)).collect::<Vec<_>>();
        let mut by_name: HashMap<String, usize> = links.iter().enumerate().flat_map(altnames).collect();
        by_name.extend(links.iter().enumerate().map(|(at, link)| (link.name.clone(), at)));
        let mut ports: HashMap<u32, Vec<usize>> = HashMap::new();
        for (at, link) in links.iter().enumerate() {
            if let Some(master) = link.master {
                ports.entry(master).or_default().push(at);
            }
        }
        let mut uppers: HashMap<u32, Vec<usize>> = HashMap::new();
        for (at, link) in links.iter().enumerate() {
            link.lower.into_iter().for_each(|lower| uppers.entry(lower).or_default().push(at));
        }
        let mut addresses_of: HashMap<u32, Vec<usize>> = HashMap::new();
        for (at, address) in addresses.iter_mut().enumerate() {
            addresses_of.entry(address.device.ifindex).or_default().push(at);
            if let Some(&link) = by_index.get(&address.device.ifindex) {
                address.device.name.clone_from(&links[link].name);
            }
        }
        Self { links, addresses, by_index, by_name, ports, addresses_of, uppers }
    }

    /// All routes of all tables, both families, with the names of their interfaces.
    ///
    /// # Errors
    /// The kernel's own.
    pub fn routes(&self, kernel: &Kernel) -> Result<Vec<Route>, Error> {
        let mut all = Vec::new();
        for family in families::available() {
            all.extend(kernel.routes(family, None).map_err(Error::unreadable(format!("the {family} routes")))?);
        }
        lead_over_nexthops(kernel, &mut all)?;
        for route in &mut all {
            route.device = route.oif().and_then(|oif| self.link_by_index(oif)).map(|link| link.name.clone());
        }
        Ok(all)
    }

    /// The interface of this name, or of this other name.
    pub fn link(&self, name: &str) -> Option<&Link> {
        self.by_name.get(name).map(|&at| &self.links[at])
    }

    /// The interface of this index.
    pub fn link_by_index(&self, ifindex: u32) -> Option<&Link> {
        self.by_index.get(&ifindex).map(|&at| &self.links[at])
    }

    /// The interface of this name.
    ///
    /// # Errors
    /// There is none.
    pub fn existing(&self, name: &str) -> Result<&Link, Error> {
        self.link(name).ok_or_else(|| Error::NoSuchLink(name.to_owned()))
    }

    /// The VRF of this name.
    ///
    /// # Errors
    /// There is none, or it is something else.
    pub fn existing_vrf(&self, name: &str) -> Result<&Link, Error> {
        let link = self.existing(name)?;
        if link.is_vrf() { Ok(link) } else { Err(Error::NotAVrf(name.to_owned())) }
    }

    pub fn vrfs(&self) -> impl Iterator<Item = &Link> {
        self.links.iter().filter(|link| link.is_vrf())
    }

    /// The VRF that an interface is or is a port of; None in the default domain.
    pub fn vrf_of(&self, link: &Link) -> Option<&Link> {
        if link.is_vrf() {
            return self.link_by_index(link.ifindex);
        }
        // A bridge or bond may stand between the two, and cannot stand in a circle.
        self.vrf_of(self.link_by_index(link.master?)?)
    }

    /// The VRF in whose list of TCP ports the kernel puts a socket that is bound to a device of this index; 0 in that of the
    /// default domain, as where the device is gone.
    pub fn tcp_list_of(&self, device: u32) -> u32 {
        let vrf = self.link_by_index(device).filter(|link| !link.is_vrf()).map_or(Some(device), |link| link.master);
        vrf.filter(|vrf| self.link_by_index(*vrf).is_some_and(Link::is_vrf)).unwrap_or(0)
    }

    /// Whether somebody configured a route: neither the kernel nor a daemon made it, to make it again. dhclient-script gives its
    /// default route no protocol: that is known by its gateway, in the network of an address with a lifetime.
    pub fn is_configured(&self, route: &Route) -> bool {
        let is_default = route.is_default() && route.family() == Family::V4 && route.is_without_protocol();
        let leased = |ifindex| self.addresses_of(ifindex).filter(|own| own.family() == Family::V4 && own.is_by_dhcp());
        let gateway = route.gateway().filter(|_| is_default);
        let is_clients = gateway.is_some_and(|gateway| {
            route.oif().into_iter().flat_map(leased).any(|own| contains((own.local, own.prefix_len), gateway))
        });
        route.is_configured() && !is_clients
    }

    /// The ports of a VRF.
    pub fn ports(&self, vrf: &Link) -> impl Iterator<Item = &Link> {
        self.ports.get(&vrf.ifindex).into_iter().flatten().map(|&at| &self.links[at])
    }

    /// The interfaces that stand upon this one: VLANs, macvlans, tunnels, and what stands upon these.
    pub fn above(&self, link: &Link) -> Vec<&Link> {
        let upon = |lower: u32| self.uppers.get(&lower).into_iter().flatten().map(|&at| &self.links[at]);
        let mut above: Vec<&Link> = upon(link.ifindex).collect();
        let mut at = 0;
        while let Some(lower) = above.get(at).map(|lower| lower.ifindex) {
            let is_new = |upper: &&Link| above.iter().all(|known| known.ifindex != upper.ifindex);
            let more: Vec<&Link> = upon(lower).filter(is_new).collect();
            above.extend(more);
            at += 1;
        }
        above
    }

    /// The addresses of an interface.
    pub fn addresses_of(&self, ifindex: u32) -> impl Iterator<Item = &Address> {
        self.addresses_of.get(&ifindex).into_iter().flatten().map(|&at| &self.addresses[at])
    }

    /// Whether the machine itself has this address.
    pub fn is_own(&self, address: IpAddr) -> bool {
        address.is_loopback() || self.addresses.iter().any(|own| own.local == address)
    }
}

/// With `nexthop_compat_mode` 0 the kernel tells only the number of a route's nexthop object.
fn lead_over_nexthops(kernel: &Kernel, routes: &mut [Route]) -> Result<(), Error> {
    let is_bare = |route: &Route| route.nexthop().is_some() && route.oifs().is_empty();
    if !routes.iter().any(is_bare) {
        return Ok(());
    }
    let nexthops = kernel.nexthops().map_err(Error::unreadable("the nexthop objects"))?;
    let by_id: HashMap<u32, &Nexthop> = nexthops.iter().map(|nexthop| (nexthop.id, nexthop)).collect();
    for route in routes.iter_mut().filter(|route| is_bare(route)) {
        let Some(nexthop) = route.nexthop().and_then(|id| by_id.get(&id)) else { continue };
        let members = nexthop.members.iter().filter_map(|id| by_id.get(id)?.oif);
        route.lead_over_all(&nexthop.oif.into_iter().chain(members).collect::<Vec<_>>());
    }
    Ok(())
}

/// The interface of this name, without a look at the others.
///
/// # Errors
/// There is none.
pub fn link(kernel: &Kernel, name: &str) -> Result<Link, Error> {
    kernel.link(name).map_err(|_| Error::NoSuchLink(name.to_owned()))
}

/// All rules of both families.
///
/// # Errors
/// The kernel's own.
pub fn rules(kernel: &Kernel) -> Result<Vec<Rule>, Error> {
    let mut all = Vec::new();
    for family in families::available() {
        all.extend(kernel.rules(family).map_err(Error::unreadable(format!("the {family} rules")))?);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::address::FOREVER;
    use crate::model::syntax;

    #[test]
    fn a_port_of_a_vrf_has_its_list_and_what_is_gone_that_of_the_default_domain() {
        let port = |ifindex, name, master| Link { master, ..Link::plain(ifindex, name, None) };
        let bridge = Link { kind: Some("bridge".to_owned()), ..port(5, "br0", Some(3)) };
        let links = vec![port(2, "eth0", None), Link::plain(3, "blue", Some(10)), port(4, "blue0", Some(3)), bridge];
        let system = System::new([links, vec![port(6, "eth1", Some(5))]].concat(), Vec::new());
        for (device, list) in [(0, 0), (2, 0), (3, 3), (4, 3), (5, 3), (6, 0), (9, 0)] {
            assert_eq!(system.tcp_list_of(device), list, "{device}");
        }
    }

    #[test]
    fn a_default_route_through_a_leases_network_is_the_clients() {
        let system = |lifetime: u32| {
            let mut own = syntax::address::parse("192.0.2.7/24 dev eth1").unwrap();
            own.device.ifindex = 3;
            own.lifetimes = (lifetime, lifetime);
            System::new(vec![Link::plain(3, "eth1", None)], vec![own])
        };
        let is_configured = |words: &str, lifetime: u32| {
            let mut route = syntax::route::parse(words, 10).unwrap();
            route.lead_over(|_| Some(3));
            system(lifetime).is_configured(&route)
        };
        let (dhclients, lease) = ("default via 192.0.2.254 dev eth1", 600);
        assert!(!is_configured(dhclients, lease));
        assert!(is_configured(dhclients, FOREVER), "no lease");
        for other in ["default via 198.51.100.1 dev eth1", "203.0.113.0/24 via 192.0.2.254 dev eth1"] {
            assert!(is_configured(other, lease), "{other}");
        }
        assert!(is_configured("default via 192.0.2.254 dev eth1 proto static", lease));
        assert!(!is_configured("default via 192.0.2.254 dev eth1 proto dhcp", lease));
    }
}

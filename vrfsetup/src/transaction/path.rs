//! By which interfaces a connection's packets leave: through tunnels, the packets around them as well.
//!
//! Asks the kernel and changes nothing. Of a tunnel whose packets each have ends of their own, and of those that others than
//! the kernel send (OpenVPN, IPsec), nobody knows what is around which connection.

use std::collections::{HashMap, HashSet};

use crate::model::flow::Flow;
use crate::model::link::Link;
use crate::model::route::Route;
use crate::plan::outsides;
use crate::plan::system::System;
use crate::sys::netlink::{Kernel, wireguard};
use crate::sys::sock_diag::Connection;

/// One routing of packets on their way.
pub struct Hop<'a> {
    pub flow: Flow,
    /// The route that they take.
    pub route: Route,
    /// The interface that they leave by, and what it stands upon: what is below a VLAN, the ports of a bridge.
    pub links: Vec<&'a Link>,
}

/// The paths of connections.
pub struct Paths<'a> {
    kernel: &'a Kernel,
    system: &'a System,
    /// What is around tunnels, by their indices: many connections may go through one.
    around: HashMap<u32, Vec<Flow>>,
}

impl<'a> Paths<'a> {
    pub fn new(kernel: &'a Kernel, system: &'a System) -> Self {
        Self { kernel, system, around: HashMap::new() }
    }

    /// The connection's own packets first; none that have no route.
    pub fn of(&mut self, connection: &Connection) -> Vec<Hop<'a>> {
        let (to, from) = (connection.peer.0, Some(connection.local.0));
        let mut waiting = vec![Flow { to, from, oif: connection.bound, mark: 0 }];
        let (mut hops, mut seen) = (Vec::new(), HashSet::new());
        while let Some(flow) = waiting.pop() {
            let Ok(route) = self.kernel.route_of(&flow) else { continue };
            let links = self.upon(route.oif());
            // A tunnel may lead to itself.
            for link in links.iter().filter(|link| seen.insert(link.ifindex)) {
                waiting.extend(self.around(link).iter().cloned());
            }
            hops.push(Hop { flow, route, links });
        }
        hops
    }

    fn upon(&self, oif: Option<u32>) -> Vec<&'a Link> {
        let system = self.system;
        let mut links: Vec<&Link> = oif.and_then(|oif| system.link_by_index(oif)).into_iter().collect();
        let mut at = 0;
        while let Some(link) = links.get(at).copied() {
            let below = link.lower.and_then(|lower| system.link_by_index(lower));
            let ports = system.ports(link).filter(|_| !link.is_vrf());
            let is_new = |other: &&Link| links.iter().all(|known| known.ifindex != other.ifindex);
            let more: Vec<&Link> = ports.chain(below).filter(is_new).collect();
            links.extend(more);
            at += 1;
        }
        links
    }

    fn around(&mut self, link: &Link) -> &[Flow] {
        self.around.entry(link.ifindex).or_insert_with(|| match link.kind.as_deref() {
            Some("wireguard") => wireguard::flows(link.ifindex).unwrap_or_default(),
            _ if outsides::is_changed(link) => {
                self.kernel.flow_around(&link.device()).ok().flatten().into_iter().collect()
            }
            _ => Vec::new(),
        })
    }
}

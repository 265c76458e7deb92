//! By which interfaces a connection's packets leave: through tunnels, the packets around them as well.
//!
//! Asks the kernel and changes nothing. Of IPsec these are the packets of its states that belong to an interface, for the one
//! by which policies take what has none the kernel does not tell. Of a tunnel whose packets each have ends of their own, and
//! of one that a program makes (OpenVPN), nobody knows what is around which connection.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use crate::model::flow::Flow;
use crate::model::link::Link;
use crate::model::route::Route;
use crate::plan::outsides;
use crate::plan::system::System;
use crate::sys::netlink::ipsec::{self, State};
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

    /// The connection's own packets first; none that have no route. What the kernel does not tell of a tunnel counts as
    /// nothing around it.
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
        let (kernel, system) = (self.kernel, self.system);
        self.around.entry(link.ifindex).or_insert_with(|| flows(kernel, system, link))
    }
}

fn flows(kernel: &Kernel, system: &System, link: &Link) -> Vec<Flow> {
    let named = || kernel.flow_around(&link.device()).ok().flatten();
    match link.kind.as_deref() {
        Some("wireguard") => wireguard::flows(link.ifindex).unwrap_or_default(),
        _ if link.is_of_elsewhere => Vec::new(),
        Some("vxlan") => {
            let own = kernel.own_end(&link.device()).ok().flatten();
            of_vxlan(link, own, named(), kernel.far_ends(link.ifindex).unwrap_or_default())
        }
        Some("xfrm") => {
            let number = kernel.xfrm_number(&link.device()).ok().flatten();
            let is_its = |state: &State| number.is_some_and(|number| number != 0 && state.interface == number);
            of_states(system, link.lower.unwrap_or(0), ipsec::states().unwrap_or_default().into_iter().filter(is_its))
        }
        Some("vti" | "vti6") => named().map(|named| of_vti(system, link, named)).unwrap_or_default(),
        _ if outsides::is_changed(link) => named().into_iter().collect(),
        _ => Vec::new(),
    }
}

/// To the far end that it was made with, and to those that it has been told of or has learned. It may have been made with a
/// device and no far end.
fn of_vxlan(link: &Link, own: Option<IpAddr>, named: Option<Flow>, others: Vec<(IpAddr, u32)>) -> Vec<Flow> {
    let device = link.lower.unwrap_or(0);
    let others: HashSet<(IpAddr, u32)> =
        others.into_iter().map(|(to, oif)| (to, if oif == 0 { device } else { oif })).collect();
    let other = |(to, oif): (IpAddr, u32)| {
        let from = own.filter(|own| own.is_ipv4() == to.is_ipv4());
        Flow { to, from, oif, mark: 0 }
    };
    named.into_iter().chain(others.into_iter().map(other)).collect()
}

/// As its states have it; without one it sends nothing yet. It sends by the VRF that it is a port of.
fn of_vti(system: &System, link: &Link, named: Flow) -> Vec<Flow> {
    let vrf = system.vrf_of(link).map_or(0, |vrf| vrf.ifindex);
    let is_its = |state: &State| state.to == named.to && named.from.is_none_or(|from| state.from == from);
    let flows = of_states(system, vrf, ipsec::states().unwrap_or_default().into_iter().filter(is_its));
    if flows.is_empty() { vec![Flow { oif: vrf, ..named }] } else { flows }
}

/// Of those that are sent by; what comes in has its end here.
fn of_states(system: &System, oif: u32, states: impl Iterator<Item = State>) -> Vec<Flow> {
    let sent = states.filter(|state| system.is_own(state.from));
    sent.map(|State { to, from, mark, .. }| Flow { to, from: Some(from), oif, mark }).collect()
}

//! Moving an interface between routing domains with all that it has. Pure: what is there in, steps out.
//!
//! The kernel takes an interface down and up when it becomes a port or ceases to be one. IPv4 addresses and the routes
//! that belong to addresses survive that; other routes do not, and IPv6 addresses only if `keep_addr_on_down` says so
//! (4.6), which keeps neither those with a lifetime nor link-local ones. Whatever would be lost is therefore deleted
//! and added in steps of its own: a rollback has it all.

use crate::error::Error;
use crate::model::address::{Address, FOREVER, SCOPE_LINK};
use crate::model::device::Device;
use crate::model::family::Family;
use crate::model::link::Link;
use crate::model::prefix::contains;
use crate::model::route::Route;
use crate::model::rule::TABLE_MAIN;
use crate::model::step::Step;

/// A routing domain: a VRF, or, without a device, the default one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    /// The VRF's device.
    pub device: Option<Device>,
    /// Its table.
    pub table: u32,
}

impl Domain {
    /// The domain of everything that is in no VRF.
    pub fn default_domain() -> Self {
        Self { device: None, table: TABLE_MAIN }
    }

    /// The domain of a VRF.
    pub fn of(vrf: &Link) -> Self {
        Self { device: Some(vrf.device()), table: vrf.table.unwrap_or(TABLE_MAIN) }
    }

    /// Whether it is the one outside all VRFs.
    pub fn is_default(&self) -> bool {
        self.device.is_none()
    }
}

/// An interface with what a move concerns.
#[derive(Clone, Debug)]
pub struct Port<'a> {
    /// The interface.
    pub link: &'a Link,
    /// Its addresses.
    pub addresses: Vec<&'a Address>,
    /// The routes of all tables that lead over it.
    pub routes: Vec<&'a Route>,
    /// The value of its `keep_addr_on_down`; None before 4.6, or where it does not matter.
    pub keeps_addresses: Option<String>,
    /// What becomes of a default route that would compete with the default domain's own.
    pub rivals: Rivals<'a>,
}

/// The default domain's routes that do not lead over the interface, and whether another default route joins them.
#[derive(Clone, Copy, Debug)]
pub struct Rivals<'a> {
    /// The routes.
    pub routes: &'a [&'a Route],
    /// Whether default routes come along into the default domain; if not, they stay behind.
    pub are_challenged: bool,
}

/// A planned move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// In order.
    pub steps: Vec<Step>,
    /// The default domain's default route that comes or goes, if one does.
    pub default_route: Option<Route>,
    /// What does not come along.
    pub notes: Vec<String>,
}

/// Plans the move of one interface.
///
/// # Errors
/// A route leads over this interface and over others, which stay.
pub fn plan(port: &Port, from: &Domain, to: &Domain) -> Result<Move, Error> {
    let routes = movable(port, from)?;
    let (beaten, routes): (Vec<_>, Vec<_>) = routes.into_iter().partition(|route| has_to_stay(port, route, to));
    let strays: Vec<&Route> = port.routes.iter().copied().filter(|route| is_stray(route, from)).chain(beaten).collect();
    let lost: Vec<&Address> = port.addresses.iter().copied().filter(|address| is_lost(port, address)).collect();
    let (keep, restore) = keeping(port);

    let mut steps = Vec::new();
    // Routes through a gateway before those that lead to it, so that a rollback adds them the other way round.
    let mut deleted: Vec<&Route> = routes.iter().rev().chain(&strays).copied().collect();
    deleted.sort_by_key(|route| !goes_through_gateway(route));
    steps.extend(deleted.into_iter().cloned().map(Step::DeleteRoute));
    steps.extend(lost.iter().copied().cloned().map(Step::DeleteAddress));
    steps.extend(keep);
    let device = port.link.device();
    if let Some(vrf) = &from.device {
        steps.push(Step::Release(device.clone(), vrf.clone()));
    }
    if let Some(vrf) = &to.device {
        steps.push(Step::Enslave(device, vrf.clone()));
    }
    steps.extend(restore);
    steps.extend(lost.into_iter().cloned().map(Step::AddAddress));
    steps.extend(routes.iter().map(|route| Step::AddRoute(in_table(route, to.table))));

    let touches_default =
        |route: &&&Route| route.is_default() && (from.is_default() || (to.is_default() && has_rival(port, route)));
    let default_route = routes.iter().find(touches_default).map(|&route| route.clone());
    let notes = strays.iter().map(|route| format!("route '{route}' does not come along")).collect();
    Ok(Move { steps, default_route, notes })
}

/// The routes that come along: those of the domain's table that lead over this interface alone, gateways last. The
/// kernel's own come by themselves with the addresses, and a router's with its next advertisement.
fn movable<'a>(port: &Port<'a>, from: &Domain) -> Result<Vec<&'a Route>, Error> {
    let mut routes = Vec::new();
    for &route in &port.routes {
        if route.table() != from.table || comes_by_itself(port, route) || route.is_advertised() {
            continue;
        }
        if route.oifs().iter().any(|&oif| oif != port.link.ifindex) {
            return Err(Error::SharedRoute { port: port.link.name.clone(), route: route.to_string() });
        }
        routes.push(route);
    }
    routes.sort_by_key(|route| goes_through_gateway(route));
    Ok(routes)
}

/// NetworkManager gives its addresses no routes (`noprefixroute`) and makes these itself, as if they were the kernel's.
fn comes_by_itself(port: &Port, route: &Route) -> bool {
    let is_of = |address: &&Address| {
        let network = (address.peer.unwrap_or(address.local), address.prefix_len);
        address.flags & libc::IFA_F_NOPREFIXROUTE != 0
            && route.destination().is_some_and(|(to, len)| len == network.1 && contains(network, to))
    };
    route.is_kernels() && !(route.is_unicast() && port.addresses.iter().copied().any(|address| is_of(&address)))
}

fn goes_through_gateway(route: &Route) -> bool {
    route.gateway().is_some() || route.is_multipath()
}

/// A route of another table: the kernel drops it, and it would lead into a domain that its table is not of.
fn is_stray(route: &Route, from: &Domain) -> bool {
    route.table() != from.table && !route.is_kernels() && !route.is_multipath()
}

/// A default route that is not wanted, or a destination to which the default domain has a way of its own.
fn has_to_stay(port: &Port, route: &Route, to: &Domain) -> bool {
    let key = |route: &Route| (route.family(), route.destination(), route.metric().unwrap_or(0));
    let is_taken = || port.rivals.routes.iter().any(|rival| !rival.is_default() && key(rival) == key(route));
    to.is_default() && (!port.rivals.are_challenged && route.is_default() || is_taken())
}

fn has_rival(port: &Port, route: &Route) -> bool {
    port.rivals.routes.iter().any(|rival| rival.is_default() && !rival.is_seal() && rival.family() == route.family())
}

fn in_table(route: &Route, table: u32) -> Route {
    let mut moved = route.clone();
    moved.set_table(table);
    moved
}

/// Whether the kernel forgets the address for good while the interface is down. Temporary addresses (RFC 8981) are
/// its own to make again.
fn is_lost(port: &Port, address: &Address) -> bool {
    let is_temporary = address.flags & libc::IFA_F_TEMPORARY != 0 && address.lifetimes.0 != FOREVER;
    let is_kept = address.lifetimes.0 == FOREVER && port.keeps_addresses.is_some();
    may_be_kept(address) && port.link.is_up() && !is_temporary && !is_kept
}

/// Whether `keep_addr_on_down` matters to the address: link-local ones are made again in any case.
pub fn may_be_kept(address: &Address) -> bool {
    address.family() == Family::V6 && address.scope != SCOPE_LINK
}

/// The steps that make the kernel keep IPv6 addresses, and that undo this.
fn keeping(port: &Port) -> (Option<Step>, Option<Step>) {
    let has_v6 = port.addresses.iter().any(|address| may_be_kept(address));
    match &port.keeps_addresses {
        Some(value) if has_v6 && value != "1" => {
            let key = keep_key(&port.link.name);
            let step = Step::SetSysctl { key, from: value.clone(), to: "1".to_owned() };
            (Some(step.clone()), Some(step.inverse()))
        }
        _ => (None, None),
    }
}

/// Where `keep_addr_on_down` of an interface is.
pub fn keep_key(name: &str) -> String {
    format!("net/ipv6/conf/{name}/keep_addr_on_down")
}

#[cfg(test)]
mod tests;

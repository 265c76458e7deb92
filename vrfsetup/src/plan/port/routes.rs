//! What becomes of the routes over an interface that moves: which come along, which stay, and which somebody else makes
//! again.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::holdings::Holdings;
use super::{Domain, Port, gateways};
use crate::error::Error;
use crate::model::address::Address;
use crate::model::family::Family;
use crate::model::prefix::contains;
use crate::model::route::Route;
use crate::model::rule::TABLE_LOCAL;

/// The default domain's routes, of its two tables, that do not lead over the interface, and whether another default
/// route joins them.
#[derive(Clone, Copy, Debug)]
pub struct Rivals<'a> {
    pub routes: &'a [&'a Route],
    /// Whether default routes come along into the default domain; if not, they stay behind.
    pub are_challenged: bool,
}

/// What is done with the routes.
#[derive(Default)]
pub(super) struct Plan {
    /// Routes through a gateway before those that lead to it, so that a rollback adds them the other way round.
    pub deleted: Vec<Route>,
    /// Gateways last.
    pub added: Vec<Route>,
    /// The default domain's default route that comes or goes.
    pub default_route: Option<Route>,
    /// What does not come along, and why.
    pub notes: Vec<String>,
}

/// What becomes of one route.
enum Fate {
    /// It is in this table then.
    In(u32),
    /// It is dropped, and named.
    Dropped,
    /// The kernel drops it, and makes it again with the address that it belongs to.
    Kernels,
    /// The kernel drops it; the next router advertisement, or whoever listens to them, makes it again.
    Advertised,
    /// The kernel drops it; its routing daemon sees that and does what it was told to.
    Daemons,
    /// It has other interfaces, too, and stays.
    Stays,
}

/// Plans for the routes of the port and of what goes down with it.
pub(super) fn plan(port: &Port, from: &Domain, to: &Domain) -> Result<Plan, Error> {
    let mut plan = Plan::default();
    let (mut moved, mut dropped): (Vec<(&Route, u32)>, Vec<&Route>) = (Vec::new(), Vec::new());
    let mut daemons: BTreeMap<String, usize> = BTreeMap::new();
    for &route in &port.own.routes {
        let fate = fate(port, route, from, to)?;
        match fate {
            Fate::In(table) => moved.push((route, table)),
            Fate::Dropped => dropped.push(route),
            Fate::Kernels => {}
            Fate::Advertised => plan.notes.push(format!("route '{route}' comes again with a router advertisement")),
            Fate::Daemons => *daemons.entry(route.protocol_name()).or_default() += 1,
            Fate::Stays => plan
                .notes
                .push(format!("route '{route}' of another table still leads over '{}', too", port.own.link.name)),
        }
        if matches!(fate, Fate::Advertised | Fate::Daemons) && is_default_of(route, from) {
            plan.default_route.get_or_insert_with(|| route.clone());
        }
    }
    give_way(&mut moved, &mut dropped);
    plan.notes.extend(dropped.iter().map(|route| format!("route '{route}' does not come along")));
    plan.notes.extend(daemons.iter().map(|(daemon, routes)| {
        format!(
            "{routes} of the routes over '{}' are left to the daemon that makes them ({daemon})",
            port.own.link.name
        )
    }));
    plan.notes.extend(moved.iter().filter(|(route, _)| route.is_by_dhcp() && from.is_default()).map(|(route, _)| {
        format!("route '{route}' comes along; the DHCP client makes it again where it was, unless it knows of the VRF")
    }));
    let touches = |route: &&Route| {
        is_default_of(route, from) || (to.is_default() && route.is_default() && has_rival(port, route))
    };
    let default_route = moved.iter().map(|(route, _)| *route).find(touches).cloned();
    plan.default_route = default_route.or(plan.default_route);

    moved.extend(
        port.above.iter().flat_map(|own| own.routes.iter().filter_map(|route| Some((*route, bounced(own, route)?)))),
    );
    moved.sort_by_key(|(route, _)| goes_through_gateway(route));
    let mut deleted: Vec<&Route> = moved.iter().rev().map(|(route, _)| *route).chain(dropped).collect();
    deleted.sort_by_key(|route| !goes_through_gateway(route));
    plan.deleted = deleted.into_iter().cloned().collect();
    plan.added = moved.into_iter().map(|(route, table)| in_table(route, table)).collect();
    Ok(plan)
}

fn fate(port: &Port, route: &Route, from: &Domain, to: &Domain) -> Result<Fate, Error> {
    let is_alone = port.own.is_only_way_of(route);
    let is_of_domain = route.table() == from.table || route.table() == home(route, from);
    Ok(match () {
        () if comes_by_itself(&port.own, route) => Fate::Kernels,
        () if route.is_routing_daemons() => Fate::Daemons,
        () if route.is_advertised() => Fate::Advertised,
        () if is_of_domain && !is_alone => {
            return Err(Error::SharedRoute { port: port.own.link.name.clone(), route: route.to_string() });
        }
        () if is_of_domain && has_to_stay(port, route, to) => Fate::Dropped,
        () if is_of_domain => Fate::In(home(route, to)),
        () if is_alone && route.table() == home(route, to) => Fate::In(route.table()),
        () if is_alone => Fate::Dropped,
        () => Fate::Stays,
    })
}

/// The table of a domain that such a route belongs to: a VRF has one for all, the default domain two.
fn home(route: &Route, domain: &Domain) -> u32 {
    if domain.is_default() && route.is_for_this_machine() { TABLE_LOCAL } else { domain.table }
}

/// Where the new table has a way over this interface already, another one to the same destination stays behind.
fn give_way<'a>(moved: &mut Vec<(&'a Route, u32)>, dropped: &mut Vec<&'a Route>) {
    let at_home: Vec<_> =
        moved.iter().filter(|(route, table)| route.table() == *table).map(|(route, _)| key(route)).collect();
    moved.retain(|(route, table)| {
        let gives_way = route.table() != *table && at_home.contains(&key(route));
        dropped.extend(gives_way.then_some(*route));
        !gives_way
    });
}

/// The table of a route over an interface that only goes down and up: the one that it is in. None for what comes back
/// by itself; the kernel revives what leads over other interfaces as well.
fn bounced(own: &Holdings, route: &Route) -> Option<u32> {
    let comes_back = comes_by_itself(own, route) || route.is_routing_daemons() || route.is_advertised();
    (!comes_back && own.is_only_way_of(route)).then(|| route.table())
}

/// NetworkManager gives its addresses no routes (`noprefixroute`) and makes these itself, as if they were the kernel's.
fn comes_by_itself(own: &Holdings, route: &Route) -> bool {
    let is_of = |address: &&Address| {
        let network = (address.peer.unwrap_or(address.local), address.prefix_len);
        address.flags & libc::IFA_F_NOPREFIXROUTE != 0
            && route.destination().is_some_and(|(to, len)| len == network.1 && contains(network, to))
    };
    route.is_kernels() && !(route.is_unicast() && own.addresses.iter().copied().any(|address| is_of(&address)))
}

fn goes_through_gateway(route: &Route) -> bool {
    route.gateway().is_some() || route.is_multipath() || route.nexthop().is_some()
}

fn is_default_of(route: &Route, from: &Domain) -> bool {
    from.is_default() && route.is_default() && route.table() == from.table
}

/// A default route that is not wanted, a destination to which the default domain has a way of its own, or a gateway that
/// is another there.
fn has_to_stay(port: &Port, route: &Route, to: &Domain) -> bool {
    let is_same = |rival: &Route| rival.table() == home(route, to) && key(rival) == key(route);
    let is_taken = || port.rivals.routes.iter().any(|rival| !rival.is_default() && is_same(rival));
    let is_unwanted = !port.rivals.are_challenged && route.is_default();
    to.is_default() && (is_unwanted || is_taken() || gateways::are_others(port, route))
}

fn has_rival(port: &Port, route: &Route) -> bool {
    port.rivals.routes.iter().any(|rival| rival.is_default() && !rival.is_seal() && rival.family() == route.family())
}

/// What two routes of one table cannot have in common.
fn key(route: &Route) -> (Family, Option<(IpAddr, u8)>, u32) {
    (route.family(), route.destination(), route.metric().unwrap_or(0))
}

fn in_table(route: &Route, table: u32) -> Route {
    let mut moved = route.clone();
    if moved.table() != table {
        moved.set_table(table);
    }
    moved
}

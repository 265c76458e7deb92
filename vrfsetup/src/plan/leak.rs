//! Leaks: the routes by which prefixes of one routing domain are reached from another. Pure.
//!
//! A route that leads to a VRF's device is looked up again in that VRF's table. The default domain has no device:
//! a leak from it is a copy of its route, gateway and interface.

use std::net::IpAddr;

use rtnetlink::packet_route::route::{RouteAttribute, RouteMessage, RouteProtocol, RouteScope, RouteType};

use crate::error::Error;
use crate::model::family::Family;
use crate::model::prefix::{Prefix, contains};
use crate::model::route::Route;
use crate::model::step::Step;
use crate::plan::inventory::Inventory;
use crate::plan::port::Domain;
use crate::plan::system::System;

/// The domain of this name; `default` is the one outside all VRFs.
///
/// # Errors
/// There is none.
pub fn domain(system: &System, name: &str) -> Result<Domain, Error> {
    if name == "default" { Ok(Domain::default_domain()) } else { system.existing_vrf(name).map(Domain::of) }
}

/// Whose the prefix is, and who is the other: the domain whose own routes, default routes aside, lead to it more exactly. Where both do
/// alike, the second one's: A reaches what B has.
///
/// # Errors
/// Neither has a route to it.
pub fn owner<'a>(
    inventory: &Inventory,
    domains: &'a [Domain; 2],
    prefix: Prefix,
) -> Result<(&'a Domain, &'a Domain), Error> {
    let [a, b] = domains;
    let exactness = |domain: &Domain, other: &Domain| {
        let leads = |route: &&Route| !is_leak(route, other) && covers(route, prefix);
        inventory.table(domain.table).filter(leads).map(|route| route.message.header.destination_prefix_length).max()
    };
    match (exactness(a, b), exactness(b, a)) {
        (None, None) => Err(Error::NobodysPrefix(format!("{}/{}", prefix.0, prefix.1))),
        (of_a, of_b) if of_a > of_b => Ok((a, b)),
        _ => Ok((b, a)),
    }
}

/// Whether the route is itself a leak from the other domain.
fn is_leak(route: &Route, other: &Domain) -> bool {
    other.device.as_ref().is_some_and(|device| route.oif() == Some(device.ifindex))
}

/// A default route leads everywhere, and makes nobody an owner, unless it is asked for itself.
fn covers(route: &Route, (address, len): Prefix) -> bool {
    let is_of_family = route.family() == Family::from(address);
    match route.destination() {
        Some((network, prefix_len)) => {
            is_of_family && route.is_unicast() && prefix_len <= len && contains((network, prefix_len), address)
        }
        None => is_of_family && len == 0 && route.is_default() && route.is_unicast(),
    }
}

/// The route that makes the owner's prefix reachable from this table.
///
/// # Errors
/// The default domain has no route to it.
pub fn route(inventory: &Inventory, owner: &Domain, table: u32, prefix: Prefix) -> Result<Route, Error> {
    let (address, len) = prefix;
    let mut message = RouteMessage::default();
    message.header.address_family = Family::from(address).into();
    message.header.destination_prefix_length = len;
    message.header.kind = RouteType::Unicast;
    message.header.protocol = RouteProtocol::Static;
    if len > 0 {
        message.attributes.push(RouteAttribute::Destination(address.into()));
    }
    let mut route = Route { message, device: None };
    match &owner.device {
        Some(device) => {
            route.device = Some(device.name.clone());
            route.message.header.scope = link_scope(address);
            route.message.attributes.extend((device.ifindex != 0).then_some(RouteAttribute::Oif(device.ifindex)));
        }
        None => copy_way(inventory, &mut route, prefix)?,
    }
    route.set_table(table);
    Ok(route)
}

/// IPv4 routes without a gateway lead to a link; IPv6 knows no scopes of routes.
fn link_scope(address: IpAddr) -> RouteScope {
    if address.is_ipv4() { RouteScope::Link } else { RouteScope::Universe }
}

fn copy_way(inventory: &Inventory, route: &mut Route, prefix: Prefix) -> Result<(), Error> {
    let main = Domain::default_domain().table;
    let exactness = |way: &&Route| way.message.header.destination_prefix_length;
    let is_way = |way: &&Route| covers(way, prefix) && way.oif().is_some();
    let way = inventory.table(main).filter(is_way).max_by_key(exactness);
    let way = way.ok_or_else(|| Error::NobodysPrefix(format!("{}/{}", prefix.0, prefix.1)))?;
    route.device.clone_from(&way.device);
    route.message.attributes.extend(way.oif().map(RouteAttribute::Oif));
    match way.gateway() {
        Some(gateway) => route.message.attributes.push(RouteAttribute::Gateway(gateway.into())),
        None => route.message.header.scope = link_scope(prefix.0),
    }
    Ok(())
}

/// The step that makes the leak; none if it is there. One that leads another way, as when the owner's gateway has
/// changed, is replaced.
pub fn step<'a>(table: impl Iterator<Item = &'a Route>, route: Route) -> Option<Step> {
    let key = |route: &Route| (route.family(), route.destination(), route.metric_in_kernel());
    let mut existing: Vec<&Route> = table.filter(|existing| key(existing) == key(&route)).collect();
    if existing.iter().any(|existing| is_same(existing, &route)) {
        return None;
    }
    existing.retain(|existing| !existing.is_kernels());
    Some(match existing.first() {
        Some(&from) => Step::ReplaceRoute { from: from.clone(), to: route },
        None => Step::AddRoute(route),
    })
}

/// The same destination, the same way.
pub fn is_same(a: &Route, b: &Route) -> bool {
    let key = |route: &Route| (route.family(), route.destination(), route.oif(), route.gateway(), route.is_unicast());
    key(a) == key(b) && a.table() == b.table()
}

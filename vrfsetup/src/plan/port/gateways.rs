//! The gateways that the kernel would refuse in the default domain, whose addresses may be the same as a VRF's. Pure.

use std::net::IpAddr;

use super::Port;
use crate::model::prefix::contains;
use crate::model::route::Route;
use crate::model::rule::TABLE_LOCAL;

/// Whether a gateway of the route is, in the default domain, this machine itself, or, of IPv6 with `onlink`, behind
/// another interface.
pub(super) fn are_others(port: &Port, route: &Route) -> bool {
    let several = route.next_hops();
    let hops = several.iter().map(|hop| (hop.gateway, hop.is_onlink)).chain([(route.gateway(), route.is_onlink())]);
    let mut gateways = hops.filter_map(|(gateway, is_onlink)| Some((gateway?, is_onlink)));
    gateways.any(|(gateway, is_onlink)| {
        let is_looked_up = is_onlink && gateway.is_ipv6();
        is_this_machine(port, gateway) || (is_looked_up && is_behind_another(port, route, gateway))
    })
}

fn is_this_machine(port: &Port, gateway: IpAddr) -> bool {
    let locals = port.rivals.routes.iter().filter(|rival| rival.table() == TABLE_LOCAL && rival.is_for_this_machine());
    locals.filter_map(|rival| rival.destination()).any(|network| contains(network, gateway))
}

/// The kernel looks for the longest prefix, then for the least metric, then for the interface that is asked for.
fn is_behind_another(port: &Port, route: &Route, gateway: IpAddr) -> bool {
    let rank = |other: &&Route| {
        let network = other.destination().filter(|network| contains(*network, gateway))?;
        Some((network.1, std::cmp::Reverse(other.metric().unwrap_or(0))))
    };
    let rivals = port.rivals.routes.iter().copied().filter(|rival| rival.table() != TABLE_LOCAL && rival.is_unicast());
    let own = port.own.routes.iter().copied().filter(|own| own.table() == route.table() && own.gateway().is_none());
    let theirs = rivals.filter_map(|rival| rank(&rival)).max();
    theirs.is_some() && theirs > own.filter_map(|own| rank(&own)).max()
}

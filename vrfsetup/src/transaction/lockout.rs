//! What stands between a command and the connection it was typed over.
//!
//! sudo clears SSH_CONNECTION, so the kernel is asked instead: an established TCP connection, or a connected UDP socket,
//! whose other end is on another machine and that uses an address of the interface, or leaves by it, is somebody's
//! session. So is a UDP socket with that address of a program that has a terminal (mosh), whose other end only that knows.

use std::net::IpAddr;

use crate::error::Error;
use crate::model::family::Family;
use crate::model::link::Link;
use crate::model::prefix::contains;
use crate::model::route::Route;
use crate::model::rule::{Action, TABLE_LOCAL};
use crate::model::step::Step;
use crate::plan::port::Move;
use crate::plan::system::System;
use crate::sys::sock_diag::Connection;
use crate::transaction::around::Unread;
use crate::transaction::path::{Hop, Path, Paths};
use crate::transaction::session::Session;

/// Refuses a change that would cut off an established connection from another machine.
///
/// # Errors
/// There is one, or the kernel will not say.
pub fn refuse_if_in_use(session: &Session, system: &System, links: &[&Link]) -> Result<(), Error> {
    if links.is_empty() {
        return Ok(());
    }
    let (all, mut paths) = (session.sockets.established()?, Paths::new(session.kernel, system));
    for connection in all.iter().filter(|connection| !is_to_itself(system, connection, all)) {
        let user = links.iter().find(|link| is_of(system, link, connection));
        let link = match user {
            None => way_out(&paths.of(connection), links).map_err(unknown(connection))?,
            user => user.copied(),
        };
        if let Some(link) = link {
            return Err(Error::InUse { device: link.name.clone(), connection: connection.clone() });
        }
    }
    refuse_if_terminals_use(session, system, links)
}

/// Refuses what could break the session of a terminal at an address of one of the interfaces.
fn refuse_if_terminals_use(session: &Session, system: &System, links: &[&Link]) -> Result<(), Error> {
    if links.iter().all(|link| system.addresses_of(link.ifindex).next().is_none()) {
        return Ok(());
    }
    for socket in session.sockets.of_terminals()? {
        if let Some(link) = links.iter().find(|link| is_of(system, link, socket)) {
            return Err(Error::InUse { device: link.name.clone(), connection: socket.clone() });
        }
    }
    Ok(())
}

/// Refuses a move that takes the default domain's default route along, or brings one.
///
/// # Errors
/// There is one.
pub fn refuse_default_route(moved: &Move, link: &Link) -> Result<(), Error> {
    match &moved.default_route {
        Some(route) => Err(Error::DefaultRoute { device: link.name.clone(), route: route.to_string() }),
        None => Ok(()),
    }
}

/// Refuses steps by which an established connection from another machine would lose its route, or its address.
///
/// # Errors
/// There is one, or the kernel will not say.
pub fn refuse_if_cut(session: &Session, system: &System, steps: &[Step]) -> Result<(), Error> {
    let is_harmless = |step: &Step| lost_route(step).is_none() && !moves_local(step) && !seals_any(step);
    if session.takes_risks() || steps.iter().all(is_harmless) {
        return Ok(());
    }
    let (all, mut paths) = (session.sockets.established()?, Paths::new(session.kernel, system));
    for connection in all {
        let by_rule = steps.iter().any(moves_local).then(|| by_local_rule(system, connection)).flatten();
        let link = match by_rule {
            None if !is_to_itself(system, connection, all) => {
                by_changed_way(&paths.of(connection), system, steps).map_err(unknown(connection))?
            }
            by_rule => by_rule,
        };
        if let Some(link) = link {
            return Err(Error::InUse { device: link.name.clone(), connection: connection.clone() });
        }
    }
    // Of a terminal's session nobody knows which of the routes it takes, if any.
    let lost = steps.iter().filter_map(lost_route).filter(|route| !route.is_refusal());
    let lost: Vec<&Link> = lost.flat_map(|route| of_its_domain(system, route)).collect();
    refuse_if_terminals_use(session, system, &lost)
}

/// The interfaces that a route leads to, if of the domain whose table it is in.
fn of_its_domain<'a>(system: &'a System, route: &Route) -> Vec<&'a Link> {
    let links = route.oifs().into_iter().filter_map(|oif| system.link_by_index(oif));
    links.filter(|link| system.vrf_of(link).is_none_or(|vrf| vrf.table == Some(route.table()))).collect()
}

/// The route that is no longer there after this step.
fn lost_route(step: &Step) -> Option<&Route> {
    match step {
        Step::DeleteRoute(route) | Step::ReplaceRoute { from: route, .. } => Some(route),
        _ => None,
    }
}

fn seals_any(step: &Step) -> bool {
    match step {
        Step::AddRule(rule) => rule.is_l3mdev && rule.action == Action::Unreachable,
        Step::AddRoute(route) => route.is_seal(),
        _ => false,
    }
}

/// Whether the step ends what falls through from the VRF's table into the default domain.
fn seals(step: &Step, vrf: &Link, family: Family) -> bool {
    seals_any(step)
        && match step {
            Step::AddRule(rule) => rule.family == family,
            Step::AddRoute(route) => route.family() == family && Some(route.table()) == vrf.table,
            _ => false,
        }
}

/// Whether the local table comes before or behind the VRFs' by this.
fn moves_local(step: &Step) -> bool {
    match step {
        Step::AddRule(rule) => rule.table == TABLE_LOCAL && !rule.is_l3mdev,
        Step::DeleteRule(rule) => rule.is_l3mdev && rule.action != Action::Unreachable,
        _ => false,
    }
}

/// The VRF of a connection of which one end is a local address in another domain: who is asked first, the VRF's table or
/// the local one, decides what becomes of its packets.
fn by_local_rule<'a>(system: &'a System, connection: &Connection) -> Option<&'a Link> {
    let vrf = system.vrf_of(system.link_by_index(connection.bound)?)?;
    let is_in_vrf = |address: IpAddr| {
        let mut links = std::iter::once(vrf).chain(system.ports(vrf));
        links.any(|link| has_address(system, link, address))
    };
    let is_elsewhere = |address: IpAddr| system.is_own(address) && !is_in_vrf(address);
    (is_elsewhere(connection.local.0) || is_elsewhere(connection.peer.0)).then_some(vrf)
}

/// The interface by which the connection's packets, or those of a tunnel around them, leave, if by a route that goes; or
/// their VRF, if they leave by falling through.
///
/// # Errors
/// A route goes or a seal comes, and by which the packets leave is not known.
fn by_changed_way<'a>(path: &Path, system: &'a System, steps: &[Step]) -> Result<Option<&'a Link>, Unread> {
    let known = path.hops.iter().find_map(|hop| by_changed_hop(system, hop, steps));
    let is_concerned = |step: &Step| lost_route(step).is_some() || seals_any(step);
    let unread = path.unread.as_ref().filter(|_| steps.iter().any(is_concerned));
    known_or_unread(known, unread)
}

fn by_changed_hop<'a>(system: &'a System, Hop { flow, route: taken, .. }: &Hop, steps: &[Step]) -> Option<&'a Link> {
    let peer = flow.to;
    let vrf = system.link_by_index(flow.oif).and_then(|bound| system.vrf_of(bound));
    let falls_through = |vrf: &&Link| vrf.table != Some(taken.table());
    let is_sealed = |vrf: &&Link| steps.iter().any(|step| seals(step, vrf, peer.into()));
    if let Some(vrf) = vrf.filter(falls_through).filter(is_sealed) {
        return Some(vrf);
    }
    let any = if peer.is_ipv4() { ([0; 4].into(), 0) } else { ([0u8; 16].into(), 0) };
    let is_it = |route: &Route| {
        let is_its_hop = route.is_multipath() || route.gateway() == taken.gateway();
        let leads_there = is_its_hop && taken.oif().is_some_and(|oif| route.oifs().contains(&oif));
        leads_there && contains(route.destination().unwrap_or(any), peer)
    };
    steps.iter().filter_map(lost_route).find(|route| is_it(route))?;
    system.link_by_index(taken.oif()?)
}

/// The VRF that a connection is in; None in the default domain.
fn domain<'a>(system: &'a System, connection: &Connection) -> Option<&'a Link> {
    system.vrf_of(system.link_by_index(connection.bound)?)
}

/// Whether both ends are this machine's. Another machine may have an address that this one has in another VRF.
fn is_to_itself(system: &System, connection: &Connection, all: &[Connection]) -> bool {
    let peer = connection.peer.0;
    let is_of_domain = |link: &Link| system.vrf_of(link).map(|vrf| vrf.ifindex);
    let own = domain(system, connection).map(|vrf| vrf.ifindex);
    let is_own = |link: &&Link| is_of_domain(link) == own && has_address(system, link, peer);
    let is_other_end = |other: &Connection| (other.local, other.peer) == (connection.peer, connection.local);
    peer.is_loopback()
        || system.links.iter().any(|link| is_own(&link))
        || (system.is_own(peer) && all.iter().any(is_other_end))
}

/// Whether the connection's address is this interface's, rather than the same one of an interface in another VRF. Of an
/// unbound connection nobody knows by which of them it came.
fn is_of(system: &System, link: &Link, connection: &Connection) -> bool {
    let local = connection.local.0;
    let own = domain(system, connection).map(|vrf| vrf.ifindex);
    let is_in_domain = |link: &Link| system.vrf_of(link).map(|vrf| vrf.ifindex) == own;
    let mut others = system.links.iter().filter(|other| is_in_domain(other));
    let mut is_elsewhere = || own.is_some() && others.any(|other| has_address(system, other, local));
    has_address(system, link, local) && (is_in_domain(link) || !is_elsewhere())
}

fn has_address(system: &System, link: &Link, address: IpAddr) -> bool {
    system.addresses_of(link.ifindex).any(|own| own.local == address)
}

/// The one of these interfaces by which the connection's packets leave, or those of a tunnel around them.
///
/// # Errors
/// By which they leave is not known.
fn way_out<'a>(path: &Path, links: &[&'a Link]) -> Result<Option<&'a Link>, Unread> {
    let taken = |link: &&&Link| path.hops.iter().flat_map(|hop| &hop.links).any(|taken| taken.ifindex == link.ifindex);
    known_or_unread(links.iter().find(taken).copied(), path.unread.as_ref())
}

/// What the kernel refuses to tell of a path may be any interface and any route.
fn known_or_unread<'a>(known: Option<&'a Link>, unread: Option<&Unread>) -> Result<Option<&'a Link>, Unread> {
    match (known, unread) {
        (None, Some(unread)) => Err(unread.clone()),
        (known, _) => Ok(known),
    }
}

fn unknown(connection: &Connection) -> impl FnOnce(Unread) -> Error {
    |Unread { what, refusal }| Error::UnknownWay {
        connection: connection.clone(),
        unread: format!("{what}: {refusal}").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rule::Rule;
    use crate::sys::netlink::KernelError;

    const LOCAL_RULE: u32 = 32765;

    fn unread() -> Option<Unread> {
        Some(Unread { what: "the peers of 'wg0'".into(), refusal: KernelError::from_errno(libc::EPERM) })
    }

    #[test]
    fn what_is_not_known_of_a_path_may_be_by_any_interface() {
        let link = Link::plain(2, "eth0", None);
        let path = |unread| Path { hops: Vec::new(), unread };
        assert_eq!(way_out(&path(None), &[&link]), Ok(None));
        assert_eq!(way_out(&path(unread()), &[&link]).err(), unread());
        assert_eq!(known_or_unread(Some(&link), unread().as_ref()), Ok(Some(&link)), "which is more to say");
    }

    #[test]
    fn what_is_not_known_of_a_path_may_be_by_any_route_and_any_seal() {
        let system = System::new(Vec::new(), Vec::new());
        let route = Route::seal(Family::V4, 10);
        let (gone, seal) = (Step::DeleteRoute(route.clone()), Step::AddRoute(route));
        let moved =
            Step::AddRule(Rule { table: TABLE_LOCAL, is_l3mdev: false, ..Rule::l3mdev(Family::V4, LOCAL_RULE) });
        let by = |steps: &[Step], unread| by_changed_way(&Path { hops: Vec::new(), unread }, &system, steps);
        for steps in [[moved.clone(), gone], [moved.clone(), seal]] {
            assert_eq!(by(&steps, unread()).err(), unread());
            assert_eq!(by(&steps, None), Ok(None));
        }
        // By which domain they leave does not hang on the local rule's place.
        assert_eq!(by(&[moved], unread()), Ok(None));
    }
}

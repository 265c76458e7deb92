//! A VRF gets another table. The kernel cannot change it, so the device is made again; all that its table and its ports
//! have goes along. Its ports are down meanwhile: as members of the default domain they would leak.

use rtnetlink::packet_route::route::RouteAttribute;

use crate::change::attach::{self, Defaults};
use crate::change::del;
use crate::error::Error;
use crate::model::address::Address;
use crate::model::device::Device;
use crate::model::link::Link;
use crate::model::route::Route;
use crate::model::step::Step;
use crate::plan::inventory::Inventory;
use crate::plan::port::{Domain, Move};
use crate::transaction::session::Session;

/// What goes before the new device is made, and what comes after.
pub(super) struct Renumbering {
    /// Ends with the deletion of the device.
    pub before: Vec<Step>,
    /// Begins with the ports.
    pub after: Move,
}

/// Plans for a VRF that is there. Its own addresses come again if they are not `declared`, which come in any case.
pub(super) fn plan(
    session: &Session,
    inventory: &Inventory,
    vrf: &Link,
    table: u32,
    declared: impl Fn(&Address) -> bool,
) -> Result<Renumbering, Error> {
    let ports: Vec<&Link> = inventory.system.ports(vrf).collect();
    attach::check_lockout(session, &inventory.system, &ports)?;
    let device = Device { ifindex: 0, name: vrf.name.clone() };
    let new = Domain { device: Some(device.clone()), table };
    let (mut before, mut after, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    let mut releases = Vec::new();
    for (moved, port) in moves(session, inventory, &ports, &new)? {
        let mut steps = moved.steps;
        let behind = steps.split_off(steps.iter().position(is_release).unwrap_or(steps.len()));
        before.extend(steps);
        let is_up = port.is_up().then(|| port.device());
        before.extend(is_up.clone().map(Step::SetDown));
        for step in behind {
            match step {
                Step::Release(..) => releases.push(step),
                Step::Enslave(..) => after.extend(std::iter::once(step).chain(is_up.clone().map(Step::SetUp))),
                step => after.push(step),
            }
        }
        notes.extend(moved.notes);
    }
    before.extend(releases);
    before.extend(del::plan(session, inventory, vrf, &[], |_| false)?.steps);
    let own = inventory.system.addresses_of(vrf.ifindex).filter(|own| !declared(own));
    after.extend(own.map(|own| Step::AddAddress(Address { device: device.clone(), ..own.clone() })));
    after.extend(others(inventory, vrf).map(|route| Step::AddRoute(again(route, vrf, table))));
    Ok(Renumbering { before, after: Move { steps: after, default_route: None, notes } })
}

/// Each port's, in the order in which they can be made.
fn moves<'a>(
    session: &Session,
    inventory: &'a Inventory,
    ports: &[&Link],
    new: &Domain,
) -> Result<Vec<(Move, &'a Link)>, Error> {
    let moves = attach::plan(session, inventory, ports, new, Defaults::Move)?;
    let port_of = |moved: &Move| {
        let released = moved.steps.iter().find_map(|step| match step {
            Step::Release(port, _) => Some(port.ifindex),
            _ => None,
        });
        released.and_then(|ifindex| inventory.system.link_by_index(ifindex))
    };
    Ok(moves.into_iter().filter_map(|moved| port_of(&moved).map(|port| (moved, port))).collect())
}

fn is_release(step: &Step) -> bool {
    matches!(step, Step::Release(..))
}

/// The routes that the deletion takes along and no port brings: those of the table that lead elsewhere or nowhere, but
/// for the seal, and those of other tables into this VRF.
fn others<'a>(inventory: &'a Inventory, vrf: &'a Link) -> impl Iterator<Item = &'a Route> {
    let is_ports = |route: &Route| {
        let links = route.oifs().into_iter().filter_map(|oif| inventory.system.link_by_index(oif));
        links.into_iter().any(|link| link.master == Some(vrf.ifindex))
    };
    let leads_in = |route: &&Route| route.oifs().contains(&vrf.ifindex);
    let table = inventory.table(vrf.table.unwrap_or_default());
    let own = table.filter(move |route| !route.is_own_seal() && !is_ports(route) && !leads_in(route));
    own.chain(inventory.over(vrf.ifindex)).filter(|route| !route.is_kernels() && !route.is_routing_daemons())
}

/// The route in the new table, or into the new device, whose index is not known yet.
fn again(route: &Route, vrf: &Link, table: u32) -> Route {
    let mut route = route.clone();
    if Some(route.table()) == vrf.table {
        route.set_table(table);
    }
    if route.oif() == Some(vrf.ifindex) {
        route.message.attributes.retain(|attribute| !matches!(attribute, RouteAttribute::Oif(_)));
    }
    route
}

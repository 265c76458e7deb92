//! `vrfsetup del`: a VRF goes, with the routes of its table; its ports stay, with their addresses and routes.

use crate::change::attach::{self, Defaults};
use crate::change::tunnel;
use crate::change::{emulate, unit, user, zones};
use crate::error::Error;
use crate::model::link::Link;
use crate::model::route::Route;
use crate::model::step::Step;
use crate::plan::address as plan_address;
use crate::plan::emulate as plan_emulate;
use crate::plan::inventory::Inventory;
use crate::plan::leftovers::{self, Leftover};
use crate::plan::memory::Memory;
use crate::plan::outsides;
use crate::plan::port::{Domain, Move};
use crate::plan::sysctls;
use crate::plan::tables;
use crate::transaction::report::Outcome;
use crate::transaction::session::Session;

/// Deletes the VRF; one that is not there is as good as deleted.
///
/// # Errors
/// It is not a VRF, a connection would break, a unit would not start, or the kernel refused; then nothing is changed.
pub fn del(session: &Session, name: &str) -> Result<Outcome, Error> {
    let inventory = Inventory::read(session.kernel)?;
    let system = &inventory.system;
    if system.link(name).is_none() {
        return forget(session, &inventory, name);
    }
    if let Some(emulated) = plan_emulate::named(&inventory, name) {
        return emulate::del(session, &inventory, &emulated);
    }
    let vrf = system.existing_vrf(name)?;
    let users = user::users_of(&vrf.name)?;
    if !users.is_empty() && !session.takes_risks() {
        return Err(Error::HasUsers { vrf: vrf.name.clone(), users });
    }
    let tunnels = Memory::read().marked_tunnels_of(&vrf.name);
    if !tunnels.is_empty() && !session.takes_risks() {
        return Err(Error::HasTunnels { vrf: vrf.name.clone(), tunnels });
    }
    let ports: Vec<&Link> = system.ports(vrf).collect();
    let deletion = plan(session, &inventory, vrf, &ports, |_| false)?;
    let mut transaction = session.begin()?;
    attach::make(&mut transaction, deletion.moves)?;
    transaction.make_all(deletion.steps)?;
    let is_last = system.vrfs().count() == 1 && plan_emulate::all(&inventory).is_empty();
    let (settings, memory) = if is_last { sysctls::restore() } else { Default::default() };
    transaction.make_all(settings)?;
    transaction.try_make_all(memory.into_iter().chain(tables::unname_step(&vrf.name)))?;
    tunnel::follow(session, &mut transaction)?;
    zones::follow(session, &mut transaction, None)?;
    transaction.commit()
}

/// How a VRF is deleted.
pub struct Deletion {
    /// Ports first: their routes move out of the table.
    pub moves: Vec<Move>,
    /// Then the rest. The device goes down, so that nothing is sent by it while the table loses its seal.
    pub steps: Vec<Step>,
}

/// Plans to delete a VRF with these ports in it; others that it has now are elsewhere by then. Tunnels that `leaves`
/// tells are put back into the default domain by the same change.
///
/// # Errors
/// As [`del`].
pub fn plan(
    session: &Session,
    inventory: &Inventory,
    vrf: &Link,
    ports: &[&Link],
    leaves: impl Fn(&str) -> bool,
) -> Result<Deletion, Error> {
    let system = &inventory.system;
    let units = unit::units_of(&vrf.name);
    if !units.is_empty() && !session.takes_risks() {
        return Err(Error::HasUnits { vrf: vrf.name.clone(), units });
    }
    let tunnels = outsides::without(system, vrf, ports).filter(|tunnel| !leaves(&tunnel.name));
    let tunnels: Vec<(String, String)> =
        tunnels.map(|tunnel| (tunnel.name.clone(), tunnel.kind.clone().unwrap_or_default())).collect();
    if !tunnels.is_empty() && !session.takes_risks() {
        return Err(Error::HasOutsides { vrf: vrf.name.clone(), tunnels });
    }
    let affected: Vec<&Link> = ports.iter().copied().chain([vrf]).collect();
    attach::check_lockout(session, system, &affected)?;
    let moves = attach::plan(session, inventory, ports, &Domain::default_domain(), Defaults::Leave)?;
    let mut steps = remaining(inventory, vrf);
    steps.push(Step::DeleteVrf(vrf.device(), vrf.table.unwrap_or_default()));
    Ok(Deletion { moves, steps })
}

/// Removes what a VRF left that was deleted without vrfsetup, or an emulated one whose port has gone.
fn forget(session: &Session, inventory: &Inventory, name: &str) -> Result<Outcome, Error> {
    let left = leftovers::find(inventory).into_iter().filter(|left| left.vrf == name);
    let mut steps: Vec<Step> = left.flat_map(Leftover::steps).collect();
    if let Some(table) = plan_emulate::table_of(&inventory.rules, name) {
        steps.extend(plan_emulate::remains(inventory, name, table));
        steps.extend(tables::unname_step(name));
    }
    if steps.is_empty() {
        steps.extend(tables::unname_step(name));
    }
    let mut transaction = session.begin()?;
    transaction.make_all(steps)?;
    tunnel::follow(session, &mut transaction)?;
    zones::follow(session, &mut transaction, None)?;
    transaction.commit()
}

/// Whether another VRF has the same table.
fn shares_table(inventory: &Inventory, vrf: &Link) -> bool {
    inventory.system.vrfs().any(|other| other.ifindex != vrf.ifindex && other.table == vrf.table)
}

/// Takes down what the kernel would leave behind, or drop for good: routes over the VRF's device in any
/// table (leaks), its addresses, then the device, then what its table holds besides the routes of its ports. With the
/// device's last IPv4 address the kernel drops all routes over it.
fn remaining(inventory: &Inventory, vrf: &Link) -> Vec<Step> {
    let ports: Vec<&Link> = inventory.system.ports(vrf).collect();
    let of_ports = |route: &Route| ports.iter().any(|port| route.oifs().contains(&port.ifindex));
    let leaks = inventory.over(vrf.ifindex).filter(|route| !route.is_kernels());
    let over_vrf = |route: &Route| route.oifs().contains(&vrf.ifindex);
    let table = inventory.table(vrf.table.unwrap_or_default());
    // What another VRF's table is, too, stays.
    let is_shared = shares_table(inventory, vrf);
    let seals = table.filter(|route| !is_shared && !route.is_kernels() && !of_ports(route) && !over_vrf(route));
    leaks
        .cloned()
        .map(Step::DeleteRoute)
        .chain(plan_address::deletions(inventory.system.addresses_of(vrf.ifindex)))
        .chain(vrf.is_up().then(|| Step::SetDown(vrf.device())))
        .chain(seals.cloned().map(Step::DeleteRoute))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::syntax;
    use crate::plan::system::System;

    /// `apply --prune` counts on it, and does not delete such a route a second time.
    #[test]
    fn a_route_with_one_of_its_next_hops_in_the_vrf_is_deleted_before_the_device() {
        let blue = Link::plain(7, "blue", Some(10));
        let mut route = syntax::route::parse("198.51.100.0/24 dev blue", 20).unwrap();
        route.lead_over_all(&[7, 3]);
        let system = System::new(vec![blue.clone(), Link::plain(3, "eth1", None)], vec![]);
        let inventory = Inventory::new(system, vec![route.clone()], vec![]);
        assert_eq!(remaining(&inventory, &blue), [Step::DeleteRoute(route)]);
    }
}

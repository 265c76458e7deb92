//! `vrfsetup del`: a VRF goes, with the routes of its table; its ports stay, with their addresses and routes.

use crate::attach::{self, Defaults};
use crate::error::Error;
use crate::link::Link;
use crate::outcome::Outcome;
use crate::port::Domain;
use crate::route::Route;
use crate::step::Step;
use crate::system::System;
use crate::table;
use crate::transaction::Session;

/// Deletes the VRF; one that is not there is as good as deleted.
///
/// # Errors
/// It is not a VRF, a connection would break, or the kernel refused; then nothing is changed.
pub fn del(session: &Session, name: &str) -> Result<Outcome, Error> {
    let system = System::read(session.kernel)?;
    if system.link(name).is_none() {
        return Ok(Outcome::default());
    }
    let vrf = system.existing_vrf(name)?;
    let ports: Vec<&Link> = system.ports(vrf).collect();
    let affected: Vec<&Link> = ports.iter().copied().chain([vrf]).collect();
    attach::guard(session, &system, &affected)?;
    let routes = system.routes(session.kernel)?;
    let mut transaction = session.begin()?;
    // Ports first: their routes move out of the table. Then the device goes down, so that nothing is sent by it while
    // the table loses its seal.
    attach::move_ports(session, &system, &mut transaction, &ports, &Domain::default_domain(), Defaults::Leave)?;
    transaction.make_all(system.addresses_of(vrf.ifindex).cloned().map(Step::DeleteAddress))?;
    transaction.make_all(remaining(&routes, vrf, &ports))?;
    transaction.make(Step::DeleteVrf(vrf.device(), vrf.table.unwrap_or_default()))?;
    if let Some(step) = table::unname_step(name) {
        transaction.try_make(step)?;
    }
    Ok(transaction.commit())
}

/// Takes down what the kernel would leave behind, or drop without a way back: routes over the VRF's device in any
/// table (leaks), then the device, then what its table holds besides the routes of its ports.
fn remaining(routes: &[Route], vrf: &Link, ports: &[&Link]) -> Vec<Step> {
    let of_ports = |route: &&Route| ports.iter().any(|port| route.oifs().contains(&port.ifindex));
    let over_vrf = |route: &&Route| route.oifs().contains(&vrf.ifindex);
    let made = || routes.iter().filter(|route| !route.is_kernels());
    let leaks = made().filter(over_vrf);
    let seals = made().filter(|route| Some(route.table()) == vrf.table && !of_ports(route) && !over_vrf(route));
    leaks
        .cloned()
        .map(Step::DeleteRoute)
        .chain(vrf.is_up().then(|| Step::SetDown(vrf.device())))
        .chain(seals.cloned().map(Step::DeleteRoute))
        .collect()
}

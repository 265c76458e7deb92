//! `vrfsetup attach` and `detach`: interfaces go into a VRF and out of it with their addresses and routes.

use crate::error::Error;
use crate::guard;
use crate::link::Link;
use crate::outcome::Outcome;
use crate::port::{self, Domain, Move, Port, Rivals};
use crate::route::Route;
use crate::rule::TABLE_MAIN;
use crate::sysctl;
use crate::system::System;
use crate::transaction::{Session, Transaction};

/// Makes interfaces ports of a VRF; those that are already are left alone.
///
/// # Errors
/// One cannot be moved, a connection would break, or the kernel refused; then nothing is changed.
pub fn attach(session: &Session, vrf: &str, names: &[String]) -> Result<Outcome, Error> {
    let system = System::read(session.kernel)?;
    let to = Domain::of(system.existing_vrf(vrf)?);
    let ports = new_ports(&system, names, vrf)?;
    guard(session, &system, &ports)?;
    let mut transaction = session.begin()?;
    move_ports(session, &system, &mut transaction, &ports, &to, Defaults::Move)?;
    Ok(transaction.commit())
}

/// Takes interfaces out of their VRFs; those that are in none, or do not exist, are left alone.
///
/// # Errors
/// As [`attach`].
pub fn detach(session: &Session, names: &[String]) -> Result<Outcome, Error> {
    let system = System::read(session.kernel)?;
    let mut ports = Vec::new();
    for name in names {
        let Some(link) = system.link(name) else { continue };
        let Some(master) = link.master.and_then(|master| system.link_by_index(master)) else { continue };
        if !master.is_vrf() {
            return Err(Error::OtherMaster { port: name.clone(), master: master.name.clone() });
        }
        ports.push(link);
    }
    guard(session, &system, &ports)?;
    let mut transaction = session.begin()?;
    move_ports(session, &system, &mut transaction, &ports, &Domain::default_domain(), Defaults::Move)?;
    Ok(transaction.commit())
}

/// The interfaces of these names that are not ports of the VRF yet and can become so.
///
/// # Errors
/// One does not exist, is a VRF, the loopback, or another's port.
pub fn new_ports<'a>(system: &'a System, names: &[String], vrf: &str) -> Result<Vec<&'a Link>, Error> {
    let mut new: Vec<&Link> = Vec::new();
    for name in names {
        let port = system.existing(name)?;
        if port.is_vrf() || port.is_loopback() {
            return Err(Error::NoPort(name.clone()));
        }
        match port.master.and_then(|master| system.link_by_index(master)) {
            Some(master) if master.name == vrf => {}
            Some(master) => return Err(Error::OtherMaster { port: name.clone(), master: master.name.clone() }),
            None if new.iter().any(|other| other.ifindex == port.ifindex) => {}
            None => new.push(port),
        }
    }
    Ok(new)
}

/// Refuses, unless the user takes the risk, to move what somebody's connection uses.
///
/// # Errors
/// There is such a connection.
pub fn guard(session: &Session, system: &System, ports: &[&Link]) -> Result<(), Error> {
    if session.takes_risks() { Ok(()) } else { guard::refuse_if_in_use(session.kernel, system, ports) }
}

/// What becomes of default routes that come into the default domain and find one there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defaults {
    /// They come along, if the user takes the risk.
    Move,
    /// They stay behind.
    Leave,
}

/// Moves each interface from where it is.
///
/// # Errors
/// As [`attach`]; what the transaction did is taken back.
pub fn move_ports(
    session: &Session,
    system: &System,
    transaction: &mut Transaction,
    ports: &[&Link],
    to: &Domain,
    defaults: Defaults,
) -> Result<(), Error> {
    if ports.is_empty() {
        return Ok(());
    }
    let moves = system.routes(session.kernel).and_then(|routes| plan(session, system, &routes, ports, to, defaults));
    for moved in moves.map_err(|error| transaction.abandon(error))? {
        transaction.make_all(moved.steps)?;
        moved.notes.into_iter().for_each(|note| transaction.note(note));
    }
    Ok(())
}

fn plan(
    session: &Session,
    system: &System,
    routes: &[Route],
    ports: &[&Link],
    to: &Domain,
    defaults: Defaults,
) -> Result<Vec<Move>, Error> {
    let mut moves = Vec::new();
    for &link in ports {
        let from = system.vrf_of(link).map_or_else(Domain::default_domain, Domain::of);
        let is_rival = |route: &&Route| {
            let is_own = route.table() == TABLE_MAIN && route.is_default() && !route.is_seal();
            is_own && !route.oifs().contains(&link.ifindex)
        };
        let rivals: Vec<&Route> = routes.iter().filter(is_rival).collect();
        let rivals = Rivals { routes: &rivals, stay_alone: defaults == Defaults::Leave };
        let port = Port {
            link,
            addresses: system.addresses_of(link.ifindex).collect(),
            routes: routes.iter().filter(|route| route.oifs().contains(&link.ifindex)).collect(),
            keeps_addresses: keeps_addresses(&link.name),
            rivals,
        };
        let moved = port::plan(&port, &from, to)?;
        if !session.takes_risks() {
            guard::refuse_default_route(&moved, link)?;
        }
        moves.push(moved);
    }
    Ok(moves)
}

/// Below 0, the setting for all interfaces overrules that of each.
fn keeps_addresses(name: &str) -> Option<String> {
    let all = sysctl::read(&port::keep_key("all"))?;
    if all.starts_with('-') { None } else { sysctl::read(&port::keep_key(name)) }
}

//! `vrfsetup attach` and `detach`: interfaces go into a VRF and out of it with their addresses and routes.

use crate::change::tunnel;
use crate::change::zones;
use crate::error::Error;
use crate::model::link::Link;
use crate::model::route::Route;
use crate::model::rule::{TABLE_LOCAL, TABLE_MAIN};
use crate::plan::emulate;
use crate::plan::holder::Holder;
use crate::plan::inventory::Inventory;
use crate::plan::port::{self, Domain, Move, Port, Rivals};
use crate::plan::system::System;
use crate::sys::{daemons, run_dir};
use crate::transaction::listeners;
use crate::transaction::lockout;
use crate::transaction::report::Outcome;
use crate::transaction::session::{Session, Transaction};

/// What becomes of default routes on the way into the default domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defaults {
    /// They come along; where there is one already, if the user takes the risk.
    Move,
    /// They stay behind: who deletes a VRF has not asked for another way out of the machine.
    Leave,
}

/// Makes interfaces ports of a VRF; those that are already are left alone.
///
/// # Errors
/// One cannot be moved, a connection would break, or the kernel refused; then nothing is changed.
pub fn attach(session: &Session, vrf: &str, names: &[String]) -> Result<Outcome, Error> {
    let inventory = Inventory::read(session.kernel)?;
    if let Some(emulated) = emulate::named(&inventory, vrf) {
        return Err(Error::Emulated { vrf: vrf.to_owned(), port: emulated.port.name.clone() });
    }
    let vrf = inventory.system.existing_vrf(vrf)?;
    let to = Domain::of(vrf);
    let ports = new_ports(&inventory.system, names, &vrf.name)?;
    ports.iter().try_for_each(|port| emulate::refuse_port(&inventory, port, ""))?;
    move_all(session, &inventory, &ports, &to)
}

/// Takes interfaces out of their VRFs; those that are in none, or do not exist, are left alone.
///
/// # Errors
/// As [`attach`].
pub fn detach(session: &Session, names: &[String]) -> Result<Outcome, Error> {
    let inventory = Inventory::read(session.kernel)?;
    let system = &inventory.system;
    let mut ports = Vec::new();
    for name in names {
        let Some(link) = system.link(name) else { continue };
        emulate::refuse_port(&inventory, link, "")?;
        let Some(master) = link.master.and_then(|master| system.link_by_index(master)) else { continue };
        if !master.is_vrf() {
            return Err(Error::OtherMaster { port: name.clone(), master: master.name.clone() });
        }
        ports.push(link);
    }
    move_all(session, &inventory, &ports, &Domain::default_domain())
}

fn move_all(session: &Session, inventory: &Inventory, ports: &[&Link], to: &Domain) -> Result<Outcome, Error> {
    check_lockout(session, &inventory.system, ports)?;
    let moves = plan(session, inventory, ports, to, Defaults::Move)?;
    let mut transaction = session.begin()?;
    make(&mut transaction, moves)?;
    tunnel::follow(session, &mut transaction)?;
    zones::follow(session, &mut transaction, None)?;
    transaction.commit()
}

/// The interfaces of these names that are not ports of the VRF yet and can become so; they may be those of another.
///
/// # Errors
/// One does not exist, is a VRF, the loopback, or a bridge's or a bond's port.
pub fn new_ports<'a>(system: &'a System, names: &[String], vrf: &str) -> Result<Vec<&'a Link>, Error> {
    let mut new: Vec<&Link> = Vec::new();
    for name in names {
        let port = system.existing(name)?;
        if port.is_vrf() || port.is_loopback() {
            return Err(Error::NoPort(name.clone()));
        }
        match port.master.and_then(|master| system.link_by_index(master)) {
            Some(master) if master.name == vrf => {}
            Some(master) if !master.is_vrf() => {
                return Err(Error::OtherMaster { port: name.clone(), master: master.name.clone() });
            }
            _ if new.iter().any(|other| other.ifindex == port.ifindex) => {}
            _ => new.push(port),
        }
    }
    Ok(new)
}

/// Refuses, unless the user takes the risk, to move what somebody's connection uses: the interfaces, and what stands
/// upon them.
///
/// # Errors
/// There is such a connection.
pub fn check_lockout(session: &Session, system: &System, ports: &[&Link]) -> Result<(), Error> {
    if session.takes_risks() {
        return Ok(());
    }
    let above = ports.iter().flat_map(|port| system.above(port));
    let all: Vec<&Link> = ports.iter().copied().chain(above).collect();
    lockout::refuse_if_in_use(session, system, &all)
}

/// Plans to move each interface from where it is, those first that others stand upon.
///
/// # Errors
/// As [`attach`].
pub fn plan(
    session: &Session,
    inventory: &Inventory,
    ports: &[&Link],
    to: &Domain,
    defaults: Defaults,
) -> Result<Vec<Move>, Error> {
    if ports.is_empty() {
        return Ok(Vec::new());
    }
    if !session.takes_risks() {
        let to = to.device.as_ref().map(|vrf| vrf.name.as_str());
        listeners::refuse_if_port_is_taken(session, &inventory.system, ports, to)?;
    }
    let holder = Holder::of(session.kernel, inventory)?;
    let mut ports = ports.to_vec();
    ports.sort_by_key(|port| holder.depth(port));
    let mut moves = Vec::new();
    for link in ports {
        let from = inventory.system.vrf_of(link).map_or_else(Domain::default_domain, Domain::of);
        let theirs = [TABLE_MAIN, TABLE_LOCAL].into_iter().flat_map(|table| inventory.table(table));
        let theirs = theirs.filter(|route| to.is_default() && !route.oifs().contains(&link.ifindex));
        let rivals: Vec<&Route> = theirs.collect();
        let rivals = Rivals { routes: &rivals, are_challenged: defaults == Defaults::Move };
        let port = Port { own: holder.holdings(link), above: holder.above(link), rivals };
        let mut moved = port::plan(&port, &from, to)?;
        moved.notes.extend(to.device.as_ref().and_then(|vrf| also_configured(link, &vrf.name)));
        if !session.takes_risks() {
            lockout::refuse_default_route(&moved, link)?;
        }
        moves.push(moved);
    }
    Ok(moves)
}

/// Names the daemon that configures the interface, unless by a file that names this VRF.
fn also_configured(link: &Link, vrf: &str) -> Option<String> {
    let configured = run_dir::is_first_netns().then(|| daemons::configured(link.ifindex)).flatten()?;
    let is_told = configured.vrf.as_deref() == Some(vrf);
    (!is_told).then(|| {
        format!(
            "{} configures '{}': unless told of '{vrf}' it takes the port out again, or makes its routes in main; \
             see 'ports' in vrf.toml(5)",
            configured.by, link.name
        )
    })
}

/// Makes the moves.
///
/// # Errors
/// The kernel refused; what the transaction did is undone.
pub fn make(transaction: &mut Transaction, moves: Vec<Move>) -> Result<(), Error> {
    for moved in moves {
        transaction.make_all(moved.steps)?;
        moved.notes.into_iter().for_each(|note| transaction.note(note));
    }
    Ok(())
}

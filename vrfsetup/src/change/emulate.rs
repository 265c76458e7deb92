//! `vrfsetup add --emulate` and `del` of what it made: a VRF of one port, without the kernel's driver.

use crate::change::attach;
use crate::error::Error;
use crate::model::link::Link;
use crate::plan::emulate::{self, Emulated};
use crate::plan::inventory::Inventory;
use crate::plan::memory::Memory;
use crate::plan::port::Move;
use crate::plan::sysctls;
use crate::plan::tables;
use crate::plan::vrf::{VrfPlanner, VrfSpec};
use crate::sys::rt_tables::Names;
use crate::sys::sysctl;
use crate::transaction::lockout;
use crate::transaction::report::Outcome;
use crate::transaction::session::Session;

/// Makes the VRF what it is to be; what is so already is left alone.
///
/// # Errors
/// It cannot be so, a connection would break, or the kernel refused; then nothing is changed.
pub fn add(session: &Session, spec: &VrfSpec, ports: &[String]) -> Result<Outcome, Error> {
    let inventory = Inventory::read(session.kernel)?;
    let is_new = emulate::named(&inventory, spec.name).is_none();
    let (wanted, moved) = plan(session, &inventory, &mut VrfPlanner::new(&inventory), spec, ports)?;
    let mut transaction = session.begin()?;
    attach::make(&mut transaction, vec![moved])?;
    let (key, mut memory) = (rp_filter(&wanted.port.name), Memory::read());
    emulate::remember(&mut memory, &inventory, spec.name, wanted.port);
    let made = sysctls::make_and_restore(memory, &[(&key, "0")], &[]);
    let (settings, memory) = made.map_err(|error| transaction.abandon(error))?;
    transaction.make_all(settings)?;
    let name = is_new.then(|| tables::name_step(&Names::read(), spec.name, wanted.table)).flatten();
    transaction.try_make_all(memory.into_iter().chain(name))?;
    if let Some(note) = overruled() {
        transaction.note(note);
    }
    transaction.commit()
}

/// Plans it for the port that was given, or the one that it has.
///
/// # Errors
/// As [`add`].
pub fn plan<'a>(
    session: &Session,
    inventory: &'a Inventory,
    planner: &mut VrfPlanner,
    spec: &VrfSpec<'a>,
    ports: &[String],
) -> Result<(Emulated<'a>, Move), Error> {
    let existing = emulate::named(inventory, spec.name);
    let port = port(inventory, spec.name, existing, ports)?;
    let table = match (existing, spec.table) {
        (Some(there), Some(wanted)) if there.table != wanted => {
            return Err(Error::OtherTable { name: spec.name.to_owned(), table: there.table });
        }
        (Some(there), _) => there.table,
        (None, _) => planner.free_table(spec)?,
    };
    let wanted = Emulated { name: spec.name, table, port };
    let moved = emulate::plan(inventory, &wanted)?;
    if existing.is_none() {
        attach::check_lockout(session, &inventory.system, &[port])?;
    }
    if !session.takes_risks() {
        lockout::refuse_default_route(&moved, port)?;
    }
    planner.emulate(spec.name, table, &moved.steps);
    Ok((wanted, moved))
}

/// The interface that can be its port.
fn port<'a>(
    inventory: &'a Inventory,
    name: &str,
    existing: Option<Emulated<'a>>,
    ports: &[String],
) -> Result<&'a Link, Error> {
    let system = &inventory.system;
    let mut links = ports.iter().map(|port| system.existing(port)).collect::<Result<Vec<&Link>, Error>>()?;
    links.dedup_by_key(|link| link.ifindex);
    let port = match (links[..].first(), existing) {
        (Some(port), _) if links.len() == 1 => *port,
        (None, Some(existing)) => existing.port,
        (None, None) => return Err(Error::Usage(format!("an emulated VRF needs its port: --port IF for '{name}'"))),
        (Some(_), _) => {
            return Err(Error::Usage(format!("an emulated VRF has one port, and '{name}' would have more")));
        }
    };
    if existing.is_some_and(|existing| existing.port.ifindex != port.ifindex) {
        return Err(Error::Emulated {
            vrf: name.to_owned(),
            port: existing.map_or("", |there| &there.port.name).to_owned(),
        });
    }
    attach::new_ports(system, std::slice::from_ref(&port.name), "")?;
    if let Some(master) = port.master.and_then(|master| system.link_by_index(master)) {
        return Err(Error::OtherMaster { port: port.name.clone(), master: master.name.clone() });
    }
    emulate::refuse_port(inventory, port, name)?;
    match system.link(name) {
        Some(link) if link.ifindex != port.ifindex || link.name == name => Err(Error::NameTaken(name.to_owned())),
        _ => Ok(port),
    }
}

/// Deletes it.
///
/// # Errors
/// A connection would break, or the kernel refused; then nothing is changed.
pub fn del(session: &Session, inventory: &Inventory, emulated: &Emulated) -> Result<Outcome, Error> {
    attach::check_lockout(session, &inventory.system, &[emulated.port])?;
    let mut transaction = session.begin()?;
    let mut memory = Memory::read();
    attach::make(&mut transaction, vec![emulate::deletion(inventory, emulated, &memory)])?;
    memory.altnames.remove(emulated.name);
    let is_last = inventory.system.vrfs().next().is_none() && emulate::all(inventory).len() == 1;
    let (settings, memory) =
        if is_last { sysctls::restore() } else { sysctls::restore_one(memory, &rp_filter(&emulated.port.name)) };
    transaction.make_all(settings)?;
    transaction.try_make_all(memory.into_iter().chain(tables::unname_step(emulated.name)))?;
    transaction.commit()
}

/// The kernel looks for the way back to a sender as if it had no interface, and so not in the VRF's table.
pub fn rp_filter(port: &str) -> String {
    format!("net/ipv4/conf/{port}/rp_filter")
}

/// What the setting for all interfaces does to that of the port, whose higher one counts.
fn overruled() -> Option<String> {
    let value = sysctl::read(&rp_filter("all")).filter(|value| value != "0")?;
    Some(format!(
        "net.ipv4.conf.all.rp_filter is {value}: what comes in from beyond the port's networks may be dropped; set it to 0"
    ))
}

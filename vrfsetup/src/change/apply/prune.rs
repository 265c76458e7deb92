//! `vrfsetup apply --prune`: what an export would write and the file does not declare is removed. What daemons made, and
//! what the kernel makes by itself, is nobody's to declare and stays.

use std::collections::HashSet;

use super::Part;
use super::config::{Config, Vrf};
use super::emulation;
use super::once::{Key, key};
use super::source::Source;
use crate::change::attach::{self, Defaults};
use crate::change::del;
use crate::error::Error;
use crate::model::address::{Address, FOREVER, SCOPE_LINK};
use crate::model::family::Family;
use crate::model::link::Link;
use crate::model::route::Route;
use crate::model::rule::TABLE_MAIN;
use crate::model::step::Step;
use crate::plan::emulate;
use crate::plan::inventory::Inventory;
use crate::plan::memory::Memory;
use crate::plan::port::Domain;
use crate::transaction::session::Session;

/// What is declared, and what is there.
pub(super) struct Pruner<'a> {
    pub(super) session: &'a Session<'a>,
    pub(super) source: &'a Source<'a>,
    pub(super) config: &'a Config,
    pub(super) inventory: &'a Inventory,
    /// The ports that the file moves.
    pub(super) moved: &'a [&'a Link],
}

/// One part for each VRF that is not declared, and one for what the others have too many of. `kept` are the declared
/// routes.
pub(super) fn plan(pruner: &Pruner, kept: &HashSet<Key>) -> Result<Vec<Part>, Error> {
    let system = &pruner.inventory.system;
    let mut parts = Vec::new();
    for link in system.vrfs() {
        let stays = |port: &&Link| pruner.moved.iter().all(|moved| moved.ifindex != port.ifindex);
        let ports: Vec<&Link> = system.ports(link).filter(stays).collect();
        parts.push(match pruner.config.vrf.get(&link.name) {
            // What its old table had is on its way into the new one.
            Some(vrf) if gets_another_table(link, vrf) => Part::default(),
            Some(vrf) => of_declared(pruner, link, vrf, &ports, kept)?,
            None => del::plan(pruner.session, pruner.inventory, link, &ports)?.into(),
        });
    }
    parts.extend(emulated(pruner, kept)?);
    parts.push(Part { then: inbound(pruner, kept), ..Part::default() });
    // A route into a VRF that goes may be in the table of one that stays: it is removed by the first of both. One that has
    // any next hop in a VRF that is made again has been deleted before the old device.
    let made_again = |link: &Link| pruner.config.vrf.get(&link.name).is_some_and(|vrf| gets_another_table(link, vrf));
    let gone: Vec<u32> = system.vrfs().filter(|link| made_again(link)).map(|link| link.ifindex).collect();
    let mut removed = HashSet::new();
    for part in &mut parts {
        part.then.retain(|step| match step {
            Step::DeleteRoute(route) => {
                !route.oifs().iter().any(|oif| gone.contains(oif)) && removed.insert(key(route))
            }
            _ => true,
        });
    }
    parts.retain(|part| part.steps().next().is_some());
    Ok(parts)
}

/// Whether this is a route in the table of a VRF that goes, and of none that stays.
pub(super) fn goes(inventory: &Inventory, config: &Config, step: &Step) -> bool {
    let Step::AddRoute(route) = step else { return false };
    let of_table = |link: &&Link| link.table == Some(route.table());
    let mut owners = inventory.system.vrfs().filter(of_table).peekable();
    owners.peek().is_some() && owners.all(|link| !config.vrf.contains_key(&link.name))
}

/// Whether the VRF is being made again, with another table: its surplus goes with the next run.
pub(super) fn gets_another_table(link: &Link, vrf: &Vrf) -> bool {
    vrf.table.as_ref().is_some_and(|table| Some(*table.get_ref()) != link.table)
}

fn of_declared(pruner: &Pruner, link: &Link, vrf: &Vrf, ports: &[&Link], kept: &HashSet<Key>) -> Result<Part, Error> {
    let system = &pruner.inventory.system;
    let is_declared = |port: &Link| {
        vrf.ports
            .iter()
            .any(|name| system.link(name.get_ref()).is_some_and(|declared| declared.ifindex == port.ifindex))
    };
    let (stay, leave): (Vec<&Link>, Vec<&Link>) = ports.iter().partition(|port| is_declared(port));
    attach::check_lockout(pruner.session, system, &leave)?;
    let moves = attach::plan(pruner.session, pruner.inventory, &leave, &Domain::default_domain(), Defaults::Leave)?;
    let mut part = Part { moves, ..Part::default() };
    let leaves = |route: &Route| route.oifs().iter().any(|oif| leave.iter().any(|port| port.ifindex == *oif));
    let table = pruner.inventory.table(link.table.unwrap_or_default());
    let routes = table.filter(|route| route.is_configured() && !route.is_own_seal() && !kept.contains(&key(route)));
    part.then.extend(routes.filter(|route| !leaves(route)).cloned().map(Step::DeleteRoute));
    let declared = pruner.source.addresses(&link.name, vrf)?;
    let devices = stay.iter().copied().chain([link]);
    for own in devices.flat_map(|device| system.addresses_of(device.ifindex)).filter(|own| is_configured(own)) {
        let name = |address: &Address| system.link(&address.device.name).map(|device| device.ifindex);
        let is_same = |address: &Address| {
            name(address) == Some(own.device.ifindex)
                && (address.local, address.prefix_len) == (own.local, own.prefix_len)
        };
        let is_loopback = vrf.loopback && own.is_same_as(&Address::loopback(&link.device(), own.family()));
        if !is_loopback && !declared.iter().any(is_same) {
            part.then.push(Step::DeleteAddress(own.clone()));
        }
    }
    Ok(part)
}

/// The deletion of those, and of what the tables of the others have too much of.
fn emulated(pruner: &Pruner, kept: &HashSet<Key>) -> Result<Vec<Part>, Error> {
    let mut parts = Vec::new();
    for emulated in emulation::gone(pruner.config, pruner.inventory) {
        attach::check_lockout(pruner.session, &pruner.inventory.system, &[emulated.port])?;
        let deletion = emulate::deletion(pruner.inventory, &emulated, &Memory::read());
        parts.push(Part { moves: vec![deletion], ..Part::default() });
    }
    let stay = emulate::all(pruner.inventory);
    let stay = stay.iter().filter(|emulated| pruner.config.vrf.contains_key(emulated.name));
    let surplus = |route: &&Route| route.is_configured() && !route.is_own_seal() && !kept.contains(&key(route));
    let routes = stay.flat_map(|emulated| pruner.inventory.table(emulated.table)).filter(surplus);
    parts.push(Part { then: routes.cloned().map(Step::DeleteRoute).collect(), ..Part::default() });
    Ok(parts)
}

/// Routes of the default domain that lead into a VRF.
fn inbound(pruner: &Pruner, kept: &HashSet<Key>) -> Vec<Step> {
    let system = &pruner.inventory.system;
    let leads_in = |route: &Route| {
        let vrfs = route.oifs().into_iter().filter_map(|oif| system.link_by_index(oif));
        vrfs.into_iter().any(|link| link.is_vrf() && pruner.config.vrf.contains_key(&link.name))
    };
    let main = pruner.inventory.table(TABLE_MAIN);
    let routes = main.filter(|route| route.is_configured() && leads_in(route) && !kept.contains(&key(route)));
    routes.cloned().map(Step::DeleteRoute).collect()
}

/// Not made by the kernel (link-local) and not by DHCP or a router advertisement.
fn is_configured(address: &Address) -> bool {
    address.lifetimes.0 == FOREVER && !(address.family() == Family::V6 && address.scope == SCOPE_LINK)
}

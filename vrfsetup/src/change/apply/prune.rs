//! `vrfsetup apply --prune`: what an export would write and the file does not declare is removed. What daemons made, and
//! what the kernel makes by itself, is nobody's to declare and stays.

use std::collections::HashSet;

use super::Part;
use super::addresses;
use super::config::{Config, Vrf};
use super::emulation;
use super::once::{Key, key};
use super::source::Source;
use crate::change::attach::{self, Defaults};
use crate::change::del;
use crate::error::Error;
use crate::model::link::Link;
use crate::model::prefix::Prefix;
use crate::model::route::Route;
use crate::model::rule::TABLE_MAIN;
use crate::model::step::Step;
use crate::plan::emulate;
use crate::plan::gateway;
use crate::plan::inventory::Inventory;
use crate::plan::memory::Memory;
use crate::plan::port::{Domain, Move};
use crate::plan::system::System;
use crate::transaction::session::Session;

/// What is declared, and what is there.
pub(super) struct Pruner<'a> {
    pub(super) session: &'a Session<'a>,
    pub(super) source: &'a Source<'a>,
    pub(super) config: &'a Config,
    pub(super) inventory: &'a Inventory,
    /// The ports that the file moves.
    pub(super) moved: &'a [&'a Link],
    /// What is made before, which moves them.
    pub(super) before: &'a [Part],
}

/// First the ports that leave, then one part for each VRF that is not declared, and one for what the others have too many
/// of. `kept` are the declared routes.
pub(super) fn plan(pruner: &Pruner, kept: &HashSet<Key>) -> Result<Vec<Part>, Error> {
    let system = &pruner.inventory.system;
    let known = Memory::read().tunnels;
    let leaves = |tunnel: &str| known.contains_key(tunnel) && !pruner.config.tunnel.contains_key(tunnel);
    let mut parts = Vec::new();
    for link in system.vrfs() {
        let stays = |port: &&Link| pruner.moved.iter().all(|moved| moved.ifindex != port.ifindex);
        let ports: Vec<&Link> = system.ports(link).filter(stays).collect();
        parts.push(match pruner.config.vrf.get(&link.name) {
            // What its old table had is on its way into the new one.
            Some(vrf) if gets_another_table(link, vrf) => Part::default(),
            Some(vrf) => of_declared(pruner, link, vrf, &ports, kept)?,
            None => del::plan(pruner.session, pruner.inventory, link, &ports, leaves)?.into(),
        });
    }
    parts.extend(emulated(pruner, kept)?);
    parts.push(Part { then: inbound(pruner, kept), ..Part::default() });
    let moves: Vec<Move> = parts.iter_mut().flat_map(|part| std::mem::take(&mut part.moves)).collect();
    let before = pruner.before.iter().flat_map(Part::steps);
    let carried = Carried::by(before.chain(moves.iter().flat_map(|moved| &moved.steps)));
    parts.push(Part { then: arrived(pruner, kept, &carried)?, ..Part::default() });
    // A route into a VRF that goes may be in the table of one that stays: it is removed by the first of both. One that has
    // any next hop in a VRF that is made again has been deleted before the old device.
    let made_again = |link: &Link| pruner.config.vrf.get(&link.name).is_some_and(|vrf| gets_another_table(link, vrf));
    let gone: Vec<u32> = system.vrfs().filter(|link| made_again(link)).map(|link| link.ifindex).collect();
    let mut removed = HashSet::new();
    for part in &mut parts {
        part.then.retain(|step| match step {
            Step::DeleteRoute(route) => {
                let is_gone = route.oifs().iter().any(|oif| gone.contains(oif)) || carried.is_gone(route);
                !is_gone && removed.insert(Carried::id(route))
            }
            _ => true,
        });
    }
    parts.insert(0, Part { moves, ..Part::default() });
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
    let routes = table.filter(|route| is_surplus(system, route, kept) && !leaves(route));
    part.then.extend(routes.cloned().map(Step::DeleteRoute));
    let declared = pruner.source.addresses(&link.name, vrf)?;
    let loopback = vrf.loopback.then(|| link.device());
    for device in stay.iter().copied().chain([link]) {
        part.then.extend(addresses::surplus(system, device, &declared, loopback.as_ref()));
    }
    Ok(part)
}

/// Whether an export would write the route, and the file does not declare it.
fn is_surplus(system: &System, route: &Route, kept: &HashSet<Key>) -> bool {
    let is_written = || gateway::words(system, route).is_some();
    system.is_configured(route) && !route.is_own_seal() && !kept.contains(&key(route)) && is_written()
}

/// What the ports bring that the file puts into VRFs.
fn arrived(pruner: &Pruner, kept: &HashSet<Key>, carried: &Carried) -> Result<Vec<Step>, Error> {
    let system = &pruner.inventory.system;
    let is_moved = |oif: &u32| pruner.moved.iter().any(|port| port.ifindex == *oif);
    let routes = carried.come.iter().copied().filter(|route| route.oifs().iter().any(is_moved));
    let routes = routes.filter(|route| is_surplus(system, route, kept) && !carried.is_gone(route));
    let mut steps: Vec<Step> = routes.cloned().map(Step::DeleteRoute).collect();
    for (name, vrf) in pruner.config.vrf.iter().filter(|(_, vrf)| !vrf.emulate) {
        let links = vrf.ports.iter().filter_map(|port| system.link(port.get_ref()));
        let ports: Vec<&Link> = links.filter(|link| is_moved(&link.ifindex)).collect();
        let declared = if ports.is_empty() { Vec::new() } else { pruner.source.addresses(name, vrf)? };
        steps.extend(ports.into_iter().flat_map(|port| addresses::surplus(system, port, &declared, None)));
    }
    Ok(steps)
}

/// Which routes ports lose and bring on their way.
#[derive(Default)]
struct Carried<'a> {
    gone: HashSet<(Key, u8, Option<Prefix>)>,
    come: Vec<&'a Route>,
}

impl<'a> Carried<'a> {
    fn by(steps: impl Iterator<Item = &'a Step>) -> Self {
        let mut carried = Self::default();
        for step in steps {
            match step {
                Step::DeleteRoute(route) => drop(carried.gone.insert(Self::id(route))),
                Step::AddRoute(route) => {
                    carried.gone.remove(&Self::id(route));
                    carried.come.push(route);
                }
                _ => {}
            }
        }
        carried
    }

    fn id(route: &Route) -> (Key, u8, Option<Prefix>) {
        (key(route), route.message.header.tos, route.only_from())
    }

    fn is_gone(&self, route: &Route) -> bool {
        self.gone.contains(&Self::id(route))
    }
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
    let system = &pruner.inventory.system;
    let stay = stay.iter().filter(|emulated| pruner.config.vrf.contains_key(emulated.name));
    let routes = stay
        .flat_map(|emulated| pruner.inventory.table(emulated.table))
        .filter(|route| is_surplus(system, route, kept));
    parts.push(Part { then: routes.cloned().map(Step::DeleteRoute).collect(), ..Part::default() });
    Ok(parts)
}

/// Routes of the default domain that lead into a declared VRF: over its device or over a port that it keeps.
fn inbound(pruner: &Pruner, kept: &HashSet<Key>) -> Vec<Step> {
    let system = &pruner.inventory.system;
    let leads_in = |oif: u32| {
        let link = system.link_by_index(oif)?;
        let vrf = if link.is_vrf() { link } else { system.vrf_of(link)? };
        let declared = pruner.config.vrf.get(&vrf.name)?;
        let is_port = |name: &toml::Spanned<String>| system.link(name.get_ref()).is_some_and(|at| at.ifindex == oif);
        (link.is_vrf() || declared.ports.iter().any(is_port)).then_some(())
    };
    let main = pruner.inventory.table(TABLE_MAIN);
    let into = main.filter(|route| route.is_unicast() && route.oifs().into_iter().any(|oif| leads_in(oif).is_some()));
    into.filter(|route| is_surplus(system, route, kept)).cloned().map(Step::DeleteRoute).collect()
}

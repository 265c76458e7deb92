//! VRFs that are emulated, for kernels without the vrf driver. Pure: what is there in, steps out.
//!
//! Such a VRF is one port. Its name is an alternative name of the port, and two rules with this name, `iif NAME lookup
//! TABLE` and `oif NAME lookup TABLE`, are what it is known by. What the kernel does for a VRF's port is done here once, for
//! the addresses that the port has: its routes move out of the table main, and those that say which packets are for this
//! machine are copied, since bind(2) asks the local table for them. The kernel answers pings and refuses connections by no
//! socket and no interface, so that a rule for each address leads these answers back.

mod answers;

use crate::error::Error;
use crate::model::family::Family;
use crate::model::link::Link;
use crate::model::prefix::contains;
use crate::model::route::Route;
use crate::model::rule::{Action, Rule, Selectors, TABLE_LOCAL, TABLE_MAIN};
use crate::model::step::Step;
use crate::plan::inventory::Inventory;
use crate::plan::memory::Memory;
use crate::plan::port::Move;
use crate::plan::rules::{self, FIRST, L3MDEV, Situation, Unreachable};
use crate::plan::{seal, tables};
use crate::sys::families;

/// One that is there.
#[derive(Clone, Copy, Debug)]
pub struct Emulated<'a> {
    pub name: &'a str,
    pub table: u32,
    pub port: &'a Link,
}

/// All of them, in the order of their ports.
pub fn all(inventory: &Inventory) -> Vec<Emulated<'_>> {
    let of_port = |port| of_port(inventory, port);
    inventory.system.links.iter().filter_map(of_port).collect()
}

/// The one that the interface is the port of.
pub fn of_port<'a>(inventory: &Inventory, port: &'a Link) -> Option<Emulated<'a>> {
    let is = |name: &'a String| Some(Emulated { name, table: table_of(&inventory.rules, name)?, port });
    port.altnames.iter().find_map(is)
}

/// The one of this name.
pub fn named<'a>(inventory: &'a Inventory, name: &str) -> Option<Emulated<'a>> {
    of_port(inventory, inventory.system.link(name)?).filter(|emulated| emulated.name == name)
}

/// Refuses an interface that is the port of another emulated VRF.
///
/// # Errors
/// It is.
pub fn refuse_port(inventory: &Inventory, port: &Link, vrf: &str) -> Result<(), Error> {
    match of_port(inventory, port).filter(|other| other.name != vrf) {
        Some(Emulated { name, port, .. }) => Err(Error::Emulated { vrf: name.to_owned(), port: port.name.clone() }),
        None => Ok(()),
    }
}

/// All of them by name and table, as rules are planned for them.
pub fn names(inventory: &Inventory) -> Vec<(String, u32)> {
    all(inventory).into_iter().map(|emulated| (emulated.name.to_owned(), emulated.table)).collect()
}

/// The table that both rules with this name look up.
pub fn table_of(rules: &[Rule], name: &str) -> Option<u32> {
    let [iif, oif] = Rule::lookup(Family::V4, 0, 0).both_ways(name).map(|rule| rule.selectors);
    let leads = |rule: &&Rule, selectors: &Selectors| {
        rule.action == Action::Lookup
            && !rule.is_l3mdev
            && rule.selectors == *selectors
            && tables::is_usable(rule.table)
    };
    let mut first = rules.iter().filter(|rule| leads(rule, &iif));
    let is_twin = |one: &&Rule| rules.iter().any(|other| leads(&other, &oif) && other.table == one.table);
    first.find(is_twin).map(|rule| rule.table)
}

/// The steps that it lacks; all of them where it is not there. The table is sealed and filled before a rule leads to it, and
/// the default domain loses its routes last.
///
/// # Errors
/// A route leads over the port and over others.
pub fn plan(inventory: &Inventory, wanted: &Emulated) -> Result<Move, Error> {
    let Emulated { name, table, port } = *wanted;
    let mut routes = routes(inventory, port, table)?;
    let mut steps = Vec::new();
    if !port.altnames.iter().any(|there| there == name) {
        steps.push(Step::AddAltname(port.device(), name.to_owned()));
    }
    let families = families::available();
    steps.extend(families.iter().filter_map(|family| seal::step(inventory, *family, table)));
    routes.added.sort_by_key(goes_through_gateway);
    steps.extend(routes.added.into_iter().map(Step::AddRoute));
    steps.extend(families.iter().flat_map(|family| lookups(inventory, *family, name, table)));
    steps.extend(answers::steps(inventory, port, table));
    routes.moved.sort_by_key(|route| !goes_through_gateway(route));
    let default_route = routes.moved.iter().find(|route| route.is_default()).cloned();
    steps.extend(routes.moved.into_iter().map(Step::DeleteRoute));
    Ok(Move { steps, default_route, notes: routes.notes })
}

/// What becomes of the routes over the port.
#[derive(Default)]
struct Routes {
    /// To its table.
    added: Vec<Route>,
    /// From the table main.
    moved: Vec<Route>,
    notes: Vec<String>,
}

fn routes(inventory: &Inventory, port: &Link, table: u32) -> Result<Routes, Error> {
    let mut routes = Routes::default();
    for route in inventory.over(port.ifindex).filter(|route| [TABLE_LOCAL, TABLE_MAIN].contains(&route.table())) {
        let is_there = inventory.table(table).any(|there| is_same(there, route));
        if route.table() == TABLE_MAIN {
            if route.is_advertised() || route.is_routing_daemons() {
                let who = route.protocol_name();
                routes
                    .notes
                    .push(format!("route '{route}' stays in the default domain: who made it makes it again ({who})"));
                continue;
            }
            if route.oifs().iter().any(|oif| *oif != port.ifindex) {
                return Err(Error::SharedRoute { port: port.name.clone(), route: route.to_string() });
            }
            if route.is_by_dhcp() {
                routes.notes.push(format!("route '{route}' comes along; the DHCP client makes it again where it was"));
            }
            routes.moved.push(route.clone());
        }
        routes.added.extend((!is_there).then(|| in_table(route, table)));
    }
    Ok(routes)
}

/// Those by which its packets find the table: where `add` puts them, or before `local` where all are there.
fn lookups(inventory: &Inventory, family: Family, name: &str, table: u32) -> Vec<Step> {
    let rules: Vec<Rule> = inventory.rules.iter().filter(|rule| rule.family == family).cloned().collect();
    let does_it = |wanted: &Rule| {
        let is_elsewhere = |there: &Rule| Rule { priority: there.priority, ..wanted.clone() }.is_same_as(there);
        rules.iter().any(is_elsewhere)
    };
    let wanted = Rule::lookup(family, L3MDEV, table).both_ways(name);
    if wanted.iter().all(does_it) {
        return Vec::new();
    }
    if !rules::is_fixed(&rules) {
        return wanted.into_iter().filter(|rule| !does_it(rule)).map(Step::AddRule).collect();
    }
    let mut emulated = names(inventory);
    emulated.retain(|(other, _)| other != name);
    emulated.push((name.to_owned(), table));
    let is_stop = |rule: &Rule| rule.action == Action::Unreachable && rule.tunnel_mark().is_none();
    let is_stopped = rules.iter().any(|rule| rule.priority == FIRST && is_stop(rule));
    let unreachable = if is_stopped { Unreachable::Rule } else { Unreachable::Route };
    let (vrfs, lookup) = (rules::vrfs(inventory), rules::lookup(&rules, false));
    let (rules, emulated, marks) = (&rules, &emulated, &rules::marks(&rules));
    rules::fix_regardless(&Situation { family, rules, own: &[], unreachable, vrfs: &vrfs, emulated, marks, lookup })
}

/// Remembers of a VRF that is to be made whether its port had the name before. Where any rule has it, the VRF has lost others,
/// and what was known of the name holds.
pub fn remember(memory: &mut Memory, inventory: &Inventory, name: &str, port: &Link) {
    let has_it = |rule: &Rule| [&rule.selectors.iif, &rule.selectors.oif].into_iter().flatten().any(|of| of == name);
    if inventory.rules.iter().any(has_it) {
        return;
    }
    memory.altnames.remove(name);
    if port.altnames.iter().any(|there| there == name) {
        memory.altnames.insert(name.to_owned(), port.ifindex);
    }
}

/// The steps back: the port's routes to the table main, then what the table holds, the rules, the seal, and the name, unless
/// the port had it before. Default routes stay behind: who deletes a VRF has not asked for another way out of the machine.
pub fn deletion(inventory: &Inventory, emulated: &Emulated, memory: &Memory) -> Move {
    let Emulated { name, table, port } = *emulated;
    let (mut back, mut notes) = (Vec::new(), Vec::new());
    for route in inventory.table(table).filter(|route| leads_only_over(route, port) && !is_copy(route)) {
        match fate(inventory, port, route) {
            Fate::Back => back.push(in_table(route, TABLE_MAIN)),
            Fate::Stays => notes.push(format!("route '{route}' does not come along")),
            Fate::There => {}
        }
    }
    back.sort_by_key(goes_through_gateway);
    let mut steps: Vec<Step> = back.into_iter().map(Step::AddRoute).collect();
    steps.extend(remains(inventory, name, table));
    if memory.altnames.get(name) != Some(&port.ifindex) {
        steps.push(Step::DeleteAltname(port.device(), name.to_owned()));
    }
    Move { steps, default_route: None, notes }
}

/// What there is without the port, too: the seal goes after the rules that lead to it.
pub fn remains(inventory: &Inventory, name: &str, table: u32) -> Vec<Step> {
    let (seals, mut others): (Vec<&Route>, Vec<&Route>) = inventory.table(table).partition(|route| route.is_own_seal());
    others.sort_by_key(|route| !goes_through_gateway(route));
    let rules = inventory.rules.iter().filter(|rule| belongs(rule, name, table));
    let routes = |routes: Vec<&Route>| routes.into_iter().cloned().map(Step::DeleteRoute).collect::<Vec<_>>();
    // The last first: a rollback adds them in the order that they had.
    let rules = rules.rev().cloned().map(Step::DeleteRule);
    routes(others).into_iter().chain(rules).chain(routes(seals)).collect()
}

/// Whether the rule is one of its.
pub fn belongs(rule: &Rule, name: &str, table: u32) -> bool {
    let Selectors { iif, oif, from, .. } = &rule.selectors;
    let names_it = [iif, oif].into_iter().flatten().any(|device| device == name);
    let is_answer = from.is_some() && iif.as_deref() == Some("lo");
    match rule.action {
        Action::Lookup => !rule.is_l3mdev && rule.table == table && (names_it || is_answer),
        Action::Unreachable => names_it,
        _ => false,
    }
}

/// Whether what its table lacks is stopped, by a default route of any kind or by rules.
pub fn is_sealed(inventory: &Inventory, emulated: &Emulated, family: Family) -> bool {
    let is_stop = |rule: &Rule| rule.family == family && rule.action == Action::Unreachable;
    let stops = Rule::lookup(family, 0, 0).both_ways(emulated.name).map(|rule| rule.selectors);
    let is_stopped = |stop: &Selectors| inventory.rules.iter().any(|rule| is_stop(rule) && rule.selectors == *stop);
    seal::is_closed(inventory, family, emulated.table) || stops.iter().all(is_stopped)
}

/// What becomes of a route of the table when the VRF goes.
enum Fate {
    Back,
    Stays,
    /// It is in the table main already: the kernel made it when the link came up.
    There,
}

fn fate(inventory: &Inventory, port: &Link, route: &Route) -> Fate {
    let mut main = inventory.table(TABLE_MAIN).filter(|other| is_same_destination(other, route));
    if main.any(|other| other.oifs() == route.oifs()) {
        return Fate::There;
    }
    let has_rival = inventory.table(TABLE_MAIN).any(|other| is_same_destination(other, route));
    match route.is_kernels() {
        // That of an address which is gone.
        true if !has_address(inventory, port, route) => Fate::There,
        true => Fate::Back,
        false if route.is_default() || has_rival => Fate::Stays,
        false => Fate::Back,
    }
}

fn has_address(inventory: &Inventory, port: &Link, route: &Route) -> bool {
    let mut own = inventory.system.addresses_of(port.ifindex);
    match (route.source(), route.destination()) {
        (Some(source), _) => own.any(|own| own.local == source),
        (None, Some(network)) => own.any(|own| contains(network, own.peer.unwrap_or(own.local))),
        (None, None) => false,
    }
}

/// Local, broadcast, anycast and multicast: the local table has them as well.
fn is_copy(route: &Route) -> bool {
    route.is_for_this_machine() || route.destination().is_some_and(|(to, _)| to.is_multicast())
}

fn leads_only_over(route: &Route, port: &Link) -> bool {
    route.oifs() == [port.ifindex]
}

fn goes_through_gateway(route: &Route) -> bool {
    route.gateway().is_some() || route.is_multipath() || route.nexthop().is_some()
}

fn is_same(there: &Route, wanted: &Route) -> bool {
    is_same_destination(there, wanted) && there.type_name() == wanted.type_name() && there.oifs() == wanted.oifs()
}

/// A copy of one of the kernel's own IPv6 routes gets another metric.
fn is_same_destination(one: &Route, other: &Route) -> bool {
    let key = |route: &Route| (route.family(), route.destination(), route.metric().filter(|_| !is_copy(route)));
    key(one) == key(other)
}

fn in_table(route: &Route, table: u32) -> Route {
    let mut moved = route.clone();
    moved.set_table(table);
    moved
}

#[cfg(test)]
mod tests;

//! What is watched, and how two states of it differ. The comparison is pure.

use std::collections::{BTreeMap, BTreeSet};

use super::event::Event;
use crate::error::Error;
use crate::inspect::doctor::is_sealed;
use crate::model::family::Family;
use crate::model::link::Link;
use crate::model::rule::Rule;
use crate::plan::emulate::{self, Emulated};
use crate::plan::inventory::Inventory;
use crate::plan::system::{self, System};
use crate::sys::families;
use crate::sys::netlink::Kernel;

/// VRFs and ports by their indices (an emulated VRF has its port's), and rules in the order in which they are tried.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct State {
    vrfs: BTreeMap<u32, Vrf>,
    ports: BTreeMap<u32, Port>,
    rules: Vec<Rule>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Vrf {
    name: String,
    table: u32,
    is_emulated: bool,
    is_up: bool,
    sealed: BTreeSet<Family>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Port {
    name: String,
    vrf: u32,
}

impl State {
    /// Reads it; None where changes kept interrupting.
    ///
    /// # Errors
    /// The kernel's own.
    pub fn read(kernel: &Kernel) -> Result<Option<Self>, Error> {
        match read_inventory(kernel) {
            Err(Error::Unreadable { refusal, .. }) if refusal.errno == libc::EINTR => Ok(None),
            other => Ok(Some(Self::new(&other?))),
        }
    }

    fn new(inventory: &Inventory) -> Self {
        let system = &inventory.system;
        let port = |vrf: &Link, link: &Link| (link.ifindex, Port { name: link.name.clone(), vrf: vrf.ifindex });
        let mut state = Self { rules: inventory.rules.clone(), ..Self::default() };
        for emulated in emulate::all(inventory) {
            state.vrfs.insert(emulated.port.ifindex, Vrf::emulated(inventory, &emulated));
            state.ports.extend([port(emulated.port, emulated.port)]);
        }
        for vrf in system.vrfs() {
            state.vrfs.insert(vrf.ifindex, Vrf::real(inventory, vrf));
            state.ports.extend(system.ports(vrf).map(|link| port(vrf, link)));
        }
        state
    }

    /// What leads from this state to `now`: what goes comes before what comes.
    pub fn changes(&self, now: &Self) -> Vec<Event> {
        let mut events = self.detached(now);
        events.extend(self.gone(now).map(|(ifindex, vrf)| vrf.deleted(ifindex)));
        for (&ifindex, vrf) in &now.vrfs {
            match self.vrfs.get(&ifindex).filter(|before| before.table == vrf.table) {
                Some(before) => events.extend(before.changes(vrf)),
                None => events.extend(vrf.added(ifindex)),
            }
        }
        events.extend(self.attached(now));
        events.extend(rule_changes(&self.rules, &now.rules));
        events
    }

    /// A VRF cannot change its table: one that has another is another one with its index.
    fn stays(&self, now: &Self, vrf: u32) -> bool {
        self.vrfs.get(&vrf).map(|vrf| vrf.table) == now.vrfs.get(&vrf).map(|vrf| vrf.table)
    }

    fn gone<'a>(&'a self, now: &'a Self) -> impl Iterator<Item = (u32, &'a Vrf)> {
        self.vrfs.iter().map(|(&ifindex, vrf)| (ifindex, vrf)).filter(move |(ifindex, _)| !self.stays(now, *ifindex))
    }

    fn detached(&self, now: &Self) -> Vec<Event> {
        let stays = |ifindex, before: &Port| {
            now.ports.get(ifindex).is_some_and(|port| port.vrf == before.vrf) && self.stays(now, before.vrf)
        };
        let gone = self.ports.iter().filter(|(ifindex, port)| !stays(*ifindex, port));
        gone.map(|(_, port)| Event::PortDetached { port: port.name.clone(), vrf: self.name(port.vrf) }).collect()
    }

    fn attached(&self, now: &Self) -> Vec<Event> {
        let event = |(ifindex, port): (&u32, &Port)| {
            let (name, vrf) = (port.name.clone(), now.name(port.vrf));
            match self.ports.get(ifindex).filter(|before| before.vrf == port.vrf && self.stays(now, port.vrf)) {
                None => Some(Event::PortAttached { port: name, vrf }),
                Some(before) if before.name == name => None,
                Some(before) => Some(Event::PortRenamed { port: name, before: before.name.clone(), vrf }),
            }
        };
        now.ports.iter().filter_map(event).collect()
    }

    fn name(&self, vrf: u32) -> String {
        self.vrfs.get(&vrf).map(|vrf| vrf.name.clone()).unwrap_or_default()
    }
}

impl Vrf {
    fn real(inventory: &Inventory, link: &Link) -> Self {
        let is_sealed = |family: &Family| is_sealed(inventory, link, *family);
        Self {
            name: link.name.clone(),
            table: link.table.unwrap_or_default(),
            is_emulated: false,
            is_up: link.is_up(),
            sealed: [Family::V4, Family::V6].into_iter().filter(is_sealed).collect(),
        }
    }

    fn emulated(inventory: &Inventory, emulated: &Emulated) -> Self {
        Self {
            name: emulated.name.to_owned(),
            table: emulated.table,
            is_emulated: true,
            is_up: emulated.port.is_up(),
            sealed: [Family::V4, Family::V6]
                .into_iter()
                .filter(|family| emulate::is_sealed(inventory, emulated, *family))
                .collect(),
        }
    }

    /// As if it had come down and unsealed: so a change is told the same, whether it was seen in one look or in several.
    fn added(&self, ifindex: u32) -> Vec<Event> {
        let bare = Self { is_up: false, sealed: BTreeSet::new(), ..self.clone() };
        let (vrf, table, emulated) = (self.name.clone(), self.table, self.is_emulated);
        let mut events = vec![Event::VrfAdded { vrf, ifindex, table, emulated }];
        events.extend(bare.changes(self));
        events
    }

    fn deleted(&self, ifindex: u32) -> Event {
        Event::VrfDeleted { vrf: self.name.clone(), ifindex, table: self.table }
    }

    fn changes(&self, now: &Self) -> Vec<Event> {
        let vrf = || now.name.clone();
        let mut events = Vec::new();
        if self.name != now.name {
            events.push(Event::VrfRenamed { vrf: vrf(), before: self.name.clone() });
        }
        if self.is_up != now.is_up {
            events.push(if now.is_up { Event::VrfUp { vrf: vrf() } } else { Event::VrfDown { vrf: vrf() } });
        }
        let (lost, won) = (self.sealed.difference(&now.sealed), now.sealed.difference(&self.sealed));
        events.extend(lost.map(|&family| Event::VrfUnsealed { vrf: vrf(), family }));
        events.extend(won.map(|&family| Event::VrfSealed { vrf: vrf(), family }));
        events
    }
}

/// Without addresses, and of routes only those that may be seals.
fn read_inventory(kernel: &Kernel) -> Result<Inventory, Error> {
    let links = kernel.links().map_err(Error::unreadable("the interfaces"))?;
    let rules = system::rules(kernel)?;
    let mut routes = Vec::new();
    for family in families::available() {
        for table in tables(&links, &rules) {
            let what = Error::unreadable(format!("the {family} routes"));
            routes.extend(kernel.default_routes(family, table).map_err(what)?);
        }
    }
    Ok(Inventory::new(System::new(links, Vec::new()), routes, rules))
}

/// Those of VRFs, real or emulated.
fn tables(links: &[Link], rules: &[Rule]) -> BTreeSet<u32> {
    let emulated = links.iter().flat_map(|link| &link.altnames).filter_map(|name| emulate::table_of(rules, name));
    links.iter().filter_map(|link| link.table).chain(emulated).collect()
}

/// The kernel puts a new rule behind those of its preference. So of these the ones that stay are, in their order, the
/// first that there are now.
fn rule_changes(before: &[Rule], now: &[Rule]) -> Vec<Event> {
    let (mut before, mut now) = (by_preference(before), by_preference(now));
    let preferences: BTreeSet<_> = before.keys().chain(now.keys()).copied().collect();
    let mut events = Vec::new();
    for preference in preferences {
        let (before, now) = (before.remove(&preference), now.remove(&preference).unwrap_or_default());
        let mut rest = now.as_slice();
        for rule in before.unwrap_or_default() {
            match rest.split_first() {
                Some((&first, behind)) if first == rule => rest = behind,
                _ => events.push(Event::rule_deleted(rule)),
            }
        }
        events.extend(rest.iter().copied().map(Event::rule_added));
    }
    events
}

fn by_preference(rules: &[Rule]) -> BTreeMap<(Family, u32), Vec<&Rule>> {
    let mut all = BTreeMap::<_, Vec<_>>::new();
    rules.iter().for_each(|rule| all.entry((rule.family, rule.priority)).or_default().push(rule));
    all
}

#[cfg(test)]
mod tests;

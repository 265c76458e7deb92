//! What a VRF is to be, and the steps to it. Pure: what is there in, steps out.

use std::collections::{BTreeSet, HashSet};

use crate::error::Error;
use crate::model::address::Address;
use crate::model::device::Device;
use crate::model::family::Family;
use crate::model::link::Link;
use crate::model::rule::Rule;
use crate::model::step::Step;
use crate::plan::emulate;
use crate::plan::inventory::Inventory;
use crate::plan::leftovers;
use crate::plan::port::Domain;
use crate::plan::rules::{self, FIRST, L3MDEV, Situation, UNREACHABLE, Unreachable};
use crate::plan::seal;
use crate::plan::tables;
use crate::sys::families;

/// What the VRF is to be.
#[derive(Clone, Copy, Debug)]
pub struct VrfSpec<'a> {
    pub name: &'a str,
    /// Its table; None for the one it has, or a free one.
    pub table: Option<u32>,
    /// Whether it gets 127.0.0.1/8 and ::1/128.
    pub has_loopback: bool,
    /// What stops packets that its table has no route for.
    pub unreachable: Unreachable,
}

/// Which VRFs there will be, and which rules, when the steps planned so far are made.
pub struct VrfPlanner<'a> {
    inventory: &'a Inventory,
    taken: BTreeSet<u32>,
    owners: Vec<(u32, String)>,
    /// The tables of these: there may be thousands.
    owned: HashSet<u32>,
    /// Those that are emulated.
    emulated: Vec<(String, u32)>,
    /// Those that are made again.
    gone: Vec<String>,
    rules: Vec<Rule>,
    families: Vec<Family>,
    /// Those in which a new interface can have addresses.
    of_new: Vec<Family>,
    has_l3mdev_rules: bool,
}

impl<'a> VrfPlanner<'a> {
    /// Nothing is planned yet.
    pub fn new(inventory: &'a Inventory) -> Self {
        let owner = |vrf: &Link| Some((vrf.table?, vrf.name.clone()));
        Self {
            inventory,
            taken: inventory.taken_tables(),
            owners: inventory.system.vrfs().filter_map(owner).collect(),
            owned: inventory.system.vrfs().filter_map(|vrf| vrf.table).collect(),
            emulated: emulate::names(inventory),
            gone: Vec::new(),
            rules: inventory.rules.clone(),
            families: families::available(),
            of_new: families::of_device("default"),
            has_l3mdev_rules: rules::has_l3mdev_rules(&inventory.rules),
        }
    }

    /// Keeps these numbers for VRFs that ask for them later.
    pub fn reserve(&mut self, tables: impl IntoIterator<Item = u32>) {
        self.taken.extend(tables);
    }

    /// The VRF is deleted before the next steps are made.
    pub fn make_again(&mut self, name: &str) {
        self.owners.retain(|(_, owner)| owner != name);
        self.owned = self.owners.iter().map(|(table, _)| *table).collect();
        self.gone.push(name.to_owned());
    }

    /// The VRFs that there will be, by name and table.
    pub fn vrfs(&self) -> Vec<(String, u32)> {
        self.owners.iter().map(|(table, name)| (name.clone(), *table)).collect()
    }

    /// Those that will be emulated, by name and table.
    pub fn emulated(&self) -> &[(String, u32)] {
        &self.emulated
    }

    /// There will be this emulated one, by these steps.
    pub fn emulate(&mut self, name: &str, table: u32, steps: &[Step]) {
        steps.iter().for_each(|step| step.apply_to_rules(&mut self.rules));
        self.emulated.retain(|(other, _)| other != name);
        self.emulated.push((name.to_owned(), table));
    }

    /// The rules of a family that there will be. The kernel makes the l3mdev rule with the first VRF.
    pub fn rules(&self, family: Family) -> Vec<Rule> {
        let mut rules: Vec<Rule> = self.rules.iter().filter(|rule| rule.family == family).cloned().collect();
        let l3mdev = Rule::l3mdev(family, L3MDEV);
        if !self.owners.is_empty() && !rules.iter().any(|rule| rule.is_same_as(&l3mdev)) {
            rules.push(l3mdev);
        }
        rules.sort_by_key(|rule| rule.priority);
        rules
    }

    /// The steps that the VRF, which may exist, still lacks, without its ports. The seal comes first: from the moment
    /// when the VRF is up, packets may be sent into it.
    ///
    /// # Errors
    /// It cannot be so.
    pub fn plan(&mut self, spec: &VrfSpec) -> Result<(Vec<Step>, Domain), Error> {
        let existing = self.existing(spec)?;
        let table = match existing.and_then(|link| link.table) {
            Some(table) => table,
            None => self.free_table(spec)?,
        };
        let device = existing.map_or(Device { ifindex: 0, name: spec.name.to_owned() }, Link::device);
        let mut steps = Vec::new();
        steps.extend(existing.is_none().then(|| Step::AddVrf(device.clone(), table)));
        for family in self.families.clone() {
            // The kernel makes it with the first VRF of a namespace only, even if it was deleted since.
            let has_vrf = (existing.is_some() || !self.owners.is_empty()) && self.has_l3mdev_rules;
            if has_vrf && !self.rules.iter().any(|rule| rule.family == family && rule.looks_up_vrfs()) {
                steps.push(self.rule(Rule::l3mdev(family, L3MDEV)));
            }
            match spec.unreachable {
                Unreachable::Rule => steps.extend(self.stop(family)),
                Unreachable::Route => steps.extend(self.seal(family, table)),
                Unreachable::None => {}
            }
        }
        if !existing.is_some_and(Link::is_up) {
            steps.push(Step::SetUp(device.clone()));
        }
        if spec.has_loopback {
            steps.extend(self.loopback(&device));
        }
        if existing.is_none() {
            self.owners.push((table, spec.name.to_owned()));
            self.owned.insert(table);
        }
        Ok((steps, Domain { device: Some(device), table }))
    }

    fn existing(&self, spec: &VrfSpec) -> Result<Option<&'a Link>, Error> {
        if let Some(there) = emulate::named(self.inventory, spec.name) {
            return Err(Error::Emulated { vrf: spec.name.to_owned(), port: there.port.name.clone() });
        }
        let Some(link) = self.inventory.system.link(spec.name) else { return Ok(None) };
        if self.gone.iter().any(|name| name == spec.name) {
            return Ok(None);
        }
        match (link.table, spec.table) {
            (None, _) => Err(Error::NotAVrf(spec.name.to_owned())),
            (Some(table), Some(wanted)) if table != wanted => {
                Err(Error::OtherTable { name: spec.name.to_owned(), table })
            }
            _ => Ok(Some(link)),
        }
    }

    /// The table that was asked for, if it is no other VRF's, or one that nothing refers to.
    ///
    /// # Errors
    /// It is another's.
    pub fn free_table(&mut self, spec: &VrfSpec) -> Result<u32, Error> {
        let remembered = || tables::remembered(spec.name).filter(|table| !leftovers::is_in_use(self.inventory, *table));
        let table = spec.table.or_else(remembered).unwrap_or_else(|| tables::first_free(&self.taken));
        if self.owned.contains(&table) {
            let owner = self.owners.iter().find(|(taken, _)| *taken == table).map_or("", |(_, owner)| owner);
            return Err(Error::TableTaken { table, owner: format!("VRF '{owner}'") });
        }
        if let Some((owner, _)) = self.emulated.iter().find(|(_, taken)| *taken == table) {
            return Err(Error::TableTaken { table, owner: format!("emulated VRF '{owner}'") });
        }
        self.taken.insert(table);
        Ok(table)
    }

    fn rule(&mut self, rule: Rule) -> Step {
        self.rules.push(rule.clone());
        Step::AddRule(rule)
    }

    /// The rule that stops what the tables lack. Where `local` is at 0 behind l3mdev, it must stand between the two.
    fn stop(&mut self, family: Family) -> Vec<Step> {
        let rules = self.rules(family);
        let is_fixed = rules.contains(&Rule::l3mdev(family, FIRST));
        if rules.iter().any(|rule| rule.stops_vrfs() && (rule.priority == FIRST || !is_fixed)) {
            return Vec::new();
        }
        if !is_fixed {
            return vec![self.rule(Rule::l3mdev_unreachable(family, UNREACHABLE))];
        }
        let (vrfs, lookup, unreachable) = (self.vrfs(), rules::lookup(&self.rules, false), Unreachable::Rule);
        let (rules, emulated, marks) = (&rules, &self.emulated, &rules::marks(&rules));
        let situation = Situation { family, rules, own: &[], unreachable, vrfs: &vrfs, emulated, marks, lookup };
        let steps = rules::fix_regardless(&situation);
        steps.iter().for_each(|step| step.apply_to_rules(&mut self.rules));
        steps
    }

    fn seal(&self, family: Family, table: u32) -> Option<Step> {
        seal::step(self.inventory, family, table)
    }

    fn loopback(&self, device: &Device) -> Vec<Step> {
        let families = if device.ifindex == 0 { self.of_new.clone() } else { families::of_device(&device.name) };
        let wanted = families.into_iter().map(|family| Address::loopback(device, family));
        let system = &self.inventory.system;
        let is_there = |address: &Address| system.addresses_of(device.ifindex).any(|own| own.is_same_as(address));
        wanted.filter(|address| !is_there(address)).map(Step::AddAddress).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::system::System;

    const BLUE: VrfSpec<'static> =
        VrfSpec { name: "blue", table: None, has_loopback: true, unreachable: Unreachable::Route };

    fn link(ifindex: u32, name: &str, table: Option<u32>) -> Link {
        Link { flags: 1, ..Link::plain(ifindex, name, table) }
    }

    fn inventory(links: Vec<Link>) -> Inventory {
        let rules = [Family::V4, Family::V6].map(|family| Rule::l3mdev(family, L3MDEV));
        Inventory::new(System::new(links, Vec::new()), Vec::new(), rules.to_vec())
    }

    fn shown(inventory: &Inventory, spec: &VrfSpec) -> Vec<String> {
        let (steps, _) = VrfPlanner::new(inventory).plan(spec).unwrap();
        steps.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_new_vrf_is_sealed_before_it_is_up() {
        let steps = shown(&inventory(Vec::new()), &VrfSpec { table: Some(10), ..BLUE });
        assert_eq!(
            steps,
            [
                "ip link add blue type vrf table 10",
                "ip route add unreachable default table 10 proto kernel metric 4278198272",
                "ip -6 route add unreachable default table 10 proto kernel metric 4278198272",
                "ip link set blue up",
                "ip addr add 127.0.0.1/8 dev blue",
                "ip addr add ::1/128 dev blue nodad",
            ]
        );
    }

    #[test]
    fn two_new_vrfs_get_two_tables() {
        let inventory = inventory(Vec::new());
        let mut planner = VrfPlanner::new(&inventory);
        let tables = ["blue", "red"].map(|name| planner.plan(&VrfSpec { name, ..BLUE }).unwrap().1.table);
        assert_ne!(tables[0], tables[1]);
    }

    #[test]
    fn a_table_of_another_vrf_is_refused_even_if_that_is_only_planned() {
        let inventory = inventory(vec![link(7, "red", Some(10))]);
        let mut planner = VrfPlanner::new(&inventory);
        let spec = VrfSpec { table: Some(10), ..BLUE };
        assert!(matches!(planner.plan(&spec), Err(Error::TableTaken { table: 10, .. })));
        planner.plan(&VrfSpec { table: Some(11), ..BLUE }).unwrap();
        let green = VrfSpec { name: "green", table: Some(11), ..BLUE };
        assert!(matches!(planner.plan(&green), Err(Error::TableTaken { table: 11, .. })));
    }

    #[test]
    fn another_kind_of_interface_is_refused() {
        let inventory = inventory(vec![link(7, "blue", None)]);
        assert!(matches!(VrfPlanner::new(&inventory).plan(&BLUE), Err(Error::NotAVrf(_))));
    }

    #[test]
    fn an_existing_vrf_gets_only_what_it_lacks() {
        let inventory = inventory(vec![link(7, "blue", Some(10))]);
        let spec = VrfSpec { has_loopback: false, unreachable: Unreachable::None, ..BLUE };
        assert_eq!(shown(&inventory, &spec), [""; 0]);
    }
}

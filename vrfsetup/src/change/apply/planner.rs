//! From what a file declares and what is there to the steps between the two.

use std::net::IpAddr;

use super::config::{Config, Vrf};
use super::emulation;
use super::once;
use super::open;
use super::prune::{self, Pruner};
use super::renumber::{self, Renumbering};
use super::source::Source;
use super::{Part, Plan, Section, setting_section};
use crate::change::attach::{self};
use crate::error::Error;
use crate::model::address::Address;
use crate::model::link::Link;
use crate::model::step::Step;
use crate::plan::inventory::Inventory;
use crate::plan::port::Domain;
use crate::plan::rules::{self, InTheWay, Situation};
use crate::plan::vrf::{VrfPlanner, VrfSpec};
use crate::plan::{leak, sysctls, tables};
use crate::sys::families;
use crate::sys::rt_tables::Names;
use crate::sys::sysctl;
use crate::transaction::lockout;
use crate::transaction::session::Session;

pub(super) struct Planner<'a> {
    pub(super) session: &'a Session<'a>,
    pub(super) source: Source<'a>,
    pub(super) config: &'a Config,
    pub(super) inventory: &'a Inventory,
    pub(super) vrf_planner: VrfPlanner<'a>,
    pub(super) names: Names,
    pub(super) moved: Vec<&'a Link>,
    /// What needs a port that is not there is left out.
    pub(super) may_lack_ports: bool,
    /// What is not declared goes.
    pub(super) prunes: bool,
    /// What is being planned.
    pub(super) at: Section,
}

impl Planner<'_> {
    /// An error comes with what was being planned.
    pub(super) fn plan(mut self) -> Result<Plan, (Section, Error)> {
        self.plan_all().map_err(|error| (self.at, error))
    }

    fn plan_all(&mut self) -> Result<Plan, Error> {
        let mut plan = Plan::default();
        let asked = self.config.vrf.values().filter_map(|vrf| vrf.table.as_ref().map(|table| *table.get_ref()));
        self.vrf_planner.reserve(asked);
        let mut domains = Vec::new();
        for (name, vrf) in &self.config.vrf {
            self.at = Section::Vrf(name.clone());
            let planned = self.vrf(name, vrf, &mut plan);
            let located = |error| self.source.locate(Some(self.source.place_of(name, vrf, &error)), error);
            domains.push((name.as_str(), planned.map_err(located)?));
        }
        self.at = Section::Default;
        self.routes(&self.config.default.routes, &Domain::default_domain(), &Part::default(), &mut plan)?;
        self.at = Section::All;
        attach::check_lockout(self.session, &self.inventory.system, &self.moved)?;
        plan.vrfs.sort_by_key(Part::place);
        self.at = Section::Rules;
        self.rules(&mut plan)?;
        self.leaks(&domains, &mut plan)?;
        self.users(&mut plan)?;
        self.tunnels(&mut plan)?;
        self.at = Section::All;
        if self.prunes {
            self.prune(&mut plan)?;
        }
        let then = plan.then.iter().map(|(_, step)| step);
        let cuts: Vec<Step> = plan.pruned.iter().flat_map(Part::steps).chain(then).cloned().collect();
        lockout::refuse_if_cut(self.session, &self.inventory.system, &cuts)?;
        self.settings(&mut plan)?;
        plan.notes.extend(open::notes(self.config, self.inventory, &self.vrf_planner, &domains, &plan));
        Ok(plan)
    }

    fn prune(&self, plan: &mut Plan) -> Result<(), Error> {
        let Self { session, source, config, inventory, moved, .. } = self;
        let pruner = Pruner { session, source, config, inventory, moved, before: &plan.vrfs };
        plan.pruned = prune::plan(&pruner, &plan.kept)?;
        plan.extras.extend(emulation::gone(config, inventory).filter_map(|gone| tables::unname_step(gone.name)));
        for vrf in inventory.system.vrfs() {
            match config.vrf.get(&vrf.name) {
                None => plan.extras.extend(tables::unname_step(&vrf.name)),
                Some(declared) if prune::gets_another_table(vrf, declared) => {
                    plan.notes.push(format!("'{}' gets another table; run again to prune it", vrf.name));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// Those that are there, and those that come with the VRFs.
    fn settings(&mut self, plan: &mut Plan) -> Result<(), Error> {
        let is_new = |name: &&str| self.inventory.system.link(name).is_none();
        let new: Vec<&str> = self.config.vrf.keys().map(String::as_str).filter(is_new).collect();
        let mut now = Vec::new();
        for (name, value) in &self.config.sysctl {
            let key = sysctl::key_of(name);
            self.at = Section::Setting(key.clone());
            match sysctls::exists(&key) {
                true => now.push((key, value.to_string())),
                false if sysctls::comes_with(&key, &new) => plan.settings.push((key, value.to_string())),
                false if sysctls::device(&key).is_some_and(|device| plan.missing.iter().any(|m| m.port == device)) => {}
                false => {
                    let error = Error::NoSuchSetting(name.clone());
                    return Err(self.source.locate(self.source.setting(name), error));
                }
            }
        }
        let of_ports = emulation::settings(self.config, self.inventory);
        let is_declared = |key: &str| now.iter().any(|(declared, _)| declared == key);
        now.extend(of_ports.into_iter().filter(|(key, _)| !is_declared(key)).collect::<Vec<_>>());
        let now: Vec<(&str, &str)> = now.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let back = if self.prunes { emulation::restored(self.config, self.inventory) } else { Vec::new() };
        let memory = emulation::memory(self.config, self.inventory, self.prunes);
        let (settings, memory) = sysctls::make_and_restore(memory, &now, &back)?;
        plan.then.extend(settings.into_iter().map(|step| (setting_section(&step).unwrap_or(Section::All), step)));
        plan.extras.extend(memory);
        Ok(())
    }

    fn vrf(&mut self, name: &str, vrf: &Vrf, plan: &mut Plan) -> Result<Domain, Error> {
        if vrf.emulate {
            return self.emulated(name, vrf, plan);
        }
        let table = vrf.table.as_ref().map(|table| *table.get_ref());
        let spec = VrfSpec { name, table, has_loopback: vrf.loopback, unreachable: vrf.unreachable };
        let renumbering = self.renumbering(name, vrf)?;
        let (mut steps, domain) = self.vrf_planner.plan(&spec)?;
        let is_new = self.inventory.system.link(name).is_none() || renumbering.is_some();
        // Nobody is in a VRF yet to be made, and there may be thousands.
        if !is_new {
            lockout::refuse_if_cut(self.session, &self.inventory.system, &steps)?;
        }
        let mut again = Vec::new();
        if let Some(Renumbering { before, after }) = renumbering {
            steps.splice(..0, before);
            again.push(after);
        }
        plan.extras.extend(is_new.then(|| tables::name_step(&self.names, name, domain.table)).flatten());
        let mut part = Part { vrf: name.to_owned(), steps, moves: again, ..Part::default() };
        self.ports(name, vrf, &domain, &mut part, &mut plan.missing)?;
        self.addresses(name, vrf, &domain, &mut part)?;
        self.routes(&vrf.routes, &domain, &part, plan)?;
        plan.vrfs.push(part);
        Ok(domain)
    }

    /// Where the VRF is there with another table than the file declares.
    fn renumbering(&mut self, name: &str, vrf: &Vrf) -> Result<Option<Renumbering>, Error> {
        let (Some(link), Some(table)) = (self.inventory.system.link(name), vrf.table.as_ref()) else { return Ok(None) };
        if !link.is_vrf() || link.table == Some(*table.get_ref()) {
            return Ok(None);
        }
        self.vrf_planner.make_again(name);
        let declared = self.source.addresses(name, vrf)?;
        let is_declared = |own: &Address| {
            let is_loopback = vrf.loopback && own.is_same_as(&Address::loopback(&link.device(), own.family()));
            is_loopback || declared.iter().any(|other| other.device.name == name && other.is_same_elsewhere(own))
        };
        let mut again = renumber::plan(self.session, self.inventory, link, *table.get_ref(), is_declared)?;
        again.after.steps.retain(|step| !(self.prunes && prune::goes(self.inventory, self.config, step)));
        Ok(Some(again))
    }

    fn rules(&self, plan: &mut Plan) -> Result<(), Error> {
        if !self.config.rules.fix {
            return Ok(());
        }
        let own: Vec<IpAddr> = self.inventory.system.addresses.iter().map(|address| address.local).collect();
        for family in families::available() {
            let rules = self.vrf_planner.rules(family);
            let unreachable = self.config.rules.unreachable;
            let (vrfs, lookup) = (self.vrf_planner.vrfs(), rules::lookup(&rules, false));
            let (emulated, marks) = (self.vrf_planner.emulated(), &rules::marks(&rules));
            let (rules, own, vrfs) = (&rules, &own, &vrfs);
            let situation = Situation { family, rules, own, unreachable, vrfs, emulated, marks, lookup };
            let steps = match rules::fix(&situation) {
                Err(_) if self.session.overrules_rules() => rules::fix_regardless(&situation),
                Err(InTheWay(rule)) => return Err(Error::ForeignRule(rule)),
                Ok(steps) => steps,
            };
            plan.then.extend(steps.into_iter().map(|step| (Section::Rules, step)));
        }
        Ok(())
    }

    fn leaks(&mut self, domains: &[(&str, Domain)], plan: &mut Plan) -> Result<(), Error> {
        for (at, declared) in self.config.leak.iter().enumerate() {
            self.at = Section::Leak(at);
            let find = |name: &toml::Spanned<String>| {
                if self.config.vrf.get(name.get_ref()).is_some_and(|vrf| vrf.emulate) {
                    return Err(self.source.mistake_at(name, "an emulated VRF shares no routes"));
                }
                let planned =
                    domains.iter().find(|(known, _)| known == name.get_ref()).map(|(_, domain)| domain.clone());
                let missing = |_| self.source.mistake_at(name, "no such VRF");
                planned.map_or_else(|| leak::domain(&self.inventory.system, name.get_ref()).map_err(missing), Ok)
            };
            let (owner, other) = (find(&declared.from)?, find(&declared.to)?);
            for prefix in &declared.prefixes {
                let route = leak::route(self.inventory, &owner, other.table, self.source.prefix(prefix)?);
                let route = route.map_err(|error| self.source.locate(Some(prefix.span().start), error))?;
                plan.kept.insert(once::key(&route));
                let step = leak::step(self.inventory.table(other.table), route);
                plan.then.extend(step.map(|step| (self.at.clone(), step)));
            }
        }
        Ok(())
    }
}

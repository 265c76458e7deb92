//! From what a file declares and what is there to the steps between the two.

use std::collections::HashSet;
use std::net::IpAddr;

use super::config::{Config, Vrf};
use super::emulation;
use super::inbound;
use super::once;
use super::prune::{self, Pruner};
use super::renumber::{self, Renumbering};
use super::source::Source;
use super::{Missing, Part, Plan, Section};
use crate::change::attach::{self, Defaults};
use crate::error::Error;
use crate::model::address::Address;
use crate::model::link::Link;
use crate::model::name;
use crate::model::route::Route;
use crate::model::step::Step;
use crate::model::syntax;
use crate::plan::address as plan_address;
use crate::plan::gateway::Networks;
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

/// Routes in the words of `ip route add`.
type RouteTexts = [toml::Spanned<String>];

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
        Ok(plan)
    }

    fn prune(&self, plan: &mut Plan) -> Result<(), Error> {
        let Self { session, source, config, inventory, moved, .. } = self;
        plan.pruned = prune::plan(&Pruner { session, source, config, inventory, moved }, &plan.kept)?;
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
            self.at = Section::Setting(name.clone());
            let key = sysctl::key_of(name);
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
        plan.then.extend(settings.into_iter().map(|step| (setting_section(&step), step)));
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
            let is_same = |other: &Address| (other.local, other.prefix_len) == (own.local, own.prefix_len);
            is_loopback || declared.iter().any(|other| other.device.name == name && is_same(other))
        };
        let mut again = renumber::plan(self.session, self.inventory, link, *table.get_ref(), is_declared)?;
        again.after.steps.retain(|step| !(self.prunes && prune::goes(self.inventory, self.config, step)));
        Ok(Some(again))
    }

    /// The ports that come in now, each with what it has; all are up in the end.
    fn ports(
        &mut self,
        name: &str,
        vrf: &Vrf,
        domain: &Domain,
        part: &mut Part,
        missing: &mut Vec<Missing>,
    ) -> Result<(), Error> {
        let system = &self.inventory.system;
        let mut names: Vec<String> = Vec::new();
        for port in &vrf.ports {
            name::device(port.get_ref()).map_err(|why| self.source.mistake_at(port, &why))?;
            match system.link(port.get_ref()) {
                Some(_) => names.push(port.get_ref().clone()),
                None if self.may_lack_ports => {
                    missing.push(Missing { port: port.get_ref().clone(), vrf: name.to_owned() });
                }
                None => return Err(self.source.mistake_at(port, "no such interface")),
            }
        }
        let new = attach::new_ports(system, &names, name)?;
        part.moves.extend(attach::plan(self.session, self.inventory, &new, domain, Defaults::Move)?);
        self.moved.extend(new);
        let down = names.iter().filter_map(|name| system.link(name)).filter(|link| !link.is_up());
        part.then.extend(down.map(|link| Step::SetUp(link.device())));
        Ok(())
    }

    /// Whether it is a port that is not there and may be missing.
    fn is_missing(&self, device: &str, vrf: &str) -> bool {
        self.may_lack_ports && device != vrf && self.inventory.system.link(device).is_none()
    }

    /// Whether the VRF lacks a port, over which the route may lead.
    fn lacks_port(&self, vrf: &Domain) -> bool {
        let name = vrf.device.as_ref().map_or("", |device| device.name.as_str());
        let ports = self.config.vrf.get(name).into_iter().flat_map(|vrf| &vrf.ports);
        ports.into_iter().any(|port| self.is_missing(port.get_ref(), name))
    }

    fn addresses(&self, name: &str, vrf: &Vrf, domain: &Domain, part: &mut Part) -> Result<(), Error> {
        for mut address in self.source.addresses(name, vrf)? {
            if self.is_missing(&address.device.name, name) {
                continue;
            }
            address.device.ifindex = self.ifindex(&address.device.name, domain);
            let mut there = self.inventory.system.addresses_of(address.device.ifindex);
            match there.find(|own| own.is_same_as(&address)) {
                None => part.then.push(Step::AddAddress(address)),
                Some(own) => part.then.extend(plan_address::step(own, &address)),
            }
        }
        Ok(())
    }

    /// A route that is there in the same words is left alone, one of the same destination and metric replaced.
    pub(super) fn routes(
        &self,
        texts: &RouteTexts,
        domain: &Domain,
        part: &Part,
        plan: &mut Plan,
    ) -> Result<(), Error> {
        if texts.is_empty() {
            return Ok(());
        }
        let brought = part.moves.iter().flat_map(|moved| &moved.steps).filter_map(|step| match step {
            Step::AddRoute(route) => Some(route),
            _ => None,
        });
        let there: Vec<&Route> = self.inventory.table(domain.table).chain(brought).collect();
        let known: HashSet<String> = there.iter().flat_map(|route| descriptions(route)).collect();
        let mut networks = self.networks(domain, part);
        there.iter().for_each(|route| networks.add_route(route));
        for (mut route, text) in self.source.routes(texts)?.into_iter().zip(texts) {
            if !domain.is_default() {
                let over_missing = route.device.as_ref().is_some_and(|name| {
                    self.is_missing(name, &domain.device.as_ref().map_or(String::new(), |device| device.name.clone()))
                });
                let completed = networks.complete(&mut route);
                if (over_missing || completed.is_err()) && self.lacks_port(domain) {
                    continue;
                }
                completed.map_err(|why| self.source.mistake_at(text, &why))?;
                networks.add_route(&route);
            } else if !inbound::leads_into_vrf(&self.inventory.system, self.config, &route) {
                return Err(self.source.mistake_at(text, "leads into no VRF"));
            }
            route.set_table(domain.table);
            plan.kept.insert(once::key(&route));
            if syntax::route::write(&route).is_some_and(|text| known.contains(&text)) {
                continue;
            }
            route.lead_over(|name| Some(self.ifindex(name, domain)).filter(|&ifindex| ifindex != 0));
            let step = match there.iter().find(|old| once::key(old) == once::key(&route)) {
                Some(old) => Step::ReplaceRoute { from: (*old).clone(), to: route },
                None => Step::AddRoute(route),
            };
            plan.then.push((self.at.clone(), step));
        }
        Ok(())
    }

    /// The networks of the ports that the VRF has, gets, and of the addresses that they get.
    fn networks(&self, domain: &Domain, part: &Part) -> Networks {
        let system = &self.inventory.system;
        let vrf = domain.device.as_ref().and_then(|device| system.link(&device.name));
        let moved = part.steps().filter_map(|step| match step {
            Step::Enslave(port, _) => Some(port.ifindex),
            _ => None,
        });
        // Of one that is emulated, the device is the port.
        let port = vrf.into_iter().filter(|link| !link.is_vrf());
        let ports = vrf.iter().flat_map(|vrf| system.ports(vrf)).chain(port).map(|port| port.ifindex).chain(moved);
        let ports: Vec<&Link> = ports.filter_map(|port| system.link_by_index(port)).collect();
        let new = part.steps().filter_map(|step| match step {
            Step::AddAddress(address) => Some(address),
            _ => None,
        });
        let mut networks = Networks::of(ports.iter().map(|port| port.name.clone()));
        let there = ports.iter().flat_map(|port| system.addresses_of(port.ifindex));
        there.chain(new).for_each(|address| networks.add_address(address));
        networks
    }

    /// 0 for a VRF that is yet to be made, or is made again.
    fn ifindex(&self, name: &str, domain: &Domain) -> u32 {
        let new = domain.device.as_ref().filter(|device| device.name == name).map(|device| device.ifindex);
        let vrf = self.config.vrf.get(name);
        let stays = |link: &&Link| !vrf.is_some_and(|vrf| prune::gets_another_table(link, vrf));
        new.or_else(|| self.inventory.system.link(name).filter(stays).map(|link| link.ifindex)).unwrap_or(0)
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

/// The section of a step that makes a setting.
fn setting_section(step: &Step) -> Section {
    match step {
        Step::SetSysctl { key, .. } => Section::Setting(key.replace('/', ".")),
        _ => Section::All,
    }
}

/// The words of a route, and, since a gateway tells the interface, those without it.
fn descriptions(route: &Route) -> Vec<String> {
    let vague = route.gateway().map(|_| Route { device: None, ..route.clone() });
    std::iter::once(route).chain(&vague).filter_map(syntax::route::write).collect()
}

//! What a domain gets between its device and the rules: its ports, their addresses, its routes.

use std::collections::HashSet;

use super::config::Vrf;
use super::inbound;
use super::once;
use super::planner::Planner;
use super::prune;
use super::{Missing, Part, Plan};
use crate::change::attach::{self, Defaults};
use crate::error::Error;
use crate::model::link::Link;
use crate::model::name;
use crate::model::route::Route;
use crate::model::step::Step;
use crate::model::syntax;
use crate::plan::address as plan_address;
use crate::plan::gateway::Networks;
use crate::plan::port::Domain;

/// Routes in the words of `ip route add`.
type RouteTexts = [toml::Spanned<String>];

impl Planner<'_> {
    /// The ports that come in now, each with what it has; all are up in the end.
    pub(super) fn ports(
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

    pub(super) fn addresses(&self, name: &str, vrf: &Vrf, domain: &Domain, part: &mut Part) -> Result<(), Error> {
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
}

/// The words of a route, and, since a gateway tells the interface, those without it.
fn descriptions(route: &Route) -> Vec<String> {
    let vague = route.gateway().map(|_| Route { device: None, ..route.clone() });
    std::iter::once(route).chain(&vague).filter_map(syntax::route::write).collect()
}

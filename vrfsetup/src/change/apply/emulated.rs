//! What a file declares of a VRF that is emulated: a port, and routes of its table.

use super::config::Vrf;
use super::planner::Planner;
use super::{Missing, Part, Plan};
use crate::change::emulate;
use crate::error::Error;
use crate::model::device::Device;
use crate::plan::emulate::{self as plan_emulate, Emulated};
use crate::plan::port::Domain;
use crate::plan::rules::Unreachable;
use crate::plan::tables;
use crate::plan::vrf::VrfSpec;

impl Planner<'_> {
    /// Plans for it; without its port there is nothing to make.
    pub(super) fn emulated(&mut self, name: &str, vrf: &Vrf, plan: &mut Plan) -> Result<Domain, Error> {
        let table = vrf.table.as_ref().map(|table| *table.get_ref());
        let ports: Vec<String> = vrf.ports.iter().map(|port| port.get_ref().clone()).collect();
        if let Some(port) = ports.iter().find(|port| self.inventory.system.link(port).is_none()) {
            if !self.may_lack_ports {
                return Err(self.source.mistake_at(&vrf.ports[0], "no such interface"));
            }
            plan.missing.push(Missing { port: port.clone(), vrf: name.to_owned() });
            let device = Device { ifindex: 0, name: port.clone() };
            return Ok(Domain { device: Some(device), table: table.unwrap_or_default() });
        }
        let is_new = plan_emulate::named(self.inventory, name).is_none();
        let spec = VrfSpec { name, table, has_loopback: false, unreachable: Unreachable::Route };
        let (wanted, moved) = emulate::plan(self.session, self.inventory, &mut self.vrf_planner, &spec, &ports)?;
        self.has_addresses(name, vrf, &wanted)?;
        let domain = Domain { device: Some(wanted.port.device()), table: wanted.table };
        plan.extras.extend(is_new.then(|| tables::name_step(&self.names, name, wanted.table)).flatten());
        let part = Part { vrf: name.to_owned(), moves: vec![moved], ..Part::default() };
        self.routes(&vrf.routes, &domain, &part, plan)?;
        plan.vrfs.push(part);
        Ok(domain)
    }

    /// Its routes are those of addresses that are there.
    fn has_addresses(&self, name: &str, vrf: &Vrf, wanted: &Emulated) -> Result<(), Error> {
        for (address, text) in self.source.addresses(name, vrf)?.iter().zip(&vrf.addresses) {
            let mut own = self.inventory.system.addresses_of(wanted.port.ifindex);
            if !own.any(|own| (own.local, own.prefix_len) == (address.local, address.prefix_len)) {
                let why = "an emulated VRF has the addresses that its port has: give it this one first";
                return Err(self.source.mistake_at(text, why));
            }
        }
        Ok(())
    }
}

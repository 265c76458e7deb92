//! `[tunnel]`: the tunnels whose outside is in a VRF.

use super::planner::Planner;
use super::{Missing, Plan, Section};
use crate::change::tunnel;
use crate::error::Error;
use crate::plan::memory::Memory;

impl Planner<'_> {
    /// Plans them, and with `--prune` that those which are not declared leave.
    pub(super) fn tunnels(&mut self, plan: &mut Plan) -> Result<(), Error> {
        let (config, system) = (self.config, &self.inventory.system);
        let known = Memory::read().tunnels;
        let mut wanted = known.clone();
        if self.prunes {
            wanted.retain(|name, _| config.tunnel.contains_key(name));
        }
        for (place, (name, vrf)) in (0..).zip(&config.tunnel) {
            self.at = Section::Tunnel(name.clone());
            let declared = config.vrf.get(vrf.get_ref());
            let is_there = !self.prunes && system.link(vrf.get_ref()).is_some_and(|link| link.is_vrf());
            if !declared.map_or(is_there, |declared| !declared.emulate) {
                let what = if declared.is_some() { "no tunnel can be in an emulated VRF" } else { "no such VRF" };
                return Err(self.source.mistake_at(vrf, what));
            }
            if self.may_lack_ports && system.link(name).is_none() {
                plan.missing.push(Missing { port: name.clone(), vrf: vrf.get_ref().clone() });
                tunnel::expect(&self.inventory.rules, &mut wanted, name, vrf.get_ref(), place);
                continue;
            }
            let added = tunnel::add(system, &self.inventory.rules, &mut wanted, name, vrf.get_ref());
            added.map_err(|error| self.source.mistake_at(vrf, &error.to_string()))?;
        }
        self.at = Section::Tunnels;
        let changed = wanted.keys().chain(known.keys()).filter(|name| wanted.get(*name) != known.get(*name));
        tunnel::refuse_if_used(self.session, system, changed.map(String::as_str))?;
        plan.tunnels.0 = (wanted != known).then_some(wanted);
        Ok(())
    }
}

//! What comes and goes with VRFs that are emulated, beside their routes.

use super::config::Config;
use crate::change::emulate;
use crate::plan::emulate::{self as plan_emulate, Emulated};
use crate::plan::inventory::Inventory;
use crate::plan::memory::Memory;

/// The settings of the ports that they need, unless the file has its own.
pub(super) fn settings(config: &Config, inventory: &Inventory) -> Vec<(String, String)> {
    let ports = config.vrf.values().filter(|vrf| vrf.emulate).flat_map(|vrf| &vrf.ports);
    let there = ports.filter_map(|port| inventory.system.link(port.get_ref()));
    there.map(|port| (emulate::rp_filter(&port.name), "0".to_owned())).collect()
}

/// What is to be remembered of those that the file declares, and no more of those that `prune` deletes.
pub(super) fn memory(config: &Config, inventory: &Inventory, prunes: bool) -> Memory {
    let mut memory = Memory::read();
    for (name, vrf) in config.vrf.iter().filter(|(_, vrf)| vrf.emulate) {
        let port = vrf.ports.first().and_then(|port| inventory.system.link(port.get_ref()));
        port.into_iter().for_each(|port| plan_emulate::remember(&mut memory, inventory, name, port));
    }
    for emulated in gone(config, inventory).filter(|_| prunes) {
        memory.altnames.remove(emulated.name);
    }
    memory
}

/// The settings that come back with those that `prune` deletes.
pub(super) fn restored(config: &Config, inventory: &Inventory) -> Vec<String> {
    gone(config, inventory).map(|emulated| emulate::rp_filter(&emulated.port.name)).collect()
}

/// Those that the file does not declare.
pub(super) fn gone<'a>(config: &'a Config, inventory: &'a Inventory) -> impl Iterator<Item = Emulated<'a>> {
    plan_emulate::all(inventory).into_iter().filter(|emulated| !config.vrf.contains_key(emulated.name))
}

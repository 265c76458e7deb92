//! What comes and goes with VRFs that are emulated, beside their routes.

use super::config::Config;
use crate::change::emulate;
use crate::plan::emulate::{self as plan_emulate, Emulated};
use crate::plan::inventory::Inventory;

/// The settings of the ports that they need, unless the file has its own.
pub(super) fn settings(config: &Config, inventory: &Inventory) -> Vec<(String, String)> {
    let ports = config.vrf.values().filter(|vrf| vrf.emulate).flat_map(|vrf| &vrf.ports);
    let there = ports.filter_map(|port| inventory.system.link(port.get_ref()));
    there.map(|port| (emulate::rp_filter(&port.name), "0".to_owned())).collect()
}

/// The settings that come back with those that `prune` deletes.
pub(super) fn restored(config: &Config, inventory: &Inventory) -> Vec<String> {
    gone(config, inventory).map(|emulated| emulate::rp_filter(&emulated.port.name)).collect()
}

/// Those that the file does not declare.
pub(super) fn gone<'a>(config: &'a Config, inventory: &'a Inventory) -> impl Iterator<Item = Emulated<'a>> {
    plan_emulate::all(inventory).into_iter().filter(|emulated| !config.vrf.contains_key(emulated.name))
}

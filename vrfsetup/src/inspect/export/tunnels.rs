//! Tunnels whose outside is in a VRF: those that `[tunnel]` declares, and those that it cannot.

use std::collections::BTreeMap;

use crate::model::shell::word;
use crate::plan::memory::Memory;
use crate::plan::outsides;
use crate::plan::system::System;

/// Each with its VRF; then a line for each of the others. What names the VRF is declared, whoever has put it there: the file
/// asks for nothing else than what is.
pub(super) fn all(system: &System, memory: &Memory) -> (Vec<(String, String)>, Vec<String>) {
    let mut declared: BTreeMap<String, String> =
        memory.tunnels.iter().map(|(name, tunnel)| (name.clone(), tunnel.vrf.clone())).collect();
    let mut others = Vec::new();
    for (link, below, vrf) in outsides::all(system).filter(|(link, ..)| !memory.tunnels.contains_key(&link.name)) {
        let (name, kind) = (&link.name, link.kind.as_deref().unwrap_or_default());
        if outsides::is_changed(link) && below.is_vrf() {
            declared.insert(name.clone(), vrf.name.clone());
        } else {
            let (name, dev) = (word(name), word(&below.name));
            others.push(format!("# not declared, it is made so: ip link add {name} type {kind} ... dev {dev}\n"));
        }
    }
    (declared.into_iter().collect(), others)
}

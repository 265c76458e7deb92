//! What was there before vrfsetup changed it, for a later run that undoes it.

use std::collections::BTreeMap;
use std::fs;

use serde::{Deserialize, Serialize};

use crate::model::family::Family;
use crate::model::step::Step;
use crate::model::tunnel::Tunnel;
use crate::sys::run_dir;

/// What was there before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// The families whose l3mdev rule `rules fix` made. The kernel makes one with a namespace's first VRF and never
    /// again, so that one of its making must stay.
    pub l3mdev: Vec<Family>,
    /// Settings with the values that they had.
    pub sysctls: BTreeMap<String, String>,
    /// Of those that are an interface's, its index: the kernel moves them along when the interface gets another name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub interfaces: BTreeMap<String, u32>,
    /// Alternative names that ports had before VRFs of these names were emulated by them, with the ports' indices.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub altnames: BTreeMap<String, u32>,
    /// Whether conntrack zones are on; then, by routing table, those that are not its number. What nftables has tells
    /// neither once somebody has flushed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zones: Option<BTreeMap<u32, u16>>,
    /// The tunnels whose outside is in a VRF, by the names of their interfaces, which come and go.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tunnels: BTreeMap<String, Tunnel>,
}

impl Memory {
    /// Reads it; empty where there is none.
    pub fn read() -> Self {
        let bytes = run_dir::path("memory").and_then(fs::read).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// The tunnels whose outside is to be in this VRF by a mark.
    pub fn marked_tunnels_of(&self, vrf: &str) -> Vec<String> {
        let is_its = |(_, tunnel): &(&String, &Tunnel)| tunnel.vrf == vrf && tunnel.named.is_none();
        self.tunnels.iter().filter(is_its).map(|(name, _)| name.clone()).collect()
    }

    /// The step that writes it, or that removes its file if there is nothing to remember; none if nothing changed.
    pub fn step(&self) -> Option<Step> {
        let path = run_dir::path("memory").ok()?;
        let from = fs::read_to_string(&path).ok();
        let to = if *self == Self::default() { None } else { serde_json::to_string(self).ok() };
        (from != to).then_some(Step::WriteFile { path, from, to })
    }
}

/// Whether the step switches on or off what of all that is there by the user's wish, zones and tunnels: of that, somebody's
/// `nft flush ruleset` may have left nothing else to change.
pub fn is_switch(step: &Step) -> bool {
    let wishes = |text: &Option<String>| {
        let memory: Memory = text.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        (memory.zones.is_some(), memory.tunnels)
    };
    matches!(step, Step::WriteFile { from, to, .. } if is_memory(step) && wishes(from) != wishes(to))
}

/// Whether the step only writes down what a later run must know.
pub fn is_memory(step: &Step) -> bool {
    matches!(step, Step::WriteFile { path, .. } if run_dir::holds(path))
}

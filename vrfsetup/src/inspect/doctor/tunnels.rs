//! Tunnels whose outside is to be in a VRF and is not whole there: another program has changed rules, nftables, the mark
//! or the port, or has made the interface again.

use super::Finding;
use crate::error::Error;
use crate::inspect::tunnels::{self, Entry};
use crate::model::shell::word;
use crate::plan::inventory::Inventory;

/// Nothing for who may not ask.
pub fn all(inventory: &Inventory) -> Vec<Finding> {
    match tunnels::all(inventory) {
        Ok(entries) => entries.iter().filter(|entry| entry.differs).map(|entry| finding(inventory, entry)).collect(),
        Err(Error::Unreadable { refusal, .. } | Error::Nft { refusal, .. }) if refusal.errno == libc::EPERM => {
            Vec::new()
        }
        Err(error) => {
            vec![Finding::new("tunnel-unknown", format!("tunnels cannot be looked at: {error}"), "vrfsetup tunnel")]
        }
    }
}

fn finding(inventory: &Inventory, Entry { tunnel, vrf, port, .. }: &Entry) -> Finding {
    let again = format!("vrfsetup tunnel {} --in {}", word(tunnel), word(vrf));
    let remove = format!("vrfsetup tunnel {} --remove", word(tunnel));
    let is_there = inventory.system.link(vrf).is_some_and(|link| link.is_vrf());
    let (what, fix) = match port {
        None => (format!("there is no tunnel '{tunnel}'"), remove),
        Some(_) if !is_there => (format!("nothing leaves by tunnel '{tunnel}': its VRF is gone"), remove),
        Some(_) => (format!("rules, nftables, mark or port of tunnel '{tunnel}' are not as they should be"), again),
    };
    Finding::new("tunnel", what, fix).about(vrf)
}

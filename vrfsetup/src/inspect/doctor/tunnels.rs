//! Tunnels whose outside is to be in a VRF and is not whole there: another program has changed rules, nftables, the mark,
//! the port or the device, or has made the interface again; and those whose outside is sent by what is gone.

use super::Finding;
use crate::error::Error;
use crate::inspect::tunnels::{self, By, Entry};
use crate::model::link::{Link, changes_its_outside};
use crate::model::shell::word;
use crate::plan::inventory::Inventory;
use crate::plan::outsides;
use crate::plan::system::System;

/// Of those that have a mark nothing for who may not ask.
pub fn all(inventory: &Inventory) -> Vec<Finding> {
    let entries = match tunnels::all(inventory) {
        Err(Error::Unreadable { refusal, .. } | Error::Nft { refusal, .. }) if refusal.errno == libc::EPERM => {
            tunnels::named(inventory)
        }
        Ok(entries) => entries,
        Err(error) => {
            let what = format!("tunnels cannot be looked at: {error}");
            return vec![Finding::new("tunnel-unknown", what, "vrfsetup tunnel")];
        }
    };
    let differing = entries.iter().filter(|entry| entry.differs).map(|entry| finding(inventory, entry));
    let lost = inventory.system.links.iter().filter(|link| outsides::is_lost(&inventory.system, link));
    let is_named = |link: &&Link| !entries.iter().any(|entry| entry.differs && entry.tunnel == link.name);
    differing.chain(lost.filter(is_named).map(lost_finding)).collect()
}

fn finding(inventory: &Inventory, Entry { tunnel, vrf, by, .. }: &Entry) -> Finding {
    let system = &inventory.system;
    let again = format!("vrfsetup tunnel {} --in {}", word(tunnel), word(vrf));
    let remove = format!("vrfsetup tunnel {} --remove", word(tunnel));
    let is_there = system.link(vrf).is_some_and(Link::is_vrf);
    let link = system.link(tunnel).filter(|link| link.name == *tunnel);
    let (what, fix) = match (by, link) {
        (By::Device { .. }, Some(link)) if !is_there => without_vrf(system, link, vrf).unwrap_or((lost(link), remove)),
        (By::Device { .. }, Some(_)) => (format!("the outside of tunnel '{tunnel}' is not in the VRF"), again),
        // It was expected before anybody could know of what kind it is.
        (By::Mark { .. }, Some(link)) if outsides::is_changed(link) && is_there => {
            (format!("the outside of tunnel '{tunnel}' is not in the VRF"), again)
        }
        (By::Mark { port: None, .. }, _) | (By::Device { .. }, None) => {
            (format!("there is no tunnel '{tunnel}'"), remove)
        }
        _ if !is_there => (format!("nothing leaves by tunnel '{tunnel}': its VRF is gone"), remove),
        _ => (format!("rules, nftables, mark or port of tunnel '{tunnel}' are not as they should be"), again),
    };
    Finding::new("tunnel", what, fix).about(vrf)
}

/// Where it sends by all the same: the VRF has another name by now, or somebody has given it another device.
fn without_vrf(system: &System, link: &Link, vrf: &str) -> Option<(String, String)> {
    let (name, below) = (&link.name, link.lower.and_then(|lower| system.link_by_index(lower)));
    let of = below.and_then(|below| system.vrf_of(below));
    let again = |to: &str| format!("vrfsetup tunnel {} --in {}", word(name), word(to));
    match of {
        Some(of) => {
            let what = format!("the outside of tunnel '{name}' is in VRF '{}', and VRF '{vrf}' is gone", of.name);
            Some((what, again(&of.name)))
        }
        None if below.is_some() || link.lower.is_none() => {
            let what = format!("tunnel '{name}' sends by the default domain: its VRF is gone");
            Some((what, format!("vrfsetup tunnel {} --remove", word(name))))
        }
        None => None,
    }
}

fn lost(link: &Link) -> String {
    let name = &link.name;
    match outsides::falls_back(link) {
        true => format!("tunnel '{name}' may send by the default domain: its VRF is gone"),
        false => format!("nothing leaves by tunnel '{name}': its VRF is gone"),
    }
}

/// Nobody remembers what it was.
fn lost_finding(link: &Link) -> Finding {
    let name = &link.name;
    let what = match outsides::falls_back(link) {
        true => format!("tunnel '{name}' may send by the default domain: the device of its outside is gone"),
        false => format!("nothing leaves by tunnel '{name}': the device of its outside is gone"),
    };
    let fix = match link.kind.as_deref().is_some_and(changes_its_outside) {
        true => format!("vrfsetup tunnel {} --remove", word(name)),
        false => format!("ip link del {}", word(name)),
    };
    Finding::new("tunnel", what, fix)
}

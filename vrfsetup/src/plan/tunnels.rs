//! Tunnels whose outside is in a VRF: from the tunnels that are wanted to rules, nftables tables and marks.
//!
//! WireGuard's outer socket is the kernel's, and nobody can bind it. What it sends has a mark, by which one rule leads it
//! into the VRF's table and another stops what that table lacks, also when the VRF is gone. What comes in by the VRF an
//! unbound socket does not receive (`udp_l3mdev_accept` would have all others receive, too): of what is for this machine
//! the nftables tables `vrfsetup_tunnels` send a copy on to the loopback, with the same mark. What comes in elsewhere in the
//! default domain and has another mark, they drop.

use std::collections::BTreeMap;

use crate::error::Error;
use crate::model::device::Device;
use crate::model::family::Family;
use crate::model::link::Link;
use crate::model::nft::TUNNELS;
use crate::model::rule::{Rule, TABLE_LOCAL};
use crate::model::step::Step;
use crate::model::tunnel::Tunnel;
use crate::plan::memory::Memory;
use crate::plan::outsides;
use crate::plan::rules::{self, FIRST, L3MDEV, Marked};
use crate::plan::system::System;
use crate::plan::zones::{self, Members};
use crate::sys::families;
use crate::sys::netlink::wireguard::{self, Outside};

/// Tunnels by the names of their interfaces.
pub type ByName = BTreeMap<String, Tunnel>;

/// Where marks begin that are chosen here; no other program is known to use these.
const MARKS: u32 = 0x5652_0000;

/// What is there.
pub struct Now<'a> {
    /// The interfaces, those of tunnels that name a device for their outside among them.
    pub system: &'a System,
    /// VRFs and their ports, as they will be by then.
    pub members: &'a Members,
    pub rules: &'a [Rule],
    /// WireGuard's interfaces, with what concerns their outer packets.
    pub outsides: &'a Outsides,
    /// The nftables tables, as nft lists them: Some(None) where there are none, None where they stay as they are.
    pub listing: Option<Option<String>>,
}

/// The outsides of interfaces by name.
pub type Outsides = BTreeMap<String, (Device, Outside)>;

/// The outsides of these interfaces, as far as they are there.
///
/// # Errors
/// The kernel will not say.
pub fn outsides<'a>(system: &System, names: impl Iterator<Item = &'a String>) -> Result<Outsides, Error> {
    let links = names.filter_map(|name| system.link(name).filter(|link| is_wireguard(link) && link.name == *name));
    let read = |link: &Link| {
        let outside = wireguard::outside(link.ifindex).map_err(Error::unreadable(format!("tunnel '{}'", link.name)))?;
        Ok((link.name.clone(), (link.device(), outside)))
    };
    links.map(read).collect()
}

/// Whether it is one of WireGuard's.
pub fn is_wireguard(link: &Link) -> bool {
    link.kind.as_deref() == Some("wireguard")
}

/// The mark for a tunnel: the one that it has, else one that nobody has.
pub fn mark(known: &ByName, rules: &[Rule], has: u32) -> u32 {
    if has == 0 { free_mark(known, rules, 0) } else { has }
}

/// A mark that nobody has, for the tunnel at this place among the names of a file. Others of the file may be there already, and need none: by
/// its place it is the same at each boot.
pub fn free_mark(known: &ByName, rules: &[Rule], place: u32) -> u32 {
    let is_taken = |mark: u32| {
        known.values().any(|tunnel| tunnel.mark == mark) || rules.iter().any(|rule| rule.selectors.fwmark == Some(mark))
    };
    (MARKS + 1 + place..).find(|mark| !is_taken(*mark)).unwrap_or(MARKS)
}

/// The same tunnels, each by what it is now: some were expected when nobody could know.
pub fn as_they_came(system: &System, wanted: &ByName) -> ByName {
    let of_kind = |(name, tunnel): (&String, &Tunnel)| {
        let tunnel = outsides::as_it_came(system, name, tunnel).unwrap_or_else(|| Some(tunnel.clone()))?;
        Some((name.clone(), tunnel))
    };
    wanted.iter().filter_map(of_kind).collect()
}

/// The steps by which these tunnels, and no others, are in their VRFs. First it is closed and can receive, then tunnels
/// send that way; those that are no more have their own mark before its rules go.
///
/// # Errors
/// A port has a name that nft cannot read.
pub fn steps(now: &Now, memory: Memory, wanted: &ByName) -> Result<Vec<Step>, Error> {
    let gone = memory.tunnels.iter().filter(|(name, _)| !wanted.contains_key(*name));
    let back: Vec<Step> = gone.filter_map(|(name, tunnel)| back_step(now, name, tunnel)).collect();
    let mut steps = Vec::from_iter(Memory { tunnels: wanted.clone(), ..memory }.step());
    let marks = marks(now, wanted);
    let of_family = |family| {
        let rules: Vec<Rule> = now.rules.iter().filter(|rule| rule.family == family).cloned().collect();
        rule_steps(&rules, family, &marks)
    };
    let (added, removed): (Vec<_>, Vec<_>) = families::available().into_iter().map(of_family).unzip();
    steps.extend(added.into_iter().flatten());
    if let Some(listing) = &now.listing {
        steps.extend(table_step(now, listing.as_deref(), wanted)?);
    }
    steps.extend(wanted.iter().filter_map(|(name, tunnel)| match tunnel.named {
        None => mark_step(now, name, tunnel.mark),
        Some(_) => outsides::step_into(now.system, now.members, name, tunnel),
    }));
    steps.extend(back);
    steps.extend(removed.into_iter().flatten());
    Ok(steps)
}

/// Each mark once: several tunnels of one VRF may have the same.
fn marks(now: &Now, wanted: &ByName) -> Vec<Marked> {
    let of = |tunnel: &Tunnel| (tunnel.mark, now.members.tables.get(&tunnel.vrf).copied());
    wanted.values().filter(|tunnel| tunnel.named.is_none()).map(of).collect::<BTreeMap<_, _>>().into_iter().collect()
}

fn back_step(now: &Now, name: &str, tunnel: &Tunnel) -> Option<Step> {
    match tunnel.named {
        None => mark_step(now, name, tunnel.was),
        Some(_) => outsides::step_back(now.system, name, Some(tunnel)),
    }
}

fn mark_step(now: &Now, name: &str, to: u32) -> Option<Step> {
    let (device, outside) = now.outsides.get(name)?;
    (outside.mark != to).then(|| Step::SetFwmark { device: device.clone(), from: outside.mark, to })
}

/// The steps to the rules that lead these marks, and those that remove what is left of others. Where the rules of VRFs come
/// before `local`, these do, too. A mark that was stopped is stopped at any instant.
fn rule_steps(rules: &[Rule], family: Family, marks: &[Marked]) -> (Vec<Step>, Vec<Step>) {
    let at = if rules::is_fixed(rules) { FIRST } else { L3MDEV };
    let place = |wanted: &Rule| rules.iter().position(|rule| rule == wanted);
    let (mut steps, mut kept) = (Vec::new(), Vec::new());
    for (mark, table) in marks {
        let lookup = table.map(|table| Rule::lookup(family, at, table).of_mark(*mark));
        let stop = Rule::stop(family, at).of_mark(*mark);
        let is_led = lookup.as_ref().is_none_or(|lookup| place(lookup).is_some_and(|led| Some(led) < place(&stop)));
        if !is_led || place(&stop).is_none() {
            steps.extend(lookup.iter().filter(|lookup| place(lookup).is_none()).cloned().map(Step::AddRule));
            steps.push(if place(&stop).is_some() { Step::MoveRule } else { Step::AddRule }(stop.clone()));
        }
        kept.extend(lookup.into_iter().chain([stop]));
    }
    let local = Rule::lookup(family, FIRST, TABLE_LOCAL);
    let has_added = !steps.is_empty();
    steps.extend(
        (has_added && at == FIRST && place(&local).is_some()).then(|| rules::move_last(local)).into_iter().flatten(),
    );
    let surplus = rules.iter().filter(|rule| rule.tunnel_mark().is_some() && !kept.contains(rule));
    (steps, surplus.rev().cloned().map(Step::DeleteRule).collect())
}

fn table_step(now: &Now, listing: Option<&str>, wanted: &ByName) -> Result<Option<Step>, Error> {
    let to = text(now, &families::available(), wanted)?;
    let is_so = match (listing, &to) {
        (Some(listing), Some(to)) => words(listing) == words(to),
        (listing, to) => listing.is_none() && to.is_none(),
    };
    Ok((!is_so).then(|| Step::SetTunnels { from: listing.map(str::to_owned), to }))
}

/// The tables of these families, laid out as nft lists them; None where nothing is to be received.
fn text(now: &Now, families: &[Family], wanted: &ByName) -> Result<Option<String>, Error> {
    let ports: Vec<(u16, &Tunnel)> =
        wanted.iter().filter_map(|(name, tunnel)| Some((now.outsides.get(name)?.1.port, tunnel))).collect();
    if let Some(name) = now.members.tables.keys().find(|name| !zones::is_readable(name)) {
        return Err(Error::Usage(format!("nft cannot read the name of '{name}', which tunnels take")));
    }
    let text = || {
        let of_family = |(name, (_, loopback)): (&&str, (Family, &str))| {
            let chains = refusing(now.members, &ports) + &receiving(now.members, &ports, loopback);
            format!("table {name} {} {{\n{chains}}}\n", TUNNELS.name)
        };
        let all = TUNNELS.families.iter().zip([(Family::V4, "127.0.0.1"), (Family::V6, "::1")]);
        all.filter(|(_, (family, _))| families.contains(family)).map(of_family).collect()
    };
    Ok((!ports.is_empty()).then(text))
}

/// What comes in elsewhere in the default domain is not for the tunnel; what comes in by VRFs is for sockets bound there.
fn refusing(members: &Members, tunnels: &[(u16, &Tunnel)]) -> String {
    let vrfs: Vec<String> = members.tables.keys().map(|vrf| format!("\"{vrf}\"")).collect();
    let elsewhere = if vrfs.is_empty() { String::new() } else { format!("iifname != {{ {} }} ", vrfs.join(", ")) };
    let rule = |(port, tunnel): &(u16, &Tunnel)| {
        format!("\t\t{elsewhere}udp dport {port} meta mark != {:#010x} drop\n", tunnel.mark)
    };
    chain("refuse", -300, tunnels.iter().map(rule).collect())
}

/// What has come in by the VRF, is for this machine and has passed others' chains is sent on to the loopback with a route,
/// so that nobody looks for another one. Where no socket has the port, it stays, and is answered by the VRF. A socket that is
/// bound to the VRF is not reached by the loopback: what is for it ends there, else the default domain would answer.
fn receiving(members: &Members, tunnels: &[(u16, &Tunnel)], loopback: &str) -> String {
    let is_there = |(_, tunnel): &&(u16, &Tunnel)| members.tables.contains_key(&tunnel.vrf);
    let rule = |(port, Tunnel { vrf, mark, .. }): &(u16, &Tunnel)| {
        let what = format!("iifname \"{vrf}\" udp dport {port} {HAS_SOCKET}");
        let copy = format!("iifname \"lo\" udp dport {port} meta mark {mark:#010x}");
        format!(
            "\t\t{what} meta mark set {mark:#010x} dup to {loopback} device \"lo\" drop\n\
             \t\t{copy} {HAS_SOCKET} accept\n\t\t{copy} drop\n"
        )
    };
    chain("receive", 200, tunnels.iter().filter(is_there).map(rule).collect())
}

/// WireGuard's is not transparent.
const HAS_SOCKET: &str = "socket transparent 0";

fn chain(name: &str, priority: i32, rules: String) -> String {
    let head = format!("type filter hook input priority {priority}; policy accept;");
    format!("\tchain {name} {{\n\t\t{head}\n{rules}\t}}\n")
}

/// All words of such tables, in whatever way nft lists them: the only element of a set with or without braces, others in
/// any order.
fn words(text: &str) -> Vec<&str> {
    let bare = text.split_whitespace().map(|word| word.trim_matches(['{', '}', ',', ';']));
    let bare = bare.filter(|word| !["", "="].contains(word));
    let mut words: Vec<&str> = bare.collect();
    words.chunk_by_mut(|one, other| one.starts_with('"') && other.starts_with('"')).for_each(<[_]>::sort_unstable);
    words
}

#[cfg(test)]
mod tests;

//! Conntrack zones: from VRFs and their ports to the text of one nftables table.
//!
//! The first prerouting pass of a packet decides, where its input interface is the port; a packet made here gets its zone
//! by the port that it leaves by, or, on its way to this machine itself, by the VRF's device. Only the original direction
//! has a zone: replies stay in zone 0, where those of leaked and translated flows are found whatever they come in by. Two
//! replies that would be the same are told apart by another source port, which a nat chain of either family provides for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::error::Error;
use crate::model::nft::ZONES;
use crate::model::step::Step;
use crate::plan::memory::Memory;
use crate::plan::system::System;

/// Behind what others do at priority raw (-300), whose `notrack` and zones win that way, and before conntrack (-200).
const PRIORITY: i32 = -250;

/// Zones by routing table.
pub type ByTable = BTreeMap<u32, u16>;

/// Which interfaces are in which VRFs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// The VRFs, with their tables.
    pub tables: BTreeMap<String, u32>,
    /// The ports, with their VRFs.
    ports: BTreeMap<String, String>,
}

impl Members {
    /// As it is.
    pub fn of(system: &System) -> Self {
        let mut members = Self::default();
        for vrf in system.vrfs() {
            members.tables.insert(vrf.name.clone(), vrf.table.unwrap_or_default());
            members.ports.extend(system.ports(vrf).map(|port| (port.name.clone(), vrf.name.clone())));
        }
        members
    }

    /// What a step makes of it.
    pub fn apply(&mut self, step: &Step) {
        match step {
            Step::AddVrf(device, table) => drop(self.tables.insert(device.name.clone(), *table)),
            Step::DeleteVrf(device, _) => {
                self.tables.remove(&device.name);
                self.ports.retain(|_, vrf| *vrf != device.name);
            }
            Step::Enslave(port, vrf) => drop(self.ports.insert(port.name.clone(), vrf.name.clone())),
            Step::Release(port, _) => drop(self.ports.remove(&port.name)),
            _ => {}
        }
    }

    /// The ports of a VRF.
    pub fn ports<'a>(&'a self, vrf: &'a str) -> impl Iterator<Item = &'a str> {
        self.ports.iter().filter(move |(_, of)| *of == vrf).map(|(port, _)| port.as_str())
    }

    /// VRFs and ports, each with the zone of its table.
    pub fn zones(&self, zones: &ByTable) -> BTreeMap<&str, u16> {
        let of_vrf = |vrf: &str| self.tables.get(vrf).and_then(|table| zones.get(table)).copied();
        let vrfs = self.tables.keys().map(|vrf| (vrf.as_str(), of_vrf(vrf)));
        let ports = self.ports.iter().map(|(port, vrf)| (port.as_str(), of_vrf(vrf)));
        vrfs.chain(ports).filter_map(|(name, zone)| Some((name, zone?))).collect()
    }
}

/// A zone for each table: the one that it has, else its own number, else (above 65535, or where another has that) the
/// highest that is free.
///
/// # Errors
/// There are more tables than zones.
pub fn assign(members: &Members, kept: &ByTable) -> Result<ByTable, Error> {
    let tables: BTreeSet<u32> = members.tables.values().copied().collect();
    let mut zones: ByTable = kept.iter().filter(|(table, _)| tables.contains(table)).map(|(t, z)| (*t, *z)).collect();
    let mut taken: BTreeSet<u16> = zones.values().copied().collect();
    for &table in &tables {
        let own = u16::try_from(table).ok().filter(|own| *own != 0);
        if let Some(own) = own.filter(|own| !zones.contains_key(&table) && taken.insert(*own)) {
            zones.insert(table, own);
        }
    }
    let mut free = (1..=u16::MAX).rev().filter(|zone| !taken.contains(zone));
    let rest: Vec<u32> = tables.into_iter().filter(|table| !zones.contains_key(table)).collect();
    for table in rest {
        zones.insert(table, free.next().ok_or(Error::NoZone(format!("table {table}")))?);
    }
    Ok(zones)
}

/// What a later run must know: the zones that are not their table's number.
pub fn exceptions(zones: &ByTable) -> ByTable {
    zones.iter().filter(|(table, zone)| **table != u32::from(**zone)).map(|(t, z)| (*t, *z)).collect()
}

/// The steps by which zones are on and as they should be. `listing` is the table that is there.
///
/// # Errors
/// An interface has a name that nft cannot read, or there are more tables than zones.
pub fn on(members: &Members, memory: Memory, listing: Option<String>, with_local: bool) -> Result<Vec<Step>, Error> {
    let zones = assign(members, memory.zones.as_ref().unwrap_or(&ByTable::new()))?;
    let wanted = text(&members.zones(&zones), with_local)?;
    let remembered = Memory { zones: Some(exceptions(&zones)), ..memory }.step();
    let is_so = listing.as_ref().is_some_and(|there| Listed::read(there) == Listed::read(&wanted));
    let table = (!is_so).then_some(Step::SetZones { from: listing, to: Some(wanted) });
    Ok(remembered.into_iter().chain(table).collect())
}

/// Whether the table that is there does all that it should, whatever interfaces that are gone it names as well.
pub fn is_whole(members: &Members, memory: &Memory, listing: &str, with_local: bool) -> bool {
    let zones = assign(members, memory.zones.as_ref().unwrap_or(&ByTable::new()));
    let wanted = zones.and_then(|zones| text(&members.zones(&zones), with_local));
    let read = |text: &str| Listed::read(text);
    match (wanted.ok().as_deref().and_then(read), read(listing)) {
        (Some(wanted), Some(there)) => there.holds(&wanted),
        (wanted, _) => wanted.is_none(),
    }
}

/// The steps by which they are off.
pub fn off(memory: Memory, listing: Option<String>) -> Vec<Step> {
    let table = listing.map(|from| Step::SetZones { from: Some(from), to: None });
    table.into_iter().chain(Memory { zones: None, ..memory }.step()).collect()
}

/// The table, laid out as nft lists it.
fn text(zones: &BTreeMap<&str, u16>, with_local: bool) -> Result<String, Error> {
    if let Some((name, _)) = zones.iter().find(|(name, _)| !is_readable(name)) {
        return Err(Error::NoZone(format!("'{name}', whose name nft cannot read")));
    }
    let mut text = format!("table inet {} {{\n", ZONES.name);
    chain(&mut text, "prerouting", &rule("iifname", zones));
    let local = if with_local { rule("oifname", zones) } else { String::new() };
    chain(&mut text, "output", &local);
    // Without rules: that it is there is what makes the kernel look for a free port where two replies would be the same.
    text += "\tchain nat {\n\t\ttype nat hook postrouting priority 100; policy accept;\n\t}\n}\n";
    Ok(text)
}

fn chain(text: &mut String, hook: &str, rule: &str) {
    let head = format!("type filter hook {hook} priority {PRIORITY}; policy accept;");
    let _ = write!(text, "\tchain {hook} {{\n\t\t{head}\n{rule}\t}}\n\n");
}

/// A zone would make the kernel track what it does not: what others have exempted, and the first pass of a packet that is
/// made here, in which the VRF's device is its way out (from 5.15 on).
const UNTRACKED: &str = "\t\tct state untracked return\n";

fn rule(key: &str, zones: &BTreeMap<&str, u16>) -> String {
    let entries: Vec<String> = zones.iter().map(|(name, zone)| format!("\"{name}\" : {zone}")).collect();
    match entries.is_empty() {
        true => String::new(),
        false => format!("{UNTRACKED}\t\tct original zone set {key} map {{ {} }}\n", entries.join(", ")),
    }
}

/// Whether nft takes the name in quotes for what it is: at its end an asterisk stands for anything.
pub(super) fn is_readable(name: &str) -> bool {
    !name.contains(['"', '\\']) && !name.ends_with('*') && !name.contains(char::is_control)
}

/// What a table says, in whatever order and lines nft lists it.
#[derive(Debug, PartialEq, Eq)]
pub struct Listed {
    words: Vec<String>,
    maps: Vec<BTreeMap<String, u16>>,
}

impl Listed {
    /// Reads what nft has listed; None for what it would not list of our making.
    pub fn read(text: &str) -> Option<Self> {
        let mut listed = Self { words: Vec::new(), maps: Vec::new() };
        let mut words = text.split_whitespace();
        while let Some(word) = words.next() {
            listed.words.push(word.to_owned());
            if word == "map" {
                (words.next()? == "{").then_some(())?;
                listed.maps.push(map(&mut words)?);
            }
        }
        Some(listed)
    }

    /// Whether all that the other says is said here.
    fn holds(&self, other: &Self) -> bool {
        let has_all = |(here, there): (&BTreeMap<String, u16>, &BTreeMap<String, u16>)| {
            there.iter().all(|(name, zone)| here.get(name) == Some(zone))
        };
        // Without any VRF it has no rules.
        let is_same = self.words == other.words || other.maps.is_empty();
        is_same && self.maps.iter().zip(&other.maps).all(has_all)
    }

    /// The zone of what comes in by an interface.
    pub fn zone_of(&self, interface: &str) -> Option<u16> {
        self.maps.first()?.get(interface).copied()
    }
}

/// `"blue" : 10, "red" : 20 }`.
fn map<'a>(words: &mut impl Iterator<Item = &'a str>) -> Option<BTreeMap<String, u16>> {
    let mut map = BTreeMap::new();
    loop {
        let word = words.next()?;
        if word == "}" {
            return Some(map);
        }
        let name = word.strip_prefix('"')?.strip_suffix('"')?;
        (words.next()? == ":").then_some(())?;
        map.insert(name.to_owned(), words.next()?.trim_end_matches(',').parse().ok()?);
    }
}

/// A list of all tables without this one.
pub fn without_own(ruleset: &str) -> String {
    let head = format!("table inet {} {{", ZONES.name);
    let mut is_own = false;
    let others = ruleset.lines().filter(|line| {
        is_own |= *line == head;
        let keeps = !is_own;
        is_own &= *line != "}";
        keeps
    });
    others.flat_map(|line| [line, "\n"]).collect()
}

#[cfg(test)]
mod tests;

//! What the routing rules must be so that no packet of a VRF falls through into the default domain, and what to change
//! so that those of one family are so. Pure: rules in, steps out.
//!
//! Three rules per family, all of protocol kernel so that networkd leaves them alone: `l3mdev` at 1000 (the kernel
//! makes it with the first VRF), `l3mdev unreachable` at 2000, and `local` behind both instead of at 0, so that an
//! address that is the machine's own in one domain can be somebody else's in another.
//!
//! Every plan adds before it deletes, so that a process killed between two steps leaves a machine that still delivers
//! its own packets, and a second run that finishes the work.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::model::family::Family;
use crate::model::rule::{Action, PROTOCOL_KERNEL, Rule, TABLE_LOCAL};
use crate::model::step::Step;
use crate::plan::foreign_rules::in_the_way;
use crate::plan::inventory::Inventory;
use crate::sys::release;

/// Where the kernel puts the l3mdev rule.
pub const L3MDEV: u32 = 1000;
/// Where a packet that its VRF has no route for is stopped.
pub const UNREACHABLE: u32 = 2000;
/// Where `local` goes when a foreign rule would otherwise see local packets first.
pub const LOCAL_EARLY: u32 = 2001;
/// Where `local` goes: right before main.
pub const LOCAL_LATE: u32 = 32765;

/// How packets that a VRF's table has no route for are stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unreachable {
    /// One rule for all VRFs: `l3mdev unreachable` at 2000.
    #[default]
    Rule,
    /// An unreachable default route in each VRF's table.
    Route,
    /// Not at all: they fall through into the default domain.
    None,
}

/// Which rules lead a VRF's packets to its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// One l3mdev rule for all (4.8).
    L3mdev,
    /// Two rules for each VRF by its name, for kernels before.
    Names,
    /// Both: a kernel that knows l3mdev sends a VRF's packets into the default domain by the names alone (seen with 5.10
    /// and 6.12).
    Both,
}

/// Everything that a plan depends on.
#[derive(Clone, Debug)]
pub struct Situation<'a> {
    /// The family whose rules these are.
    pub family: Family,
    /// Its rules, in the kernel's order.
    pub rules: &'a [Rule],
    /// The machine's own addresses.
    pub own: &'a [IpAddr],
    /// How misses in a VRF's table are stopped.
    pub unreachable: Unreachable,
    /// The VRFs by name and table.
    pub vrfs: &'a [(String, u32)],
    /// How their packets find them.
    pub lookup: Lookup,
}

/// Why nothing was planned: a rule that would see local packets before `local` does, wherever that goes. One at 2001
/// is among them, for rules of one preference are tried in the order of their making.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InTheWay(pub Box<Rule>);

/// The steps to the wanted state, and where `local` ends up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// In the order in which they must be made; empty if nothing is to do.
    pub steps: Vec<Step>,
    /// The rule because of which `local` goes to 2001 instead of 32765.
    pub yields_to: Option<Rule>,
}

/// Plans the way to the wanted rules.
///
/// # Errors
/// A foreign rule below the l3mdev rules could match locally destined packets.
pub fn fix(situation: &Situation) -> Result<Plan, InTheWay> {
    match obstacles(situation).into_iter().find(|rule| rule.priority <= LOCAL_EARLY) {
        Some(rule) => Err(InTheWay(Box::new(rule.clone()))),
        None => Ok(fix_regardless(situation)),
    }
}

/// The same, whatever stands in the way (`--force`).
pub fn fix_regardless(situation: &Situation) -> Plan {
    let Situation { family, rules, unreachable, .. } = *situation;
    let (local, yields_to) = place_of_local(situation);
    let mut wanted = lookups(situation);
    let stops = stops(situation);
    if unreachable == Unreachable::Rule {
        wanted.extend(stops.iter().cloned());
    }
    wanted.push(Rule::lookup(family, local, TABLE_LOCAL));
    let mut steps = Vec::new();
    for rule in &wanted {
        steps.extend(ensure(rules, rule));
    }
    let is_refused = |rule: &Rule| unreachable != Unreachable::Rule && stops.iter().any(|stop| stop.is_same_as(rule));
    let misplaced = rules.iter().filter(|rule| is_local(rule) && rule.priority != local || is_refused(rule));
    steps.extend(misplaced.cloned().map(Step::DeleteRule));
    Plan { steps, yields_to }
}

/// The rules that look a VRF's packets up in its table.
fn lookups(situation: &Situation) -> Vec<Rule> {
    let family = situation.family;
    let both = |(name, table): &(String, u32)| Rule::lookup(family, L3MDEV, *table).both_ways(name);
    for_vrfs(situation, Rule::l3mdev(family, L3MDEV), both)
}

/// The rules that stop what those lookups miss.
fn stops(situation: &Situation) -> Vec<Rule> {
    let family = situation.family;
    let stop = Rule { action: Action::Unreachable, ..Rule::lookup(family, UNREACHABLE, 0) };
    let both = |(name, _): &(String, u32)| stop.clone().both_ways(name);
    for_vrfs(situation, Rule::l3mdev_unreachable(family, UNREACHABLE), both)
}

fn for_vrfs(situation: &Situation, for_all: Rule, for_one: impl Fn(&(String, u32)) -> [Rule; 2]) -> Vec<Rule> {
    let Situation { vrfs, lookup, .. } = *situation;
    let for_all = Some(for_all).filter(|_| lookup != Lookup::Names);
    let named = vrfs.iter().filter(|_| lookup != Lookup::L3mdev);
    for_all.into_iter().chain(named.flat_map(for_one)).collect()
}

/// Foreign rules that could match locally destined packets. One that names a VRF matches packets of that VRF only.
fn obstacles<'a>(situation: &Situation<'a>) -> Vec<&'a Rule> {
    let is_vrfs = |name: &String| situation.vrfs.iter().any(|(vrf, _)| vrf == name);
    let names_vrf = |rule: &&Rule| [&rule.selectors.iif, &rule.selectors.oif].into_iter().flatten().any(is_vrfs);
    in_the_way(situation.rules, situation.own).into_iter().filter(|rule| !names_vrf(rule)).collect()
}

/// Plans the undoing, back to the rules that the kernel makes: `local` at 0, no unreachable rule. The l3mdev rule stays
/// while there are VRFs, which would not work without it, and where the kernel made it, which it does only once.
pub fn undo(family: Family, rules: &[Rule], keeps_l3mdev: bool, vrfs: &[(String, u32)]) -> Plan {
    let unreachable = Unreachable::Rule;
    let named = Situation { family, rules, own: &[], unreachable, vrfs, lookup: Lookup::Names };
    let mut steps = Vec::from_iter(ensure(rules, &Rule::lookup(family, 0, TABLE_LOCAL)));
    let ours = [Rule::lookup(family, LOCAL_LATE, TABLE_LOCAL), Rule::lookup(family, LOCAL_EARLY, TABLE_LOCAL)]
        .into_iter()
        .chain([Rule::l3mdev_unreachable(family, UNREACHABLE)])
        .chain(lookups(&named))
        .chain(stops(&named))
        .chain((!keeps_l3mdev).then(|| Rule::l3mdev(family, L3MDEV)));
    for our in ours {
        steps.extend(rules.iter().filter(|rule| rule.is_same_as(&our)).cloned().map(Step::DeleteRule));
    }
    Plan { steps, yields_to: None }
}

/// Adds the rule if it is missing. One that has another protocol is replaced: networkd would remove it at its next
/// restart. The kernel keeps twins apart by age and deletes the older one.
fn ensure(rules: &[Rule], wanted: &Rule) -> Vec<Step> {
    let twins: Vec<&Rule> = rules.iter().filter(|rule| rule.is_same_as(wanted)).collect();
    if twins.iter().any(|twin| is_kernels(twin)) {
        return Vec::new();
    }
    let replaced = twins.into_iter().cloned().map(Step::DeleteRule);
    std::iter::once(Step::AddRule(wanted.clone())).chain(replaced).collect()
}

/// FRA_PROTOCOL came with 4.17; a rule of an older kernel has none, and networkd there looks for none.
fn is_kernels(rule: &Rule) -> bool {
    rule.protocol.is_none_or(|protocol| protocol == PROTOCOL_KERNEL)
}

fn is_local(rule: &Rule) -> bool {
    rule.is_kernels_own() && rule.table == TABLE_LOCAL
}

/// 32765, unless a foreign rule before it can match local packets. A `local` that is at 2001 already stays there when
/// the VPN is down: it does no harm, and the VPN comes back.
fn place_of_local(situation: &Situation) -> (u32, Option<Rule>) {
    let foreign = obstacles(situation);
    let between = foreign.into_iter().find(|rule| (LOCAL_EARLY..LOCAL_LATE).contains(&rule.priority));
    match between {
        Some(rule) => (LOCAL_EARLY, Some(rule.clone())),
        None if is_early_already(situation.rules) => (LOCAL_EARLY, None),
        None => (LOCAL_LATE, None),
    }
}

fn is_early_already(rules: &[Rule]) -> bool {
    rules.iter().find(|rule| is_local(rule)).is_some_and(|rule| rule.priority == LOCAL_EARLY)
}

/// All VRFs by name and table.
pub fn vrfs(inventory: &Inventory) -> Vec<(String, u32)> {
    inventory.system.vrfs().filter_map(|vrf| Some((vrf.name.clone(), vrf.table?))).collect()
}

/// What this kernel needs, and what is wanted besides.
pub fn lookup(is_legacy: bool) -> Lookup {
    match (has_l3mdev_rules(), is_legacy) {
        (false, _) => Lookup::Names,
        (true, false) => Lookup::L3mdev,
        (true, true) => Lookup::Both,
    }
}

/// l3mdev rules came with 4.8.
pub fn has_l3mdev_rules() -> bool {
    !release::is_before((4, 8))
}

#[cfg(test)]
mod tests;

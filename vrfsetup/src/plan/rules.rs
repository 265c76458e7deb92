//! What the routing rules must be so that no packet of a VRF falls through into the default domain, and what to change
//! so that those of one family are so. Pure but for one question to the kernel (`sys::feature`): rules in, steps out.
//!
//! Three rules per family, all at preference 0 and in this order: `l3mdev`, `l3mdev unreachable`, and `local` behind
//! both, so that an address that is the machine's own in one domain can be somebody else's in another. The kernel gives
//! a rule that is added without a preference the one before that of the *second* rule, or 0 where that has 0; and among
//! rules of one preference the new one is the last. So only here does what a VPN adds later come behind `local`; at any
//! other preference it comes before, and the machine stops answering by its own addresses.
//!
//! All are of protocol kernel, so that networkd leaves them alone. The rule that the kernel makes with the first VRF,
//! `l3mdev` at 1000, stays: it does no harm there, and the kernel makes it only once.
//!
//! At any instant of a plan there is a `local` rule, so that a process killed between two steps leaves a machine that
//! still delivers its own packets, and a second run that finishes the work.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::model::family::Family;
use crate::model::rule::{Action, Rule, TABLE_LOCAL};
use crate::model::step::Step;
use crate::plan::foreign_rules::in_the_way;
use crate::plan::inventory::Inventory;
use crate::sys::feature;

/// Where the three rules are.
pub const FIRST: u32 = 0;
/// Where the kernel puts the l3mdev rule.
pub const L3MDEV: u32 = 1000;
/// Where a packet that its VRF has no route for is stopped as long as `local` is where the kernel puts it.
pub const UNREACHABLE: u32 = 2000;
/// Where `local` waits while the one at 0 is moved behind the others.
const SPARE: u32 = 1;

/// How packets that a VRF's table has no route for are stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unreachable {
    /// One rule for all VRFs: `l3mdev unreachable`.
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

/// A mark, and the table of the VRF that its packets are in; None where the VRF is gone, and they are only stopped.
pub type Marked = (u32, Option<u32>);

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
    /// Those that are emulated, by name and table: their packets find them by name alone.
    pub emulated: &'a [(String, u32)],
    /// The marks of tunnels, with the tables that their outer packets go by.
    pub marks: &'a [Marked],
    /// How the packets of the others find them.
    pub lookup: Lookup,
}

/// Why nothing was planned: a rule at preference 0 that would see local packets before `local` does, which the kernel
/// can only put behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InTheWay(pub Box<Rule>);

/// Plans the way to the wanted rules.
///
/// # Errors
/// A foreign rule would stand before `local` and could match locally destined packets.
pub fn fix(situation: &Situation) -> Result<Vec<Step>, InTheWay> {
    let steps = fix_regardless(situation);
    let is_added = |step: &Step| matches!(step, Step::AddRule(rule) if is_local(rule));
    let local = situation.rules.iter().position(is_local).filter(|_| !steps.iter().any(is_added));
    let before = &situation.rules[..local.unwrap_or(situation.rules.len())];
    match obstacles(situation, before).into_iter().find(|rule| rule.priority == FIRST) {
        Some(rule) => Err(InTheWay(Box::new(rule.clone()))),
        None => Ok(steps),
    }
}

/// The same, whatever stands in the way (`--force-rules`).
pub fn fix_regardless(situation: &Situation) -> Vec<Step> {
    let Situation { family, rules, unreachable, .. } = *situation;
    let mut stops = if unreachable == Unreachable::Rule { stops(situation, FIRST) } else { Vec::new() };
    stops.extend(marked_stops(situation, FIRST));
    let lookups = lookups(situation, FIRST);
    let is_missing = |rule: &&Rule| place(rules, rule).is_none();
    let mut steps: Vec<Step> = lookups.iter().filter(is_missing).cloned().map(Step::AddRule).collect();
    for stop in &stops {
        let is_behind = lookups.iter().filter(|lookup| is_for_the_same(lookup, stop)).all(|lookup| {
            // One that is not there yet comes last.
            place(rules, lookup).is_some_and(|at| Some(at) < place(rules, stop))
        });
        let is_there = place(rules, stop).is_some();
        steps.extend((is_there && !is_behind).then(|| Step::DeleteRule(stop.clone())));
        steps.extend((!is_there || !is_behind).then(|| Step::AddRule(stop.clone())));
    }
    let last = lookups.iter().chain(&stops).map(|rule| place(rules, rule)).max().flatten();
    let local = Rule::lookup(family, FIRST, TABLE_LOCAL);
    match place(rules, &local) {
        Some(at) if steps.is_empty() && last.is_none_or(|last| last < at) => {}
        Some(_) => steps.extend(move_last(local)),
        None => steps.push(Step::AddRule(local)),
    }
    steps.extend(superseded(situation, &stops));
    steps
}

/// Whether the two match the same packets.
fn is_for_the_same(one: &Rule, other: &Rule) -> bool {
    one.is_l3mdev == other.is_l3mdev && one.selectors == other.selectors
}

/// The steps that put `local`, which is at 0, behind the other rules at 0. There is one at any instant.
pub(super) fn move_last(local: Rule) -> [Step; 4] {
    let spare = Rule { priority: SPARE, ..local.clone() };
    [Step::AddRule(spare.clone()), Step::DeleteRule(local.clone()), Step::AddRule(local), Step::DeleteRule(spare)]
}

/// Where the rule is in the list, if it is there and networkd leaves it alone.
fn place(rules: &[Rule], wanted: &Rule) -> Option<usize> {
    rules.iter().position(|rule| rule.is_same_as(wanted) && rule.is_kernels())
}

/// Rules that do the same elsewhere: `local` at any other preference, those of an earlier vrfsetup, those that networkd
/// would remove, and stops that are not wanted.
fn superseded(situation: &Situation, wanted_stops: &[Rule]) -> Vec<Step> {
    let all_stops = |at| stops(situation, at).into_iter().chain(marked_stops(situation, at));
    let ours = |at| lookups(situation, at).into_iter().chain(all_stops(at)).collect::<Vec<_>>();
    let (now, earlier) = (ours(FIRST), [ours(L3MDEV), ours(UNREACHABLE)].concat());
    let local = Rule::lookup(situation.family, FIRST, TABLE_LOCAL);
    let is_one_of = |rules: &[Rule], rule: &Rule| rules.iter().any(|other| other.is_same_as(rule));
    let goes = |rule: &&Rule| {
        let is_now = is_one_of(&now, rule) || rule.is_same_as(&local);
        let is_stop = rule.action == Action::Unreachable;
        let is_earlier = is_one_of(&earlier, rule) && (is_stop || !rule.is_l3mdev);
        let is_unwanted = is_stop && !is_one_of(wanted_stops, rule);
        is_now && (is_unwanted || !rule.is_kernels()) || is_earlier || is_local(rule) && rule.priority != FIRST
    };
    situation.rules.iter().filter(goes).cloned().map(Step::DeleteRule).collect()
}

/// The rules that look a VRF's packets up in its table.
fn lookups(situation: &Situation, at: u32) -> Vec<Rule> {
    let family = situation.family;
    let both = |(name, table): &(String, u32)| Rule::lookup(family, at, *table).both_ways(name);
    let of_mark = |(mark, table): &Marked| Some(Rule::lookup(family, at, (*table)?).of_mark(*mark));
    let mut all = for_vrfs(situation, Rule::l3mdev(family, at), both);
    all.extend(situation.marks.iter().filter_map(of_mark));
    all
}

/// The rules that stop the marked packets which those lookups miss, whatever stops the others: the table may be gone.
fn marked_stops(situation: &Situation, at: u32) -> Vec<Rule> {
    situation.marks.iter().map(|(mark, _)| Rule::stop(situation.family, at).of_mark(*mark)).collect()
}

/// The rules that stop what those lookups miss.
fn stops(situation: &Situation, at: u32) -> Vec<Rule> {
    let family = situation.family;
    let both = |(name, _): &(String, u32)| Rule::stop(family, at).both_ways(name);
    for_vrfs(situation, Rule::l3mdev_unreachable(family, at), both)
}

fn for_vrfs(situation: &Situation, for_all: Rule, for_one: impl Fn(&(String, u32)) -> [Rule; 2]) -> Vec<Rule> {
    let Situation { vrfs, emulated, lookup, .. } = *situation;
    let for_all = Some(for_all).filter(|_| lookup != Lookup::Names);
    let named = vrfs.iter().filter(|_| lookup != Lookup::L3mdev).chain(emulated);
    for_all.into_iter().chain(named.flat_map(for_one)).collect()
}

/// Foreign rules that could match locally destined packets. One that names a VRF matches packets of that VRF only.
fn obstacles<'a>(situation: &Situation, rules: &'a [Rule]) -> Vec<&'a Rule> {
    let is_vrfs = |name: &String| situation.vrfs.iter().chain(situation.emulated).any(|(vrf, _)| vrf == name);
    let names_vrf = |rule: &&Rule| [&rule.selectors.iif, &rule.selectors.oif].into_iter().flatten().any(is_vrfs);
    in_the_way(rules, situation.own).into_iter().filter(|rule| !names_vrf(rule)).collect()
}

/// Plans the undoing, back to the rules that the kernel makes: `local` at 0, no unreachable rule. The l3mdev rule at
/// 1000 stays while there are VRFs, which would not work without it, and where the kernel made it, which it does only
/// once. The rules of emulated VRFs and of tunnels go back to where they are made.
pub fn undo(
    family: Family,
    rules: &[Rule],
    keeps_l3mdev: bool,
    vrfs: &[(String, u32)],
    emulated: &[(String, u32)],
) -> Vec<Step> {
    let (unreachable, lookup) = (Unreachable::None, Lookup::Both);
    let situation = Situation { family, rules, own: &[], unreachable, vrfs, emulated: &[], marks: &[], lookup };
    let marks = marks(rules);
    let of_marks = Situation { vrfs: &[], emulated, marks: &marks, lookup: Lookup::Names, ..situation.clone() };
    let named = |at| lookups(&of_marks, at).into_iter().chain(marked_stops(&of_marks, at));
    let is_missing = |rule: &Rule| !rules.iter().any(|there| there.is_same_as(rule));
    let mut steps: Vec<Step> = named(L3MDEV).filter(is_missing).map(Step::AddRule).collect();
    let local = Rule::lookup(family, FIRST, TABLE_LOCAL);
    steps.extend(place(rules, &local).is_none().then_some(Step::AddRule(local)));
    let l3mdev = Rule::l3mdev(family, L3MDEV);
    let needs_l3mdev =
        !vrfs.is_empty() && has_l3mdev_rules(rules) && !rules.iter().any(|rule| rule.is_same_as(&l3mdev));
    steps.extend(needs_l3mdev.then_some(Step::AddRule(l3mdev.clone())));
    steps.extend(superseded(&situation, &[]));
    let stops = stops(&of_marks, FIRST);
    let lookups = lookups(&situation, FIRST).into_iter().chain((!keeps_l3mdev).then_some(l3mdev));
    let lookups = lookups.chain(named(FIRST)).chain(stops);
    for our in lookups {
        let there = rules.iter().filter(|rule| rule.is_same_as(&our)).cloned().map(Step::DeleteRule);
        steps.extend(there.filter(|step| !steps.contains(step)).collect::<Vec<_>>());
    }
    steps
}

/// Whether `fix` has put the rules of a family before `local`.
pub fn is_fixed(rules: &[Rule]) -> bool {
    let is_named = |rule: &Rule| rule.action == Action::Lookup && rule.selectors.iif.is_some();
    rules.iter().any(|rule| rule.priority == FIRST && rule.is_kernels() && (rule.looks_up_vrfs() || is_named(rule)))
}

fn is_local(rule: &Rule) -> bool {
    rule.is_kernels_own() && rule.table == TABLE_LOCAL
}

/// The marks of tunnels that there are rules for, each with its table.
pub fn marks(rules: &[Rule]) -> Vec<Marked> {
    let mut marks: Vec<Marked> = Vec::new();
    for (mark, rule) in rules.iter().filter_map(|rule| Some((rule.tunnel_mark()?, rule))) {
        let table = (rule.action == Action::Lookup).then_some(rule.table);
        match marks.iter_mut().find(|(known, _)| *known == mark) {
            Some((_, known)) => *known = known.or(table),
            None => marks.push((mark, table)),
        }
    }
    marks
}

/// All VRFs by name and table.
pub fn vrfs(inventory: &Inventory) -> Vec<(String, u32)> {
    inventory.system.vrfs().filter_map(|vrf| Some((vrf.name.clone(), vrf.table?))).collect()
}

/// What this kernel needs where it has these rules, and what is wanted besides.
pub fn lookup(rules: &[Rule], is_legacy: bool) -> Lookup {
    match (has_l3mdev_rules(rules), is_legacy) {
        (false, _) => Lookup::Names,
        (true, false) => Lookup::L3mdev,
        (true, true) => Lookup::Both,
    }
}

/// Whether this kernel knows l3mdev rules: where there is one, nobody need try.
pub fn has_l3mdev_rules(rules: &[Rule]) -> bool {
    rules.iter().any(Rule::looks_up_vrfs) || feature::has_l3mdev_rules()
}

#[cfg(test)]
mod tests;

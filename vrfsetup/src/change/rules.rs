//! `vrfsetup rules check|fix|undo`.

use std::fmt;
use std::net::IpAddr;

use serde::Serialize;

use crate::error::Error;
use crate::model::family::Family;
use crate::model::route::Route;
use crate::model::rule::Rule;
use crate::model::step::Step;
use crate::plan::inventory::Inventory;
use crate::plan::memory::Memory;
use crate::plan::rules::{self, InTheWay, L3MDEV, Plan, Situation, Unreachable};
use crate::sys::families;
use crate::transaction::lockout;
use crate::transaction::report::Outcome;
use crate::transaction::session::Session;

/// What one family's rules are, and what they should be.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// The family.
    pub family: Family,
    /// The rules, in the words of `ip rule show`.
    pub rules: Vec<String>,
    /// What `fix` would do.
    pub steps: Vec<String>,
    /// Why `fix` would do nothing although it should, or why it would do it otherwise than usual.
    pub notes: Vec<String>,
    /// Whether the rules are not as they should be.
    pub differs: bool,
}

/// What the rules should be.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// What stops packets that a VRF's table has no route for.
    pub unreachable: Unreachable,
    /// Rules for each VRF by name as well, as kernels before 4.8 need them.
    pub is_legacy: bool,
}

/// What the rules are and what they should be; changes nothing.
pub fn check(inventory: &Inventory, policy: Policy) -> Vec<Finding> {
    let finding = |family| {
        let rules = of_family(inventory, family);
        let planned = plan_family(inventory, &rules, family, policy, false);
        let (mut steps, notes) = match &planned {
            Ok(plan) => (plan.steps.clone(), yielding(plan)),
            Err(error) => (Vec::new(), vec![error.to_string()]),
        };
        steps.extend(seals(inventory, family, policy));
        Finding {
            family,
            rules: rules.iter().map(ToString::to_string).collect(),
            differs: planned.is_err() || !steps.is_empty(),
            steps: steps.iter().map(ToString::to_string).collect(),
            notes,
        }
    };
    families::available().into_iter().map(finding).collect()
}

/// Makes the rules what they should be, both families or none.
///
/// # Errors
/// A foreign rule stands in the way, or the kernel refused; then nothing is changed.
pub fn fix(session: &Session, policy: Policy) -> Result<Outcome, Error> {
    let inventory = Inventory::read(session.kernel)?;
    let (mut plans, mut first) = (Vec::new(), Vec::new());
    for family in families::available() {
        let rules = of_family(&inventory, family);
        plans.push(plan_family(&inventory, &rules, family, policy, session.takes_risks())?);
        first.extend(seals(&inventory, family, policy));
    }
    carry_out(session, &inventory, first, plans)
}

/// Undoes `fix`: `local` at 0, no unreachable rule, as the kernel makes them.
///
/// # Errors
/// The kernel refused; then nothing is changed.
pub fn undo(session: &Session) -> Result<Outcome, Error> {
    let inventory = Inventory::read(session.kernel)?;
    let (memory, vrfs) = (Memory::read(), rules::vrfs(&inventory));
    let plan = |family| {
        let keeps_l3mdev = !vrfs.is_empty() || !memory.l3mdev.contains(&family);
        rules::undo(family, &of_family(&inventory, family), keeps_l3mdev, &vrfs)
    };
    carry_out(session, &inventory, Vec::new(), families::available().into_iter().map(plan).collect())
}

fn plan_family(
    inventory: &Inventory,
    rules: &[Rule],
    family: Family,
    policy: Policy,
    is_forced: bool,
) -> Result<Plan, Error> {
    let own: Vec<IpAddr> = inventory.system.addresses.iter().map(|address| address.local).collect();
    let vrfs = rules::vrfs(inventory);
    let Policy { unreachable, is_legacy } = policy;
    let lookup = rules::lookup(is_legacy);
    let situation = Situation { family, rules, own: &own, unreachable, vrfs: &vrfs, lookup };
    match rules::fix(&situation) {
        Err(_) if is_forced => Ok(rules::fix_regardless(&situation)),
        Err(InTheWay(rule)) => Err(Error::ForeignRule(rule)),
        Ok(plan) => Ok(plan),
    }
}

/// The unreachable routes that VRFs lack, where those are to stop what a table misses.
fn seals(inventory: &Inventory, family: Family, policy: Policy) -> Vec<Step> {
    if policy.unreachable != Unreachable::Route {
        return Vec::new();
    }
    let is_sealed = |table| inventory.table(table).any(|route| route.is_seal() && route.family() == family);
    let open = rules::vrfs(inventory).into_iter().filter(|(_, table)| !is_sealed(*table));
    open.map(|(_, table)| Step::AddRoute(Route::seal(family, table))).collect()
}

fn of_family(inventory: &Inventory, family: Family) -> Vec<Rule> {
    inventory.rules.iter().filter(|rule| rule.family == family).cloned().collect()
}

/// All that is added comes before all that is deleted.
fn carry_out(session: &Session, inventory: &Inventory, first: Vec<Step>, plans: Vec<Plan>) -> Result<Outcome, Error> {
    let notes: Vec<String> = plans.iter().flat_map(yielding).collect();
    let (adds, deletes): (Vec<Step>, Vec<Step>) =
        plans.into_iter().flat_map(|plan| plan.steps).partition(|step| matches!(step, Step::AddRule(_)));
    lockout::refuse_if_cut(session, &inventory.system, &[first.as_slice(), &adds].concat())?;
    let mut transaction = session.begin()?;
    if let Some(step) = remember(&adds, &deletes) {
        transaction.try_make(step)?;
    }
    transaction.make_all(first.into_iter().chain(adds).chain(deletes))?;
    notes.into_iter().for_each(|note| transaction.note(note));
    Ok(transaction.commit())
}

/// Writes down which l3mdev rules are of our making, for `undo`. Where that cannot be written the rule stays for good,
/// which does no harm.
fn remember(adds: &[Step], deletes: &[Step]) -> Option<Step> {
    let l3mdev = |step: &Step| match step {
        Step::AddRule(rule) | Step::DeleteRule(rule) if rule.priority == L3MDEV && rule.is_l3mdev => Some(rule.family),
        _ => None,
    };
    let mut memory = Memory::read();
    memory.l3mdev.retain(|family| !deletes.iter().filter_map(l3mdev).any(|gone| gone == *family));
    memory.l3mdev.extend(adds.iter().filter_map(l3mdev));
    memory.l3mdev.sort_unstable();
    memory.l3mdev.dedup();
    memory.step()
}

fn yielding(plan: &Plan) -> Vec<String> {
    let note = |rule: &Rule| {
        let family = rule.family;
        format!("the {family} local rule belongs at 2001: rule '{rule}' could catch local packets before 32765")
    };
    plan.yields_to.iter().map(note).collect()
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.family, if self.differs { "differs" } else { "as it should be" })?;
        for rule in &self.rules {
            writeln!(f, "  {rule}")?;
        }
        for step in &self.steps {
            writeln!(f, "  to do: {step}")?;
        }
        for note in &self.notes {
            writeln!(f, "  note: {note}")?;
        }
        Ok(())
    }
}

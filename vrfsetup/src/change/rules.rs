//! `vrfsetup rules check|fix|undo`.

use std::fmt;
use std::net::IpAddr;

use serde::Serialize;

use crate::error::Error;
use crate::model::family::Family;
use crate::model::rule::{Action, Rule};
use crate::model::step::Step;
use crate::plan::emulate;
use crate::plan::inventory::Inventory;
use crate::plan::memory::Memory;
use crate::plan::rules::{self, InTheWay, L3MDEV, Situation, Unreachable};
use crate::plan::seal;
use crate::sys::families;
use crate::transaction::lockout;
use crate::transaction::report::Outcome;
use crate::transaction::session::Session;

/// What one family's rules are, and what they should be.
#[derive(Debug, Serialize)]
pub struct Finding {
    pub family: Family,
    /// The rules, in the words of `ip rule show`.
    pub rules: Vec<String>,
    /// What `fix` would do.
    pub steps: Vec<String>,
    /// Why `fix` would do nothing although it should.
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
            Ok(steps) => (steps.clone(), Vec::new()),
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
    let (mut steps, mut first) = (Vec::new(), Vec::new());
    for family in families::available() {
        let rules = of_family(&inventory, family);
        steps.extend(plan_family(&inventory, &rules, family, policy, session.overrules_rules())?);
        first.extend(seals(&inventory, family, policy));
    }
    carry_out(session, &inventory, first, steps)
}

/// Undoes `fix`: `local` at 0, no unreachable rule, as the kernel makes them.
///
/// # Errors
/// The kernel refused; then nothing is changed.
pub fn undo(session: &Session) -> Result<Outcome, Error> {
    let inventory = Inventory::read(session.kernel)?;
    let (memory, vrfs, emulated) = (Memory::read(), rules::vrfs(&inventory), emulate::names(&inventory));
    let plan = |family| {
        let keeps_l3mdev = !vrfs.is_empty() || !memory.l3mdev.contains(&family);
        rules::undo(family, &of_family(&inventory, family), keeps_l3mdev, &vrfs, &emulated)
    };
    carry_out(session, &inventory, Vec::new(), families::available().into_iter().flat_map(plan).collect())
}

fn plan_family(
    inventory: &Inventory,
    rules: &[Rule],
    family: Family,
    policy: Policy,
    is_forced: bool,
) -> Result<Vec<Step>, Error> {
    let own: Vec<IpAddr> = inventory.system.addresses.iter().map(|address| address.local).collect();
    let (vrfs, emulated) = (rules::vrfs(inventory), emulate::names(inventory));
    let Policy { unreachable, is_legacy } = policy;
    let lookup = rules::lookup(rules, is_legacy);
    let (vrfs, emulated, marks) = (&vrfs, &emulated, &rules::marks(rules));
    let situation = Situation { family, rules, own: &own, unreachable, vrfs, emulated, marks, lookup };
    match rules::fix(&situation) {
        Err(_) if is_forced => Ok(rules::fix_regardless(&situation)),
        Err(InTheWay(rule)) => Err(Error::ForeignRule(rule)),
        Ok(steps) => Ok(steps),
    }
}

/// The unreachable routes that VRFs lack, where those are to stop what a table misses, and those that networkd would
/// remove.
fn seals(inventory: &Inventory, family: Family, policy: Policy) -> Vec<Step> {
    let is_wanted = |step: &Step| policy.unreachable == Unreachable::Route || matches!(step, Step::ReplaceRoute { .. });
    let seals = rules::vrfs(inventory).into_iter().filter_map(|(_, table)| seal::step(inventory, family, table));
    seals.filter(is_wanted).collect()
}

fn of_family(inventory: &Inventory, family: Family) -> Vec<Rule> {
    inventory.rules.iter().filter(|rule| rule.family == family).cloned().collect()
}

/// The seals come before a rule that does the same is deleted.
fn carry_out(session: &Session, inventory: &Inventory, first: Vec<Step>, steps: Vec<Step>) -> Result<Outcome, Error> {
    lockout::refuse_if_cut(session, &inventory.system, &[first.as_slice(), &steps].concat())?;
    let mut transaction = session.begin()?;
    transaction.try_make_all(remember(&steps))?;
    transaction.make_all(first.into_iter().chain(steps))?;
    transaction.commit()
}

/// Writes down which l3mdev rules are of our making, for `undo`. Where that cannot be written the rule stays for good,
/// which does no harm.
fn remember(steps: &[Step]) -> Option<Step> {
    let is_kernels_place = |rule: &Rule| rule.priority == L3MDEV && rule.is_l3mdev && rule.action == Action::Lookup;
    let mut memory = Memory::read();
    for step in steps {
        match step {
            Step::AddRule(rule) if is_kernels_place(rule) => memory.l3mdev.push(rule.family),
            Step::DeleteRule(rule) if is_kernels_place(rule) => memory.l3mdev.retain(|family| *family != rule.family),
            _ => {}
        }
    }
    memory.l3mdev.sort_unstable();
    memory.l3mdev.dedup();
    memory.step()
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

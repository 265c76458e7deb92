//! `vrfsetup rules check|fix|undo`.

use std::fmt;
use std::net::IpAddr;

use serde::Serialize;

use super::plan::{self, InTheWay, Plan, Situation, Unreachable};
use crate::error::Error;
use crate::family::Family;
use crate::kernel::Kernel;
use crate::outcome::Outcome;
use crate::rule::Rule;
use crate::rules::L3MDEV;
use crate::state::Memory;
use crate::step::Step;
use crate::system::System;
use crate::transaction::Session;

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

/// What the rules are and what they should be; changes nothing.
///
/// # Errors
/// They cannot be read.
pub fn check(kernel: &Kernel, unreachable: Unreachable) -> Result<Vec<Finding>, Error> {
    let own = own_addresses(kernel)?;
    let finding = |family| {
        let rules = rules(kernel, family)?;
        let planned = plan::fix(&Situation { family, rules: &rules, own: &own, unreachable });
        let (steps, notes) = match &planned {
            Ok(plan) => (plan.steps.as_slice(), yielding(plan)),
            Err(InTheWay(rule)) => (&[][..], vec![Error::ForeignRule(rule.clone()).to_string()]),
        };
        Ok(Finding {
            family,
            rules: rules.iter().map(ToString::to_string).collect(),
            differs: planned.is_err() || !steps.is_empty(),
            steps: steps.iter().map(ToString::to_string).collect(),
            notes,
        })
    };
    Family::available().into_iter().map(finding).collect()
}

/// Makes the rules what they should be, both families or none.
///
/// # Errors
/// A foreign rule stands in the way, or the kernel refused; then nothing is changed.
pub fn fix(session: &Session, unreachable: Unreachable) -> Result<Outcome, Error> {
    let kernel = session.kernel;
    let own = own_addresses(kernel)?;
    let mut plans = Vec::new();
    for family in Family::available() {
        let rules = rules(kernel, family)?;
        let situation = Situation { family, rules: &rules, own: &own, unreachable };
        plans.push(match plan::fix(&situation) {
            Err(_) if session.takes_risks() => plan::fix_regardless(&situation),
            Err(InTheWay(rule)) => return Err(Error::ForeignRule(rule)),
            Ok(plan) => plan,
        });
    }
    carry_out(session, plans)
}

/// Gives the rules back to the kernel: `local` at 0, no unreachable rule.
///
/// # Errors
/// The kernel refused; then nothing is changed.
pub fn undo(session: &Session) -> Result<Outcome, Error> {
    let kernel = session.kernel;
    let memory = Memory::read();
    let has_vrfs = System::read(kernel)?.vrfs().next().is_some();
    let mut plans = Vec::new();
    for family in Family::available() {
        let keeps_l3mdev = has_vrfs || !memory.l3mdev.contains(&family);
        plans.push(plan::undo(family, &rules(kernel, family)?, keeps_l3mdev));
    }
    carry_out(session, plans)
}

fn carry_out(session: &Session, plans: Vec<Plan>) -> Result<Outcome, Error> {
    let mut transaction = session.begin()?;
    let notes: Vec<String> = plans.iter().flat_map(yielding).collect();
    let (adds, deletes): (Vec<Step>, Vec<Step>) =
        plans.into_iter().flat_map(|plan| plan.steps).partition(|step| matches!(step, Step::AddRule(_)));
    let memory = remember(&adds, &deletes);
    transaction.make_all(adds)?;
    transaction.make_all(deletes)?;
    if let Some(step) = memory {
        transaction.try_make(step)?;
    }
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

fn rules(kernel: &Kernel, family: Family) -> Result<Vec<Rule>, Error> {
    kernel.rules(family).map_err(Error::unreadable(format!("the {family} rules")))
}

fn own_addresses(kernel: &Kernel) -> Result<Vec<IpAddr>, Error> {
    Ok(System::read(kernel)?.addresses.iter().map(|address| address.local).collect())
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

//! `vrfsetup apply`: from the declared state to the kernel's. Adds and changes what is declared, and leaves alone what
//! is not, or, asked to, removes it.

pub mod config;
mod planner;
mod prune;
mod renumber;

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use crate::change::attach;
use crate::change::del::Deletion;
use crate::error::Error;
use crate::model::step::Step;
use crate::plan::inventory::Inventory;
use crate::plan::port::Move;
use crate::plan::vrf::VrfPlanner;
use crate::sys::rt_tables::Names;
use crate::transaction::report::Outcome;
use crate::transaction::session::{Session, Transaction};
use config::Source;
use planner::Planner;

/// All that is to be done.
#[derive(Default)]
pub struct Plan {
    vrfs: Vec<Part>,
    then: Vec<Step>,
    /// What goes because the file does not declare it.
    pruned: Vec<Part>,
    extras: Vec<Step>,
    notes: Vec<String>,
    /// The routes that are declared.
    kept: HashSet<prune::Key>,
}

/// What is to be done for one VRF, before the others: itself, its ports, then what is on them.
#[derive(Default)]
struct Part {
    steps: Vec<Step>,
    moves: Vec<Move>,
    then: Vec<Step>,
}

impl Part {
    fn make(self, transaction: &mut Transaction) -> Result<(), Error> {
        transaction.make_all(self.steps)?;
        attach::make(transaction, self.moves)?;
        transaction.make_all(self.then)
    }

    fn steps(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().chain(self.moves.iter().flat_map(|moved| &moved.steps)).chain(&self.then)
    }

    /// The kernel keeps things in the order of their interfaces, and finds quickest what comes first.
    fn place(&self) -> Option<u32> {
        let ports = self.steps().filter_map(|step| match step {
            Step::Enslave(port, _) => Some(port.ifindex),
            _ => None,
        });
        ports.min()
    }
}

impl From<Deletion> for Part {
    fn from(Deletion { moves, steps }: Deletion) -> Self {
        Self { moves, then: steps, ..Self::default() }
    }
}

impl Plan {
    /// What making it would report.
    pub fn preview(&self) -> Outcome {
        let notes = self.moves().flat_map(|moved| &moved.notes).chain(&self.notes);
        notes.cloned().fold(Outcome::of(&self.steps().cloned().collect::<Vec<_>>()), Outcome::note)
    }

    fn steps(&self) -> impl Iterator<Item = &Step> {
        let pruned = self.pruned.iter().flat_map(Part::steps);
        self.vrfs.iter().flat_map(Part::steps).chain(&self.then).chain(pruned).chain(&self.extras)
    }

    fn moves(&self) -> impl Iterator<Item = &Move> {
        self.vrfs.iter().chain(&self.pruned).flat_map(|part| &part.moves)
    }
}

/// Reads the file and plans; changes nothing.
///
/// # Errors
/// The file has a mistake, or it asks for what cannot be.
pub fn plan(session: &Session, path: &Path, prunes: bool) -> Result<Plan, Error> {
    let text = fs::read_to_string(path).map_err(|error| Error::file(path, &error))?;
    let source = Source::new(path, &text);
    let config = source.read()?;
    let inventory = Inventory::read(session.kernel)?;
    let (inventory, vrf_planner) = (&inventory, VrfPlanner::new(&inventory));
    Planner { session, source, config: &config, inventory, vrf_planner, names: Names::read(), moved: vec![], prunes }
        .plan()
}

/// Makes a plan.
///
/// # Errors
/// The kernel refused; then nothing is changed.
pub fn make(session: &Session, plan: Plan) -> Result<Outcome, Error> {
    let mut transaction = session.begin()?;
    transaction.expect(plan.steps().count());
    // A port that goes in makes the kernel walk through every table that there is: each goes in as soon as it can.
    for part in plan.vrfs {
        part.make(&mut transaction)?;
    }
    transaction.make_all(plan.then)?;
    for part in plan.pruned {
        part.make(&mut transaction)?;
    }
    for step in plan.extras {
        transaction.try_make(step)?;
    }
    plan.notes.into_iter().for_each(|note| transaction.note(note));
    Ok(transaction.commit())
}

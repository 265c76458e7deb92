//! `vrfsetup apply`: from the declared state to the kernel's. Adds and changes what is declared, and leaves alone what
//! is not.

pub mod config;
mod planner;

use std::fs;
use std::path::Path;

use crate::change::attach;
use crate::error::Error;
use crate::model::step::Step;
use crate::plan::inventory::Inventory;
use crate::plan::port::Move;
use crate::plan::vrf::VrfPlanner;
use crate::sys::rt_tables::Names;
use crate::transaction::report::Outcome;
use crate::transaction::session::Session;
use config::Source;
use planner::Planner;

/// All that is to be done.
pub struct Plan {
    vrfs: Vec<Part>,
    then: Vec<Step>,
    extras: Vec<Step>,
    notes: Vec<String>,
}

/// What is to be done for one VRF, before the others: itself, its ports, then what is on them.
#[derive(Default)]
struct Part {
    steps: Vec<Step>,
    moves: Vec<Move>,
    then: Vec<Step>,
}

impl Part {
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

impl Plan {
    /// What making it would report.
    pub fn preview(&self) -> Outcome {
        let notes = self.moves().flat_map(|moved| &moved.notes).chain(&self.notes);
        notes.cloned().fold(Outcome::of(&self.steps().cloned().collect::<Vec<_>>()), Outcome::note)
    }

    fn steps(&self) -> impl Iterator<Item = &Step> {
        self.vrfs.iter().flat_map(Part::steps).chain(&self.then).chain(&self.extras)
    }

    fn moves(&self) -> impl Iterator<Item = &Move> {
        self.vrfs.iter().flat_map(|part| &part.moves)
    }
}

/// Reads the file and plans; changes nothing.
///
/// # Errors
/// The file has a mistake, or it asks for what cannot be.
pub fn plan(session: &Session, path: &Path) -> Result<Plan, Error> {
    let text = fs::read_to_string(path).map_err(|error| Error::file(path, &error))?;
    let source = Source::new(path, &text);
    let config = source.read()?;
    let inventory = Inventory::read(session.kernel)?;
    let (inventory, vrf_planner) = (&inventory, VrfPlanner::new(&inventory));
    Planner { session, source, config: &config, inventory, vrf_planner, names: Names::read(), moved: vec![] }.plan()
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
        transaction.make_all(part.steps)?;
        attach::make(&mut transaction, part.moves)?;
        transaction.make_all(part.then)?;
    }
    transaction.make_all(plan.then)?;
    transaction.try_make_all(plan.extras)?;
    plan.notes.into_iter().for_each(|note| transaction.note(note));
    transaction.commit()
}

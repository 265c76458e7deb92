//! `vrfsetup apply`: from the declared state to the kernel's. Adds and changes what is declared, and leaves alone what
//! is not, or, asked to, removes it.

mod addresses;
pub mod config;
mod content;
mod each;
mod emulated;
mod emulation;
mod inbound;
mod once;
mod open;
mod planner;
mod prune;
mod renumber;
mod scope;
mod sections;
pub mod source;
mod tunnels;
mod user_names;
mod users;

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use crate::change::attach;
use crate::change::del::Deletion;
use crate::change::{tunnel, user, zones};
use crate::error::Error;
use crate::model::step::Step;
use crate::plan::inventory::Inventory;
use crate::plan::port::Move;
use crate::plan::sysctls;
use crate::plan::tunnels::ByName;
use crate::plan::vrf::VrfPlanner;
use crate::sys::accounts::Account;
use crate::sys::rt_tables::Names;
use crate::transaction::report::Outcome;
use crate::transaction::session::{Session, Transaction};
use config::{Config, Stale};
use planner::Planner;
use source::Source;

pub use each::{Missing, Result as Each, apply as apply_each};
pub use scope::Scope;

/// What a step is for: what a mistake or a refusal costs where each part stands for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Section {
    /// A VRF, by its name.
    Vrf(String),
    /// The routes of the default domain.
    Default,
    /// The routing rules.
    Rules,
    /// A leak, by its place in the file.
    Leak(usize),
    /// Conntrack zones.
    Zones,
    /// A user, as the file calls it.
    User(String),
    /// A tunnel, by its name.
    Tunnel(String),
    /// All tunnels.
    Tunnels,
    /// What all tunnels receive: they have one table.
    Received,
    /// A setting, by its file below /proc/sys: a name has several spellings.
    Setting(String),
    /// More than one of them.
    All,
}

/// All that is to be done.
#[derive(Clone, Default)]
pub struct Plan {
    vrfs: Vec<Part>,
    then: Vec<(Section, Step)>,
    /// What goes because the file does not declare it.
    pruned: Vec<Part>,
    extras: Vec<Step>,
    /// Settings that come with the VRFs.
    settings: Vec<(String, String)>,
    /// Whether conntrack zones are switched, and what the change makes of them.
    zones: (Option<bool>, Vec<Step>),
    /// The tunnels, where others than until now are in VRFs, and what the change makes of them.
    tunnels: (Option<ByName>, Vec<Step>),
    stale: Stale,
    /// Who is put into which VRF, and tries it.
    users: Vec<(Account, String)>,
    notes: Vec<String>,
    missing: Vec<Missing>,
    /// The routes that are declared.
    kept: HashSet<once::Key>,
}

/// What is to be done for one VRF, before the others: itself, its ports, then what is on them.
#[derive(Clone, Default)]
struct Part {
    vrf: String,
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
        let last = self.tunnels.1.iter().chain(&self.zones.1).cloned();
        let steps: Vec<Step> = self.steps().cloned().chain(sysctls::preview(&self.settings)).chain(last).collect();
        notes.cloned().fold(Outcome::of(&steps), Outcome::note)
    }

    fn steps(&self) -> impl Iterator<Item = &Step> {
        let pruned = self.pruned.iter().flat_map(Part::steps);
        let then = self.then.iter().map(|(_, step)| step);
        self.vrfs.iter().flat_map(Part::steps).chain(then).chain(pruned).chain(&self.extras)
    }

    fn moves(&self) -> impl Iterator<Item = &Move> {
        self.vrfs.iter().chain(&self.pruned).flat_map(|part| &part.moves)
    }

    /// What this step is for. It may have learnt an index since it was planned, which its words do not show.
    fn section_of(&self, step: &Step) -> Section {
        let words = step.to_string();
        let is_it = |step: &Step| step.to_string() == words;
        let part = self.vrfs.iter().find(|part| part.steps().any(is_it)).map(|part| Section::Vrf(part.vrf.clone()));
        let then = || self.then.iter().find(|(_, step)| is_it(step)).map(|(section, _)| section.clone());
        part.or_else(then).or_else(|| setting_section(step)).unwrap_or(Section::All)
    }
}

/// The section of a step that makes a setting.
fn setting_section(step: &Step) -> Option<Section> {
    match step {
        Step::SetSysctl { key, .. } => Some(Section::Setting(key.clone())),
        _ => None,
    }
}

/// Reads the file and plans; changes nothing.
///
/// # Errors
/// The file has a mistake, or it asks for what cannot be.
pub fn plan(session: &Session, path: &Path, scope: &Scope, prunes: bool) -> Result<Plan, Error> {
    let text = read(path)?;
    let source = Source::new(path, &text);
    let config = scope.narrow(source.read()?);
    plan_config(session, source, &config, false, prunes).map_err(|(_, error)| error)
}

fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|error| Error::file(path, &error))
}

/// `may_lack_ports`: what needs a port that is not there is left out. An error comes with what it costs.
fn plan_config(
    session: &Session,
    source: Source,
    config: &Config,
    may_lack_ports: bool,
    prunes: bool,
) -> Result<Plan, (Section, Error)> {
    let inventory = Inventory::read(session.kernel).map_err(|error| (Section::All, error))?;
    let (inventory, vrf_planner) = (&inventory, VrfPlanner::new(&inventory));
    let (names, moved, at) = (Names::read(), Vec::new(), Section::All);
    let planner = Planner { session, source, config, inventory, vrf_planner, names, moved, may_lack_ports, prunes, at };
    let mut plan = planner.plan()?;
    plan.stale = config.stale;
    if !plan.stale.tunnels {
        let wanted = plan.tunnels.0.clone();
        let follows = tunnel::preview(session, &inventory.system, plan.steps(), wanted, plan.stale.receiving());
        plan.tunnels.1 = follows.map_err(|error| (Section::Received, error))?;
    }
    if !plan.stale.zones {
        let follows = zones::preview(session, &inventory.system, plan.steps(), config.zones.on);
        plan.zones = (config.zones.on, follows.map_err(|error| (Section::Zones, error))?);
    }
    Ok(plan)
}

/// Makes a plan.
///
/// # Errors
/// The kernel refused; then nothing is changed.
pub fn make(session: &Session, plan: Plan) -> Result<Outcome, Error> {
    make_parts(session, plan).map_err(|(_, error)| error)
}

/// An error comes with what it costs, where that is known by when it came.
fn make_parts(session: &Session, plan: Plan) -> Result<Outcome, (Option<Section>, Error)> {
    let mut transaction = session.begin().map_err(|error| (None, error))?;
    let (tunnels, zones, stale) = (plan.tunnels.0.clone(), plan.zones.0, plan.stale);
    let notes = make_first(&mut transaction, plan).map_err(|error| (None, error))?;
    if !stale.tunnels {
        let follows = tunnel::follow_to(session, &mut transaction, tunnels, stale.receiving());
        follows.map_err(|error| (Some(blamed(&error)), error))?;
    }
    if !stale.zones {
        zones::follow(session, &mut transaction, zones).map_err(|error| (Some(Section::Zones), error))?;
    }
    notes.into_iter().for_each(|note| transaction.note(note));
    transaction.commit().map_err(|error| (None, error))
}

/// One tunnel, where the kernel refused to have it name its VRF.
fn blamed(error: &Error) -> Section {
    match error {
        Error::Refused { step, .. } => match &**step {
            Step::SetOutside { device, .. } => Section::Tunnel(device.name.clone()),
            _ => Section::Received,
        },
        _ => Section::Received,
    }
}

/// All but what follows VRFs and ports; what is to be said of it.
fn make_first(transaction: &mut Transaction, plan: Plan) -> Result<Vec<String>, Error> {
    transaction.expect(plan.steps().count());
    // A port that goes in makes the kernel walk through every table that there is: each goes in as soon as it can.
    for part in plan.vrfs {
        part.make(transaction)?;
    }
    transaction.make_all(plan.then.into_iter().map(|(_, step)| step))?;
    for part in plan.pruned {
        part.make(transaction)?;
    }
    transaction.try_make_all(plan.extras)?;
    let wanted: Vec<(&str, &str)> = plan.settings.iter().map(|(key, to)| (key.as_str(), to.as_str())).collect();
    let (settings, memory) = sysctls::make(&wanted).map_err(|error| transaction.abandon(error))?;
    transaction.make_all(settings)?;
    transaction.try_make_all(memory)?;
    for (account, vrf) in &plan.users {
        user::verify(account, vrf).map_err(|error| transaction.abandon(error))?;
    }
    let about_users = (!plan.users.is_empty()).then(user::about_guard).flatten();
    Ok(plan.notes.into_iter().chain(about_users).collect())
}

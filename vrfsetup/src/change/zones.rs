//! `vrfsetup zones`: the flows of each VRF in a conntrack zone of their own, and what keeps that so when VRFs and ports
//! change.

use crate::error::Error;
use crate::model::link::Link;
use crate::model::nft::ZONES;
use crate::model::step::Step;
use crate::plan::memory::Memory;
use crate::plan::system::System;
use crate::plan::zones::{self, Members};
use crate::sys::{feature, nft, sysctl};
use crate::transaction::lockout;
use crate::transaction::report::Outcome;
use crate::transaction::session::{Session, Transaction};

/// What is to be done.
pub struct Plan {
    steps: Vec<Step>,
    notes: Vec<String>,
}

impl Plan {
    /// What making it would report.
    pub fn preview(&self) -> Outcome {
        self.notes.iter().cloned().fold(Outcome::of(&self.steps), Outcome::note)
    }
}

/// Plans to switch zones on or off; changes nothing.
///
/// # Errors
/// A connection would break, nft(8) is not there, or an interface has a name that it cannot read.
pub fn plan(session: &Session, is_on: bool) -> Result<Plan, Error> {
    let system = System::read(session.kernel)?;
    let steps = steps(|| Ok(Members::of(&system)), Some(is_on))?;
    refuse_if_cut(session, &system, &steps)?;
    let notes = (is_on && !feature::tracks_local_by_port()).then(|| LOCAL_STAYS.to_owned());
    Ok(Plan { steps, notes: notes.into_iter().collect() })
}

const LOCAL_STAYS: &str = "before Linux 5.15, packets that this machine makes stay in zone 0";

/// Makes a plan.
///
/// # Errors
/// nft(8) or the kernel refused; then nothing is changed.
pub fn make(session: &Session, plan: Plan) -> Result<Outcome, Error> {
    let mut transaction = session.begin()?;
    transaction.make_all(plan.steps)?;
    plan.notes.into_iter().for_each(|note| transaction.note(note));
    transaction.commit()
}

/// Where zones are on, gives VRFs and ports as they are by now theirs: the last step of a change. `wanted` switches them.
///
/// # Errors
/// As [`make`]; what the transaction did is undone.
pub fn follow(session: &Session, transaction: &mut Transaction, wanted: Option<bool>) -> Result<(), Error> {
    let members = || System::read(session.kernel).map(|system| Members::of(&system));
    let planned = steps(members, wanted).map_err(|error| transaction.abandon(error))?;
    transaction.make_all(planned)
}

/// What [`follow`] will do behind these steps.
///
/// # Errors
/// As [`plan`].
pub fn preview<'a>(
    session: &Session,
    system: &System,
    before: impl Iterator<Item = &'a Step>,
    wanted: Option<bool>,
) -> Result<Vec<Step>, Error> {
    let members = || {
        let mut members = Members::of(system);
        before.for_each(|step| members.apply(step));
        Ok(members)
    };
    let steps = steps(members, wanted)?;
    if wanted.is_some_and(|wanted| wanted != Memory::read().zones.is_some()) {
        refuse_if_cut(session, system, &steps)?;
    }
    Ok(steps)
}

/// Without a wish, and where they are off, nobody asks for nft.
fn steps(members: impl FnOnce() -> Result<Members, Error>, wanted: Option<bool>) -> Result<Vec<Step>, Error> {
    let memory = Memory::read();
    let listing = || nft::list(ZONES).map_err(|refusal| Error::Nft { table: ZONES, refusal });
    match wanted.unwrap_or(memory.zones.is_some()) {
        true => zones::on(&members()?, memory, listing()?, feature::tracks_local_by_port()),
        false if wanted.is_some() => Ok(zones::off(memory, listing()?)),
        false => Ok(Vec::new()),
    }
}

/// A connection that is tracked already is a new one in the new zone, where its packets may get another source port.
fn refuse_if_cut(session: &Session, system: &System, steps: &[Step]) -> Result<(), Error> {
    let switches = steps.iter().any(|step| matches!(step, Step::SetZones { .. }));
    if session.takes_risks() || !switches || !is_tracking() {
        return Ok(());
    }
    let links: Vec<&Link> = system.links.iter().filter(|link| system.vrf_of(link).is_some()).collect();
    lockout::refuse_if_in_use(session, system, &links)
}

/// Whether conntrack knows any connection of this network namespace.
fn is_tracking() -> bool {
    sysctl::read("net/netfilter/nf_conntrack_count").is_some_and(|count| count != "0")
}

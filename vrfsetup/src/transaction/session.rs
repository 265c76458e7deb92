//! A command's changes as one: when a step fails, or a signal comes, the earlier ones are undone in reverse order.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use crate::error::Error;
use crate::model::rule::Rule;
use crate::model::step::Step;
use crate::plan::rules::{self, L3MDEV};
use crate::sys::families;
use crate::sys::netlink::{Kernel, KernelError};
use crate::transaction::confirm;
use crate::transaction::held::Held;
use crate::transaction::journal::{self, Journal};
use crate::transaction::progress::{Progress, When};
use crate::transaction::report::Outcome;
use crate::transaction::{recover, rollback, sockets::Sockets, strict, users};

/// The most steps that are sent at a time: the refusals, with copies of the requests, must fit the socket's buffer.
const TOGETHER: usize = 32;

/// How a command changes things.
pub struct Session<'a> {
    /// What it changes.
    pub kernel: &'a Kernel,
    /// Goes on where a connection would break (`--force`).
    pub is_forced: bool,
    /// Goes on where another program's rule would catch local packets (`--force-rules`).
    pub forces_rules: bool,
    /// Undoes everything unless it is confirmed within this time.
    pub confirm: Option<Duration>,
    /// How the network namespace was named on the command line.
    pub netns: Option<&'a str>,
    /// When it shows how far it is.
    pub progress: When,
    /// Whether it is the boot's: nobody's to undo, so `vrfsetup rollback` goes on meaning the user's last change.
    pub is_boot: bool,
    /// What it holds while it changes something (see [`Self::hold`]).
    pub held: Option<Held>,
    /// Where somebody's session may be.
    pub sockets: Sockets,
}

impl Session<'_> {
    /// Whether the user has taken the risk of losing a connection, or a way back from it.
    pub fn takes_risks(&self) -> bool {
        self.is_forced || self.confirm.is_some()
    }

    /// Whether the user has taken the risk that the machine loses its own addresses, or a way back from it.
    pub fn overrules_rules(&self) -> bool {
        self.forces_rules || self.confirm.is_some()
    }

    /// Holds off other runs and signals from now on, and undoes what an earlier run left; what there is to say about it.
    ///
    /// # Errors
    /// An earlier change waits for its confirmation, a signal came, or --confirm was asked for and there is no /run for
    /// its journal.
    pub fn hold(&mut self) -> Result<Option<String>, Error> {
        match Held::take(self.kernel) {
            Ok((held, told)) => {
                self.held = Some(held);
                Ok(told.or(recover::unconfirmed(self.kernel)?))
            }
            // Containers may have a read-only /run, and who may change nothing is told so by what refuses it.
            Err(Error::NoLock { source }) if self.confirm.is_none() => Ok(Some(unheld(&source))),
            Err(Error::NoLock { source }) => Err(Error::NoWayBack { source }),
            Err(error) => Err(error),
        }
    }

    /// Begins the change; nothing is done yet.
    ///
    /// # Errors
    /// A signal has come.
    pub fn begin(&self) -> Result<Transaction<'_>, Error> {
        self.go_on()?;
        Ok(Transaction { session: self, journal: None, made: HashMap::new(), notes: Vec::new(), progress: None })
    }

    fn go_on(&self) -> Result<(), Error> {
        self.held.as_ref().map_or(Ok(()), Held::go_on)
    }
}

fn unheld(source: &io::Error) -> String {
    let why = KernelError::from_io(source);
    format!("cannot use /run/vrfsetup ({why}): nothing holds off another run, and no later one can undo this one")
}

/// What has been done so far.
pub struct Transaction<'a> {
    session: &'a Session<'a>,
    journal: Option<Journal>,
    made: HashMap<String, u32>,
    notes: Vec<String>,
    progress: Option<Progress>,
}

impl Transaction<'_> {
    /// Shows how far it is, of this many steps.
    pub fn expect(&mut self, steps: usize) {
        self.progress = Progress::of(steps, self.session.progress);
    }

    /// Makes one step.
    ///
    /// # Errors
    /// The kernel refused; everything that was done is undone by then.
    pub fn make(&mut self, step: Step) -> Result<(), Error> {
        self.make_all([step])
    }

    /// Makes several steps, as many at a time as may be.
    ///
    /// # Errors
    /// As [`Self::make`].
    pub fn make_all(&mut self, steps: impl IntoIterator<Item = Step>) -> Result<(), Error> {
        let mut together: Vec<Step> = Vec::new();
        for step in steps {
            if together.len() == TOGETHER || !step.may_follow(&together) {
                self.make_together(std::mem::take(&mut together))?;
            }
            together.push(step);
        }
        self.make_together(together)
    }

    fn make_together(&mut self, mut steps: Vec<Step>) -> Result<(), Error> {
        if steps.is_empty() {
            return Ok(());
        }
        steps.iter_mut().for_each(|step| step.bind(&self.made));
        let kernel = self.session.kernel;
        let first = self.record(steps)?;
        let answered = match self.from(first) {
            [step] if step.is_made_alone() => Ok(vec![kernel.make(step).err()]),
            several => kernel.make_together(several),
        };
        // Where nobody knows which of the steps were made, all may have been.
        let refusals = answered.map_err(|lost| self.give_up(first, lost))?;
        self.answer(first, &refusals)?;
        let count = self.journal.as_ref().map_or(0, Journal::length);
        self.progress.iter_mut().for_each(|progress| progress.show(count));
        match (first..).zip(refusals).find_map(|(at, refusal)| Some((at, refusal?))) {
            Some((at, refusal)) => Err(self.give_up(at, refusal)),
            None => self.learn(first),
        }
    }

    /// New VRFs have the indices that the kernel gave them; later steps know them by their names only.
    fn learn(&mut self, first: usize) -> Result<(), Error> {
        let had_none = self.made.is_empty();
        let new = self.journal.iter_mut().flat_map(|journal| journal.from(first).iter());
        self.made.extend(new.filter_map(|step| match step {
            Step::AddVrf(device, _) => Some((device.name.clone(), device.ifindex)),
            _ => None,
        }));
        if had_none && !self.made.is_empty() { self.ensure_l3mdev() } else { Ok(()) }
    }

    /// The kernel makes the l3mdev rule with a namespace's first VRF, and never again if it was deleted since.
    fn ensure_l3mdev(&mut self) -> Result<(), Error> {
        for family in families::available() {
            let rule = Rule::l3mdev(family, L3MDEV);
            let there = self.session.kernel.rules(family);
            let there = there.map_err(|refusal| self.refused(Step::AddRule(rule.clone()), refusal))?;
            if !there.iter().any(Rule::looks_up_vrfs) && rules::has_l3mdev_rules(&there) {
                self.make(Step::AddRule(rule))?;
            }
        }
        Ok(())
    }

    /// Makes steps that are good to have; where one is refused, a note says so.
    ///
    /// # Errors
    /// A signal came, or the journal cannot be written.
    pub fn try_make_all(&mut self, steps: impl IntoIterator<Item = Step>) -> Result<(), Error> {
        let steps = self.with_way_back(steps.into_iter().collect())?;
        if steps.is_empty() {
            return Ok(());
        }
        let kernel = self.session.kernel;
        let first = self.record(steps)?;
        let (mut refusals, mut notes) = (Vec::new(), Vec::new());
        for step in self.from(first) {
            let refusal = kernel.make(step).err();
            notes.extend(refusal.as_ref().map(|refusal| format!("refused '{step}': {refusal}")));
            refusals.push(refusal);
        }
        self.notes.extend(notes);
        self.answer(first, &refusals)
    }

    /// Of steps that are good to have those that could be undone after a power loss: the root file system may be read-only.
    fn with_way_back(&mut self, steps: Vec<Step>) -> Result<Vec<Step>, Error> {
        if !steps.iter().any(journal::lasts) {
            return Ok(steps);
        }
        let prepared = self.open_journal().map(|journal| journal.prepare(&steps).err());
        let unwritten = prepared.map_err(|source| self.abandon(Error::NoWayBack { source }))?;
        let Some(why) = unwritten.map(|error| KernelError::from_io(&error)) else { return Ok(steps) };
        let (lost, rest): (Vec<Step>, Vec<Step>) = steps.into_iter().partition(journal::lasts);
        self.notes.extend(lost.iter().map(|step| format!("left out '{step}': cannot prepare its rollback: {why}")));
        Ok(rest)
    }

    /// Says something to the user at the end.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Undoes everything, because of an error outside the steps.
    pub fn abandon(&mut self, error: Error) -> Error {
        self.progress = None;
        let Some(journal) = self.journal.take() else { return error };
        match rollback::roll_back(self.session.kernel, journal) {
            Ok(left) if left.is_empty() => error,
            Ok(left) => Error::NotRolledBack { cause: Box::new(error), left },
            Err(unwritten) => Error::NotRolledBack { cause: Box::new(error), left: vec![unwritten.to_string()] },
        }
    }

    /// Keeps what was done, for good or until the confirmation is overdue, and reports it.
    ///
    /// # Errors
    /// A signal came before, or the journal cannot be kept; then everything is undone.
    pub fn commit(mut self) -> Result<Outcome, Error> {
        self.go_on()?;
        let journal = self.journal.take();
        let steps = || journal.iter().flat_map(Journal::steps);
        let (outcome, vrfs) = (Outcome::of(steps()), strict::touched(steps()));
        let concerns_users = users::are_touched(steps());
        let is_idle = steps().next().is_none();
        let kept = match (journal, self.session.confirm) {
            (None, _) => Ok(()),
            (Some(journal), _) if is_idle || self.session.is_boot => journal.discard(),
            (Some(journal), None) => journal.complete(),
            (Some(journal), Some(time)) => {
                let seconds = time.as_secs();
                self.notes.push(format!("all of this is undone in {seconds} s unless 'vrfsetup confirm' comes first"));
                journal.wait()
            }
        };
        kept.map_err(|source| Error::Unkept { source })?;
        self.notes.extend(strict::refresh(self.session.kernel, &vrfs));
        self.notes.extend(concerns_users.then(|| users::refresh(self.session.kernel)).flatten());
        Ok(self.notes.into_iter().fold(outcome, Outcome::note))
    }

    fn give_up(&mut self, at: usize, refusal: KernelError) -> Error {
        let step = self.from(at)[0].clone();
        self.refused(step, refusal)
    }

    fn refused(&mut self, step: Step, refusal: KernelError) -> Error {
        self.abandon(Error::Refused { step: Box::new(step), refusal })
    }

    fn go_on(&mut self) -> Result<(), Error> {
        self.session.go_on().map_err(|signal| self.abandon(signal))
    }

    /// Writes steps down before they are made, for whoever may have to undo them; the place of the first.
    fn record(&mut self, steps: Vec<Step>) -> Result<usize, Error> {
        self.go_on()?;
        let recorded = self.open_journal().and_then(|journal| journal.record(steps));
        recorded.map_err(|source| self.abandon(Error::NoWayBack { source }))
    }

    /// What was written down from this place on.
    fn from(&mut self, first: usize) -> &mut [Step] {
        self.journal.as_mut().map_or(&mut [], |journal| journal.from(first))
    }

    fn answer(&mut self, first: usize, refusals: &[Option<KernelError>]) -> Result<(), Error> {
        let answered = self.journal.as_mut().map_or(Ok(()), |journal| journal.answer(first, refusals));
        answered.map_err(|source| self.abandon(Error::NoWayBack { source }))
    }

    /// The process that waits for a confirmation is started before the first step is made.
    fn open_journal(&mut self) -> io::Result<&mut Journal> {
        if self.journal.is_none() {
            let journal = if self.session.held.is_some() { Journal::begin()? } else { Journal::in_memory() };
            let watched = journal
                .path()
                .zip(self.session.confirm)
                .map_or(Ok(()), |(path, time)| confirm::start(path, time.as_secs(), self.session.netns));
            if let Err(error) = watched {
                journal.discard()?;
                return Err(error);
            }
            self.journal = Some(journal);
        }
        self.journal.as_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

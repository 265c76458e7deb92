//! A command's changes as one: when a step fails, the earlier ones are undone in reverse order.

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
use crate::transaction::journal::{self, Journal};
use crate::transaction::lock::{self, Lock};
use crate::transaction::progress::{Progress, When};
use crate::transaction::report::Outcome;
use crate::transaction::{rollback, strict};

/// The most steps that are sent at a time: their refusals, each with a copy of its request, must find room in the
/// socket's buffer.
const TOGETHER: usize = 32;

/// How a command changes things.
pub struct Session<'a> {
    /// What it changes.
    pub kernel: &'a Kernel,
    /// Goes on where a connection would break.
    pub is_forced: bool,
    /// Undoes everything unless it is confirmed within this time.
    pub confirm: Option<Duration>,
    /// How the network namespace was named on the command line.
    pub netns: Option<&'a str>,
    /// When it shows how far it is.
    pub progress: When,
}

impl Session<'_> {
    /// Whether the user has taken the risk of losing a connection, or a way back from it.
    pub fn takes_risks(&self) -> bool {
        self.is_forced || self.confirm.is_some()
    }

    /// Begins the change; nothing is done yet.
    ///
    /// # Errors
    /// An earlier change still waits for its confirmation.
    pub fn begin(&self) -> Result<Transaction<'_>, Error> {
        // Without a writable /run two runs may meet; each is safe on its own.
        let lock = lock::lock().ok();
        if journal::is_pending() {
            return Err(Error::Unconfirmed);
        }
        Ok(Transaction {
            session: self,
            done: Vec::new(),
            made: HashMap::new(),
            notes: Vec::new(),
            journal: None,
            progress: None,
            _lock: lock,
        })
    }
}

/// What has been done so far.
pub struct Transaction<'a> {
    session: &'a Session<'a>,
    done: Vec<Step>,
    made: HashMap<String, u32>,
    notes: Vec<String>,
    journal: Option<Journal>,
    progress: Option<Progress>,
    _lock: Option<Lock>,
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
        for step in &mut steps {
            step.bind(&self.made);
            self.record(step)?;
        }
        let answered = match steps.as_mut_slice() {
            [] => return Ok(()),
            // A new VRF has an index to learn.
            [step] if !matches!(step, Step::AddVrf(..)) => Ok(vec![self.session.kernel.make(step).err()]),
            several => self.session.kernel.make_together(several),
        };
        let refusals = match answered {
            Ok(refusals) => refusals,
            Err(lost) => return Err(self.give_up_unheard(steps, lost)),
        };
        let (first, mut refused) = (self.done.len(), None);
        for (step, refusal) in steps.into_iter().zip(refusals) {
            match refusal {
                None => self.done.push(step),
                Some(refusal) => refused = refused.or(Some((step, refusal))),
            }
        }
        self.progress.iter_mut().for_each(|progress| progress.show(self.done.len()));
        let Some((step, refusal)) = refused else { return self.learn(first) };
        Err(self.give_up(&step, refusal))
    }

    /// New VRFs have the indices that the kernel gave them; later steps know them by their names only.
    fn learn(&mut self, first: usize) -> Result<(), Error> {
        let had_none = self.made.is_empty();
        self.made.extend(self.done[first..].iter().filter_map(|step| match step {
            Step::AddVrf(device, _) => Some((device.name.clone(), device.ifindex)),
            _ => None,
        }));
        if had_none && !self.made.is_empty() {
            let step = self.done[first].clone();
            self.ensure_l3mdev().map_err(|refusal| self.give_up(&step, refusal))?;
        }
        Ok(())
    }

    /// Nobody knows which of the steps were made: undoing what was not is harmless, except to a VRF of that name
    /// that is somebody else's.
    fn give_up_unheard(&mut self, steps: Vec<Step>, lost: KernelError) -> Error {
        let step = steps[0].clone();
        self.done
            .extend(steps.into_iter().filter(|step| !matches!(step, Step::AddVrf(device, _) if device.ifindex == 0)));
        self.give_up(&step, lost)
    }

    /// The kernel makes the l3mdev rule with a namespace's first VRF, and never again if it was deleted since. It is no
    /// step: as with the kernel's own, deleting the VRF leaves it.
    fn ensure_l3mdev(&self) -> Result<(), KernelError> {
        if !rules::has_l3mdev_rules() {
            return Ok(());
        }
        for family in families::available() {
            let rule = Rule::l3mdev(family, L3MDEV);
            if !self.session.kernel.rules(family)?.iter().any(|existing| existing.is_same_as(&rule)) {
                self.session.kernel.make(&Step::AddRule(rule))?;
            }
        }
        Ok(())
    }

    /// Makes a step that is good to have; where it is refused, a note says so.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn try_make(&mut self, step: Step) -> Result<(), Error> {
        self.record(&step)?;
        match self.session.kernel.make(&step) {
            Ok(()) => self.done.push(step),
            Err(refusal) => self.notes.push(format!("refused '{step}': {refusal}")),
        }
        Ok(())
    }

    /// Says something to the user at the end.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Undoes everything, because of an error outside the steps.
    pub fn abandon(&mut self, error: Error) -> Error {
        self.progress = None;
        let left = rollback::roll_back(self.session.kernel, std::mem::take(&mut self.done));
        if left.is_empty() {
            self.journal.take().into_iter().for_each(Journal::discard);
        }
        match (error, left.is_empty()) {
            (Error::Refused { step, refusal }, false) => Error::NotRolledBack { step, refusal, left },
            (error, _) => error,
        }
    }

    /// Keeps what was done, for good or until the confirmation is overdue, and reports it.
    pub fn commit(mut self) -> Outcome {
        match (self.session.confirm, self.journal.take()) {
            (Some(_), Some(journal)) if self.done.is_empty() => journal.discard(),
            (Some(time), Some(_)) => {
                let seconds = time.as_secs();
                self.notes.push(format!("all of this is undone in {seconds} s unless 'vrfsetup confirm' comes first"));
            }
            _ => {}
        }
        self.notes.extend(strict::refresh(self.session.kernel, &strict::touched(&self.done)));
        self.notes.into_iter().fold(Outcome::of(&self.done), Outcome::note)
    }

    fn give_up(&mut self, step: &Step, refusal: KernelError) -> Error {
        self.abandon(Error::Refused { step: Box::new(step.clone()), refusal })
    }

    /// Writes the step down first where it may have to be undone by somebody else.
    fn record(&mut self, step: &Step) -> Result<(), Error> {
        let Some(time) = self.session.confirm else { return Ok(()) };
        let recorded = self.armed_journal(time).and_then(|journal| journal.add(step));
        recorded.map_err(|source| self.abandon(Error::NoWayBack { source }))
    }

    /// The rollback process is started before the first step is made.
    fn armed_journal(&mut self, time: Duration) -> io::Result<&mut Journal> {
        if self.journal.is_none() {
            let journal = Journal::begin()?;
            if let Err(error) = confirm::start(journal.path(), time.as_secs(), self.session.netns) {
                journal.discard();
                return Err(error);
            }
            self.journal = Some(journal);
        }
        self.journal.as_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

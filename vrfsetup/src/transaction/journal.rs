//! The journal of a change. Each step is written down before it is made, so that whoever finds the journal can undo
//! the change: the run itself, a later one after SIGKILL, the process that waits for a confirmation, or the user.
//!
//! The name of the file tells what became of the change. It is in /run, and ends with the machine as the change does;
//! files that the change wrote elsewhere stand in a second journal in /var/lib, which does not.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

use crate::model::rule::Rule;
use crate::model::step::Step;
use crate::sys::netlink::KernelError;
use crate::sys::run_dir;
use crate::transaction::log::{Content, Entry, Log};
use crate::transaction::moves;

const LASTING_DIRECTORY: &str = "/var/lib/vrfsetup";

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is being made; the run that makes it holds the lock.
    Begun,
    /// It is made, and waits for `vrfsetup confirm`.
    Unconfirmed,
    /// It is complete: the last one of this network namespace.
    Complete,
}

impl State {
    /// The file of a change in this state.
    ///
    /// # Errors
    /// /proc is not mounted.
    pub fn path(self) -> io::Result<PathBuf> {
        run_dir::path(match self {
            Self::Begun => "journal",
            Self::Unconfirmed => "pending",
            Self::Complete => "last",
        })
    }
}

pub struct Journal {
    content: Content,
    /// None where /run cannot be written.
    log: Option<Log>,
    /// The files outside /run that the change wrote.
    lasting: Option<Log>,
}

impl Journal {
    /// Begins one for this network namespace.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn begin() -> io::Result<Self> {
        run_dir::make_directory()?;
        let mut journal = Self::in_memory();
        journal.log = Some(Log::create(State::Begun.path()?, &journal.content.command)?);
        Ok(journal)
    }

    /// One that ends with this run.
    pub fn in_memory() -> Self {
        Self { content: Content { command: command(), ..Content::default() }, log: None, lasting: None }
    }

    /// The one in this state, if there is one.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn open(state: State) -> io::Result<Option<Self>> {
        let Some((log, content)) = Log::open(state.path()?)? else { return Ok(None) };
        let has_lasting = state != State::Complete && run_dir::is_first_netns();
        let lasting = if has_lasting { Log::open(lasting_path())?.map(|(log, _)| log) } else { None };
        Ok(Some(Self { content, log: Some(log), lasting }))
    }

    /// The files of a change that the machine's end interrupted: /run is empty then.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn open_lasting() -> io::Result<Option<Self>> {
        if !run_dir::is_first_netns() || State::Begun.path()?.exists() || State::Unconfirmed.path()?.exists() {
            return Ok(None);
        }
        Ok(Log::open(lasting_path())?.map(|(log, content)| Self { content, log: Some(log), lasting: None }))
    }

    /// The one in this state for who only looks, without the files; None if there is none or it may not be read.
    pub fn look(state: State) -> Option<Self> {
        let content = Log::look(&state.path().ok()?)?;
        Some(Self { content, log: None, lasting: None })
    }

    /// The same of [`Self::open_lasting`].
    pub fn look_at_lasting() -> Option<Self> {
        let is_alone =
            [State::Begun, State::Unconfirmed].iter().all(|state| !state.path().is_ok_and(|path| path.exists()));
        let content = Log::look(&lasting_path()).filter(|_| is_alone && run_dir::is_first_netns())?;
        Some(Self { content, log: None, lasting: None })
    }

    /// Where it is.
    pub fn path(&self) -> Option<&Path> {
        self.log.as_ref().map(Log::path)
    }

    /// The command that made the change.
    pub fn command(&self) -> &str {
        &self.content.command
    }

    /// The steps that were made, or may have been.
    pub fn steps(&self) -> impl DoubleEndedIterator<Item = &Step> {
        let all = self.content.steps.iter().enumerate();
        all.filter(|(at, _)| !self.content.refused.contains(at)).map(|(_, step)| step)
    }

    /// How many steps were written down.
    pub fn length(&self) -> usize {
        self.content.steps.len()
    }

    /// Writes down steps that are about to be made; the place of the first.
    ///
    /// # Errors
    /// Those of write(2): then none of them may be made.
    pub fn record(&mut self, steps: Vec<Step>) -> io::Result<usize> {
        if let Some(log) = &mut self.log {
            log.add(steps.iter().map(entry))?;
            self.record_lasting(&steps)?;
        }
        let first = self.length();
        self.content.steps.extend(steps);
        Ok(first)
    }

    /// The steps from this place on, for whoever makes them.
    pub fn from(&mut self, first: usize) -> &mut [Step] {
        &mut self.content.steps[first..]
    }

    /// What is no file in /run survives a power loss, and so must the way to undo it.
    fn record_lasting(&mut self, steps: &[Step]) -> io::Result<()> {
        self.prepare(steps)?;
        let mut lasting = steps.iter().filter(|step| lasts(step)).peekable();
        if lasting.peek().is_none() {
            return Ok(());
        }
        self.lasting.iter_mut().try_for_each(|log| {
            log.add(lasting.by_ref().map(entry))?;
            log.sync()
        })
    }

    /// Sees that what these steps write can be undone after a power loss, where it lasts.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn prepare(&mut self, steps: &[Step]) -> io::Result<()> {
        let is_needed = self.log.is_some() && self.lasting.is_none() && steps.iter().any(lasts);
        if is_needed && run_dir::is_first_netns() {
            run_dir::make_private(Path::new(LASTING_DIRECTORY))?;
            self.lasting = Some(Log::create(lasting_path(), &self.content.command)?);
        }
        Ok(())
    }

    /// Writes down what the kernel answered to the steps from `first` on.
    ///
    /// # Errors
    /// Those of write(2).
    pub fn answer(&mut self, first: usize, refusals: &[Option<KernelError>]) -> io::Result<()> {
        let mut entries = Vec::new();
        for (at, refusal) in (first..).zip(refusals) {
            match (&self.content.steps[at], refusal) {
                (_, Some(_)) => {
                    self.content.refused.insert(at);
                    entries.push(Entry::Refused(at));
                }
                (Step::AddVrf(device, _), None) => entries.push(Entry::Made(at, device.ifindex)),
                _ => {}
            }
        }
        if entries.is_empty() { Ok(()) } else { self.log.iter_mut().try_for_each(|log| log.add(entries.drain(..))) }
    }

    /// The last step that is not undone yet, with its place.
    pub fn last(&self) -> Option<(usize, &Step)> {
        let all = self.content.steps.iter().enumerate().rev();
        let mut made = all.filter(|(at, _)| !self.content.refused.contains(at));
        made.next()
    }

    /// Passes over rules that have only changed their place: nothing of them is left to undo.
    pub fn forget_moves(&mut self, is_there: impl Fn(&Rule) -> Option<bool>) {
        self.content.refused = moves::settled(&self.content.steps, &self.content.refused, is_there);
    }

    /// Writes down that all steps from this place on are undone. Where that cannot be written, a rollback that is
    /// killed begins again from an earlier place: what is undone twice is undone.
    pub fn undone(&mut self, at: usize) {
        self.content.steps.truncate(at);
        let _ = self.log.iter_mut().try_for_each(|log| log.add([Entry::Undone(at)]));
    }

    /// The change is made and waits for its confirmation.
    ///
    /// # Errors
    /// Those of rename(2).
    pub fn wait(mut self) -> io::Result<()> {
        let path = State::Unconfirmed.path()?;
        self.log.iter_mut().try_for_each(|log| log.rename(path.clone()))
    }

    /// The change is being undone: whoever finds the journal goes on with that. Where it cannot be renamed, the user does.
    pub fn undo(&mut self) {
        let path = State::Begun.path();
        let _ = path.and_then(|path| self.log.iter_mut().try_for_each(|log| log.rename(path.clone())));
    }

    /// The change is complete, for good. Until the last call here, whoever finds the journal undoes it.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn complete(mut self) -> io::Result<()> {
        let path = State::Complete.path()?;
        // In this order: a lasting journal alone stands for a change that the machine's end interrupted.
        self.lasting.take().map_or(Ok(()), Log::remove)?;
        self.log.iter_mut().try_for_each(|log| log.rename(path.clone()))
    }

    /// Nothing of the change is left.
    ///
    /// # Errors
    /// Those of unlink(2).
    pub fn discard(self) -> io::Result<()> {
        self.lasting.map_or(Ok(()), Log::remove)?;
        self.log.map_or(Ok(()), Log::remove)
    }

    /// All that is left of the change are these steps, in their order: `vrfsetup rollback` tries them again.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn reduce_to(self, steps: &[Step]) -> io::Result<()> {
        if self.log.is_none() {
            return Ok(());
        }
        let path = State::Complete.path()?;
        let mut rest = Log::create(path.with_extension("left"), &self.content.command)?;
        rest.add(steps.iter().map(entry))?;
        self.discard()?;
        rest.rename(path)
    }
}

/// Whether the step writes what is there after a reboot.
pub fn lasts(step: &Step) -> bool {
    matches!(step, Step::WriteFile { path, .. } if !run_dir::holds(path))
}

fn lasting_path() -> PathBuf {
    Path::new(LASTING_DIRECTORY).join("files.journal")
}

fn entry(step: &Step) -> Entry<'_> {
    Entry::Step { ip: step.to_string(), step: Cow::Borrowed(step) }
}

/// This run's command line, as the user typed it.
fn command() -> String {
    let mut words: Vec<String> = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    words.insert(0, "vrfsetup".to_owned());
    words.join(" ")
}

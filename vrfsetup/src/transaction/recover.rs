//! What earlier runs left: a change that was not finished because its run was killed, or the machine, and a change that
//! was not confirmed and that nobody waits for any more. Whoever holds the lock undoes it before anything else.

use crate::error::Error;
use crate::sys::netlink::Kernel;
use crate::transaction::confirm;
use crate::transaction::journal::{Journal, State};
use crate::transaction::{lock, rollback};

/// Undoes a change that was not finished; what there is to say about it. The caller holds the lock, so its run is dead.
///
/// # Errors
/// A journal cannot be read or written.
pub fn unfinished(kernel: &Kernel) -> Result<Option<String>, Error> {
    if let Some(journal) = open(State::Begun)? {
        return undo(kernel, journal, "was not finished");
    }
    let cut_off = Journal::open_lasting().map_err(Error::unreadable("the journal in /var/lib/vrfsetup"))?;
    cut_off.map_or(Ok(None), |journal| undo(kernel, journal, "was cut off by the machine's end"))
}

/// Undoes a change that was not confirmed, if nobody waits for its confirmation any more.
///
/// # Errors
/// Somebody does; or a journal cannot be read or written.
pub fn unconfirmed(kernel: &Kernel) -> Result<Option<String>, Error> {
    match open(State::Unconfirmed)? {
        Some(journal) if journal.path().is_some_and(confirm::is_watched) => Err(Error::Unconfirmed),
        Some(journal) => undo(kernel, journal, "was never confirmed"),
        None => Ok(None),
    }
}

/// How a change stands that nobody has brought to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// Its run is dead, or the machine was.
    CutOff,
    /// Somebody waits for its confirmation.
    Watched,
    /// Nobody does any more.
    Unwatched,
}

/// Such a change, with its command; undoes nothing. None too while a run is going on, and for who may not read the
/// journals.
pub fn find() -> Option<(Open, String)> {
    lock::look(|| {
        let begun = Journal::look(State::Begun).or_else(Journal::look_at_lasting);
        if let Some(journal) = begun.filter(|journal| journal.steps().next().is_some()) {
            return Some((Open::CutOff, journal.command().to_owned()));
        }
        let journal = Journal::look(State::Unconfirmed)?;
        let is_watched = State::Unconfirmed.path().is_ok_and(|path| confirm::is_watched(&path));
        Some((if is_watched { Open::Watched } else { Open::Unwatched }, journal.command().to_owned()))
    })
}

/// The journal of the change in this state.
///
/// # Errors
/// It cannot be read.
pub fn open(state: State) -> Result<Option<Journal>, Error> {
    Journal::open(state).map_err(Error::unreadable("the journal in /run/vrfsetup"))
}

fn undo(kernel: &Kernel, journal: Journal, what: &str) -> Result<Option<String>, Error> {
    let command = journal.command().to_owned();
    // A run that was killed before its first step is nothing to talk about.
    let is_idle = journal.steps().next().is_none();
    let left = rollback::roll_back(kernel, journal)?;
    Ok(match left.as_slice() {
        [] if is_idle => None,
        [] => Some(format!("an earlier change ('{command}') {what} and is rolled back")),
        left => Some(format!("an earlier change ('{command}') {what}; could not be undone: {}", left.join(", "))),
    })
}

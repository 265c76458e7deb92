//! `vrfsetup rollback` and `confirm`: the last change is undone, or kept.

use std::collections::BTreeMap;

use crate::error::Error;
use crate::model::link::Link;
use crate::model::step::Step;
use crate::plan::system::System;
use crate::sys::netlink::Kernel;
use crate::transaction::held::Held;
use crate::transaction::journal::{Journal, State};
use crate::transaction::report::Outcome;
use crate::transaction::session::Session;
use crate::transaction::{listeners, lockout, recover, rollback};

/// Undoes the last change: one that was not finished, one that waits for its confirmation, or one that is complete.
///
/// # Errors
/// There is none, a connection would break, or the kernel refused some of it.
pub fn rollback(session: &Session) -> Result<Outcome, Error> {
    let (held, told) = Held::take(session.kernel)?;
    if let Some(told) = told {
        return Ok(done().note(told));
    }
    let mut journal = match recover::open(State::Unconfirmed)? {
        Some(journal) => journal,
        None => {
            let last = recover::open(State::Complete)?.filter(|last| last.steps().next().is_some());
            let last = last.ok_or(Error::NothingToUndo)?;
            check_lockout(session, &last)?;
            last
        }
    };
    held.go_on()?;
    journal.undo();
    let inverses: Vec<Step> = journal.steps().rev().cloned().map(Step::inverse).collect();
    let command = journal.command().to_owned();
    match rollback::roll_back(session.kernel, journal)? {
        left if left.is_empty() => Ok(Outcome::of(&inverses).note(format!("'{command}' is undone"))),
        left => Err(Error::Left(left)),
    }
}

/// Keeps the change that waits for its confirmation. One that was not finished is rolled back first: what is said about
/// that comes before the outcome.
///
/// # Errors
/// There is none.
pub fn confirm(kernel: &Kernel) -> Result<(Option<String>, Outcome), Error> {
    let (_held, told) = Held::take(kernel)?;
    match (recover::open(State::Unconfirmed)?, told) {
        (Some(journal), told) => {
            journal.complete().map_err(|source| Error::NoWayBack { source })?;
            Ok((told, done().note("confirmed, the change is kept".to_owned())))
        }
        (None, Some(told)) => Err(Error::Unfinished(told)),
        (None, None) => Err(Error::NothingToConfirm),
    }
}

fn done() -> Outcome {
    Outcome { changed: true, ..Outcome::default() }
}

/// What is undone long after it was done may be in somebody's way by now.
fn check_lockout(session: &Session, journal: &Journal) -> Result<(), Error> {
    if session.takes_risks() {
        return Ok(());
    }
    let system = System::read(session.kernel)?;
    let inverses: Vec<Step> = journal.steps().rev().cloned().map(Step::inverse).collect();
    let moved = inverses.iter().filter_map(|step| match step {
        Step::Enslave(device, _) | Step::Release(device, _) | Step::DeleteVrf(device, _) => Some(&device.name),
        Step::SetOutside { device, .. } | Step::SetFwmark { device, .. } => Some(&device.name),
        Step::DeleteAddress(address) => Some(&address.device.name),
        _ => None,
    });
    let links: Vec<&Link> = moved.filter_map(|name| system.link(name)).collect();
    lockout::refuse_if_in_use(session, &system, &links)?;
    lockout::refuse_if_cut(session, &system, &inverses)?;
    // The last step of an interface is where it goes.
    let places: BTreeMap<&str, Option<&str>> = inverses.iter().filter_map(place).collect();
    places.into_iter().try_for_each(|(name, vrf)| {
        let link: Vec<&Link> = system.link(name).into_iter().collect();
        listeners::refuse_if_port_is_taken(session, &system, &link, vrf)
    })
}

/// The interface that a step puts into a VRF, or into none.
fn place(step: &Step) -> Option<(&str, Option<&str>)> {
    match step {
        Step::Enslave(device, vrf) => Some((&device.name, Some(&vrf.name))),
        Step::Release(device, _) => Some((&device.name, None)),
        _ => None,
    }
}

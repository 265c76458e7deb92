//! Changes that nobody has brought to an end: killed halfway, or not confirmed.

use super::Finding;
use crate::transaction::recover::{self, Open};

/// At most one: who changes something ends the earlier ones first. Whoever may not read the journals is told nothing.
pub fn unfinished() -> Option<Finding> {
    let (open, command) = recover::find()?;
    let change = |what: &str| format!("the change '{command}' {what}");
    Some(match open {
        Open::CutOff => Finding::new("unfinished-change", change("was not finished: part of it is made"), UNDO),
        Open::Watched => Finding::new("unconfirmed-change", change("waits for its confirmation"), "vrfsetup confirm"),
        Open::Unwatched => {
            let what = "was not confirmed, and nobody waits for that any more";
            Finding::new("unconfirmed-change", change(what), UNDO)
        }
    })
}

const UNDO: &str = "vrfsetup rollback";

//! Steps, undone: the inverse of each, in reverse order.

use crate::error::Error;
use crate::model::step::Step;
use crate::sys::netlink::{Kernel, KernelError};
use crate::transaction::strict;

/// Undoes these steps.
///
/// # Errors
/// Some could not be.
pub fn undo(kernel: &Kernel, steps: Vec<Step>) -> Result<(), Error> {
    let left = roll_back(kernel, steps);
    if left.is_empty() { Ok(()) } else { Err(Error::Left(left)) }
}

/// The same; gives the steps that could not be undone, each with the answer of the kernel.
pub fn roll_back(kernel: &Kernel, mut steps: Vec<Step>) -> Vec<String> {
    let mut left = Vec::new();
    let vrfs = strict::touched(&steps);
    while let Some(step) = steps.pop() {
        let inverse = step.inverse();
        if is_there(kernel, &inverse) {
            continue;
        }
        match kernel.make(&inverse) {
            Err(refusal) if !is_so_already(&inverse, &refusal) => left.push(format!("'{inverse}' ({refusal})")),
            _ => {}
        }
    }
    left.extend(strict::refresh(kernel, &vrfs));
    left
}

/// A rule that was never deleted must not be added once more: the kernel keeps twins.
fn is_there(kernel: &Kernel, step: &Step) -> bool {
    match step {
        Step::AddRule(rule) => kernel.rules(rule.family).is_ok_and(|rules| rules.contains(rule)),
        _ => false,
    }
}

/// What is to be deleted is gone, or what is to be added is there: a step that was recorded and never made.
fn is_so_already(step: &Step, refusal: &KernelError) -> bool {
    const GONE: [i32; 4] = [libc::ENOENT, libc::ESRCH, libc::ENODEV, libc::EADDRNOTAVAIL];
    match step {
        Step::DeleteRule(_) | Step::DeleteRoute(_) | Step::DeleteAddress(_) | Step::DeleteVrf(..) => {
            GONE.contains(&refusal.errno)
        }
        Step::DeleteNeighbour(_) | Step::DeleteNexthop(_) => GONE.contains(&refusal.errno),
        Step::AddNexthop(_) => refusal.errno == libc::EEXIST,
        Step::AddRoute(_) | Step::AddAddress(_) | Step::AddVrf(..) => refusal.errno == libc::EEXIST,
        _ => false,
    }
}

//! The steps of a journal, undone: the inverse of each, in reverse order. Each is written down when it is undone, so
//! that a rollback that is killed goes on where it was.

use std::fs;
use std::path::Path;

use crate::error::Error;
use crate::model::device::Device;
use crate::model::family::Family;
use crate::model::rule::Rule;
use crate::model::step::Step;
use crate::plan::rules::{self, FIRST, Lookup, Situation, Unreachable};
use crate::plan::unit_files;
use crate::sys::families;
use crate::sys::files;
use crate::sys::netlink::wireguard;
use crate::sys::netlink::{Kernel, KernelError};
use crate::sys::systemd;
use crate::transaction::journal::Journal;
use crate::transaction::{promotion, strict, users};

/// Undoes a change, and removes its journal; what could not be undone, each with the answer of the kernel, stays in it.
///
/// # Errors
/// The journal cannot be written.
pub fn roll_back(kernel: &Kernel, mut journal: Journal) -> Result<Vec<String>, Error> {
    let path = journal.path().unwrap_or(Path::new("/run/vrfsetup")).to_owned();
    let (left, texts) = undo(kernel, &mut journal);
    let done = if left.is_empty() { journal.discard() } else { journal.reduce_to(&left) };
    done.map(|()| texts).map_err(|error| Error::file(&path, &error))
}

fn undo(kernel: &Kernel, journal: &mut Journal) -> (Vec<Step>, Vec<String>) {
    let (mut left, mut texts) = (Vec::new(), Vec::new());
    journal.forget_moves(|rule| has_rule(kernel, rule));
    let vrfs = strict::touched(journal.steps());
    let concerns_users = users::are_touched(journal.steps());
    let is_systemds = journal.steps().any(is_unit_file);
    while let Some((at, step)) = journal.last() {
        let step = step.clone();
        for (step, text) in undo_step(kernel, journal, &step) {
            left.insert(0, step);
            texts.push(text);
        }
        // Of units something is left to undo until systemd has read them again: who goes on with a rollback that was
        // killed before finds this step.
        if is_systemds && journal.steps().nth(1).is_none() {
            if let Err(why) = systemd::reload() {
                texts.push(format!("'systemctl daemon-reload' ({why})"));
                left = if left.is_empty() { vec![step] } else { left };
            }
        }
        journal.undone(at);
    }
    families::available().into_iter().for_each(|family| restore_order(kernel, family));
    texts.extend(strict::refresh(kernel, &vrfs));
    texts.extend(concerns_users.then(|| users::refresh(kernel)).flatten());
    (left, texts)
}

/// A rule that comes back is the last of its preference, and `local` must come behind ours. Where another program's rule
/// is at 0 by now, `local` stays before that.
fn restore_order(kernel: &Kernel, family: Family) {
    let rules = kernel.rules(family).unwrap_or_default();
    if !rules.contains(&Rule::l3mdev(family, FIRST)) {
        return;
    }
    let is_stopped = rules.contains(&Rule::l3mdev_unreachable(family, FIRST));
    let unreachable = if is_stopped { Unreachable::Rule } else { Unreachable::None };
    let (rules, marks, lookup) = (&rules, &rules::marks(&rules), Lookup::L3mdev);
    let situation = Situation { family, rules, own: &[], unreachable, vrfs: &[], emulated: &[], marks, lookup };
    let is_of_these = |step: &Step| match step {
        Step::AddRule(rule) | Step::DeleteRule(rule) => rule.priority <= FIRST + 1,
        _ => false,
    };
    for step in rules::fix(&situation).unwrap_or_default().into_iter().filter(is_of_these) {
        // What is refused is as safe as it was: there is a local rule at any instant.
        let _ = kernel.make(&step);
    }
}

/// What could not be undone: the step, or one that it takes on the way.
fn undo_step(kernel: &Kernel, journal: &mut Journal, step: &Step) -> Vec<(Step, String)> {
    let inverse = step.clone().inverse();
    if is_so(kernel, &inverse) {
        tidy(&inverse);
        return Vec::new();
    }
    if is_foreign_by_now(kernel, &inverse) {
        return vec![(step.clone(), format!("'{inverse}' (somebody else has changed it since)"))];
    }
    let (made, mut left) = match &inverse {
        Step::DeleteAddress(address) => promotion::delete(kernel, journal, address),
        _ => (kernel.make(&inverse), Vec::new()),
    };
    match made {
        Err(refusal) if !is_so_by_refusal(&inverse, &refusal) => left.push((step.clone(), refusal)),
        _ => {
            tidy(&inverse);
            if let Step::AddAddress(address) = &inverse {
                left.extend(promotion::put_first(kernel, journal, address));
            }
        }
    }
    let text = |step: &Step, refusal: &KernelError| format!("'{}' ({refusal})", step.clone().inverse());
    left.into_iter().map(|(step, refusal)| (step.clone(), text(&step, &refusal))).collect()
}

/// Whether a step would change nothing, or something else than it should.
fn is_so(kernel: &Kernel, step: &Step) -> bool {
    match step {
        // A rule that was never deleted must not be added once more: the kernel keeps twins.
        Step::AddRule(rule) => has_rule(kernel, rule) == Some(true),
        // Nobody knows whether it was made. One of another kind or table was not.
        Step::DeleteVrf(device, table) if device.ifindex == 0 => {
            kernel.link(&device.name).is_ok_and(|link| link.table != Some(*table))
        }
        Step::WriteFile { path, to, .. } => fs::read_to_string(path).ok() == *to,
        Step::SetUser { uid, to, .. } => users::is_in(*uid, to.as_ref()) == Some(true),
        Step::SetFwmark { device, to, .. } => mark_of(device) == Some(*to),
        Step::SetOutside { device, to, .. } => outside_of(kernel, device) == Some(index(to)),
        _ => false,
    }
}

/// The device that a tunnel names; None where there is no such interface.
fn outside_of(kernel: &Kernel, tunnel: &Device) -> Option<Option<u32>> {
    kernel.outside(tunnel).ok()
}

fn index(device: &Option<Device>) -> Option<u32> {
    device.as_ref().map(|device| device.ifindex)
}

/// The mark of a tunnel's outer packets; None where there is no such interface.
fn mark_of(device: &Device) -> Option<u32> {
    wireguard::outside(device.ifindex).ok().map(|outside| outside.mark)
}

/// None where the kernel does not say.
fn has_rule(kernel: &Kernel, rule: &Rule) -> Option<bool> {
    kernel.rules(rule.family).ok().map(|rules| rules.contains(rule))
}

/// What is to be deleted is gone, or what is to be added is there: a step that was recorded and never made. An
/// interface that is gone is not in the way either.
fn is_so_by_refusal(step: &Step, refusal: &KernelError) -> bool {
    const GONE: [i32; 4] = [libc::ENOENT, libc::ESRCH, libc::ENODEV, libc::EADDRNOTAVAIL];
    match step {
        Step::DeleteRule(_) | Step::DeleteRoute(_) | Step::DeleteAddress(_) | Step::DeleteVrf(..) => {
            GONE.contains(&refusal.errno)
        }
        Step::DeleteNeighbour(_) | Step::DeleteNexthop(_) => GONE.contains(&refusal.errno),
        Step::DeleteAltname(..) => GONE.contains(&refusal.errno),
        Step::AddAltname(..) => refusal.errno == libc::EEXIST,
        Step::AddNexthop(_) => refusal.errno == libc::EEXIST,
        Step::SetDown(_) | Step::Release(..) | Step::SetFwmark { .. } | Step::SetOutside { .. } => {
            refusal.errno == libc::ENODEV
        }
        Step::AddRoute(_) | Step::AddAddress(_) | Step::AddVrf(..) => refusal.errno == libc::EEXIST,
        _ => false,
    }
}

/// Neither as the change left it nor as it was before.
fn is_foreign_by_now(kernel: &Kernel, step: &Step) -> bool {
    match step {
        Step::WriteFile { path, from, .. } => fs::read_to_string(path).ok() != *from,
        Step::SetUser { uid, from, .. } => users::is_in(*uid, from.as_ref()) == Some(false),
        Step::SetFwmark { device, from, .. } => mark_of(device).is_some_and(|mark| mark != *from),
        Step::SetOutside { device, from, .. } => {
            outside_of(kernel, device).is_some_and(|outside| outside != index(from))
        }
        _ => false,
    }
}

/// Removes what a killed run has left: of a write, a file; of the first user, programs. The directory of a unit's drop-ins goes
/// with the last of them.
fn tidy(step: &Step) {
    let (path, to) = match step {
        Step::WriteFile { path, to, .. } => (path, to),
        Step::SetUser { .. } => return users::tidy(),
        _ => return,
    };
    files::remove_unfinished(path);
    let directory = path.parent().filter(|directory| *directory != Path::new(unit_files::DIRECTORY));
    if to.is_none() && is_unit_file(step) {
        // Stays if somebody else has a drop-in there.
        let _ = directory.map(fs::remove_dir);
    }
}

fn is_unit_file(step: &Step) -> bool {
    matches!(step, Step::WriteFile { path, .. } if path.starts_with(unit_files::DIRECTORY))
}

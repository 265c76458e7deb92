//! `vrfsetup unit`: puts systemd's services and sockets into a VRF by drop-ins, without touching what they start.

mod known;
mod pin;
mod verify;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::errno::Errno;

use crate::error::Error;
use crate::model::step::Step;
use crate::plan::system::System;
use crate::plan::unit_files::{self as files, File};
use crate::sys::{run_dir, systemd};
use crate::transaction::report::Outcome;
use crate::transaction::session::Session;

pub use pin::pin;
pub use verify::{verify_bound, verify_bound_to};

/// The files that would put these units into the VRF.
///
/// # Errors
/// There is no such VRF, or this systemd cannot do it.
pub fn plan(session: &Session, vrf: &str, units: &[String]) -> Result<Vec<File>, Error> {
    System::read(session.kernel)?.existing_vrf(vrf)?;
    if !run_dir::first_netns().map_err(Error::unreadable("the network namespace of the machine"))? {
        return Err(Error::Usage("systemd's services are not in this network namespace".to_owned()));
    }
    let version = version_of_systemd()?;
    let program = std::env::current_exe().map_err(|error| Error::file(Path::new("/proc/self/exe"), &error))?;
    let mut all: Vec<File> = Vec::new();
    for unit in units {
        let unit = &known::name(unit)?;
        for file in files::files(version, vrf, unit, &program.to_string_lossy(), starts_early(unit)?)? {
            if !all.contains(&file) {
                all.push(file);
            }
        }
    }
    if !systemd::Hierarchy::read().binds_services() && all.iter().any(|file| files::is_of_a_service(&file.text)) {
        return Err(Error::CgroupV1);
    }
    all.retain(|file| read(&file.path).as_ref() != Some(&file.text));
    let is_foreign = |file: &&File| read(&file.path).is_some_and(|text| !text.starts_with(files::MARK));
    match all.iter().find(is_foreign) {
        Some(file) => Err(Error::ForeignFile(file.path.clone())),
        None => Ok(all),
    }
}

/// Writes the files and tells systemd.
///
/// # Errors
/// One cannot be written; then none is.
pub fn make(session: &Session, files: Vec<File>) -> Result<Outcome, Error> {
    let step = |File { path, text }| Step::WriteFile { from: read(&path), path, to: Some(text) };
    carry_out(session, files.into_iter().map(step).collect(), "takes effect when the units are restarted")
}

/// Takes the units' drop-ins for this VRF away, and the loaders when nothing needs them any more.
///
/// # Errors
/// One cannot be removed; then none is.
pub fn remove(session: &Session, vrf: &str, units: &[String]) -> Result<Outcome, Error> {
    let mut steps = Vec::new();
    // A unit that is gone may have left its drop-in.
    let name = |unit: &String| known::name(unit).or_else(|_| files::full_name(unit));
    for unit in units {
        let path = files::drop_in_path(&name(unit)?);
        let is_for_it = read(&path).is_some_and(|text| files::vrf_of_drop_in(&text) == Some(vrf));
        steps.extend(removal(&path).filter(|_| is_for_it));
    }
    let paths: Vec<_> = steps.iter().filter_map(written).collect();
    if drop_ins().all(|(path, _)| paths.contains(&path.as_path())) {
        steps.extend([false, true].into_iter().filter_map(|is_early| removal(&files::loader_path(is_early))));
    }
    let outcome = carry_out(session, steps, "takes effect when the units are restarted");
    for unit in units {
        let directory = files::drop_in_path(&name(unit)?);
        // Stays if somebody else has a drop-in there.
        let _ = directory.parent().map(fs::remove_dir);
    }
    outcome
}

fn written(step: &Step) -> Option<&Path> {
    match step {
        Step::WriteFile { path, .. } => Some(path),
        _ => None,
    }
}

fn removal(path: &Path) -> Option<Step> {
    let from = read(path).filter(|text| text.starts_with(files::MARK))?;
    Some(Step::WriteFile { path: path.to_owned(), from: Some(from), to: None })
}

/// The units that are in this VRF by a drop-in of our making.
pub fn units_of(vrf: &str) -> Vec<String> {
    let own = drop_ins().filter(|(_, of)| of == vrf && run_dir::is_first_netns());
    let name = |(path, _): (PathBuf, String)| Some(path.parent()?.file_stem()?.to_string_lossy().into_owned());
    own.filter_map(name).collect()
}

/// All drop-ins of our making, with their VRFs.
fn drop_ins() -> impl Iterator<Item = (PathBuf, String)> {
    let units = fs::read_dir(files::DIRECTORY).into_iter().flatten().flatten();
    units.filter_map(|unit| {
        let path = unit.path().join(files::DROP_IN);
        let vrf = files::vrf_of_drop_in(&read(&path)?)?.to_owned();
        Some((path, vrf))
    })
}

fn read(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok()
}

fn carry_out(session: &Session, steps: Vec<Step>, note: &str) -> Result<Outcome, Error> {
    let mut transaction = session.begin()?;
    let is_idle = steps.is_empty();
    transaction.make_all(steps)?;
    if !is_idle {
        // What systemd has not read takes no effect at a restart either.
        systemd::reload().map_err(|why| transaction.abandon(Error::NotReloaded(why)))?;
        transaction.note(note);
    }
    let outcome = transaction.commit()?;
    let vrfs: Vec<String> = drop_ins().map(|(_, vrf)| vrf).collect();
    pin::forget_all_but(&vrfs);
    Ok(outcome)
}

/// Whether the unit may start before sysinit.target. One that systemd does not know has the usual dependencies.
fn starts_early(unit: &str) -> Result<bool, Error> {
    let unit = files::full_name(unit)?;
    let mut command = Command::new("systemctl");
    let asked = command.args(["show", "--property=DefaultDependencies", "--value", "--", &unit]).stdin(Stdio::null());
    let answer = asked.output().map_err(|error| Error::unreadable("the unit's dependencies")(error))?;
    Ok(answer.stdout.trim_ascii() == b"no")
}

fn version_of_systemd() -> Result<u32, Error> {
    let output = Command::new("systemctl").arg("--version").stdin(Stdio::null()).output();
    let output = output.map_err(|error| Error::unreadable("systemd's version")(error))?;
    let version = files::version(&String::from_utf8_lossy(&output.stdout));
    version.ok_or_else(|| Error::unreadable("systemd's version")(Errno::EPROTO))
}

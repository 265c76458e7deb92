//! What single verbs do between the command line and the result, and how each kind of result ends.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use crate::change::apply;
use crate::change::rules;
use crate::change::unit;
use crate::change::user;
use crate::change::zones;
use crate::cli::args::{Add, Change, Cli, Rules, ZonesChange};
use crate::cli::messages::tell;
use crate::cli::output::{json, print, print_all};
use crate::error::{DIFFERS, Error, LeftOut};
use crate::inspect::export;
use crate::inspect::processes::{self, Process};
use crate::inspect::zones as zones_shown;
use crate::moving;
use crate::plan::emulate as emulate_plan;
use crate::plan::inventory::Inventory;
use crate::plan::vrf::VrfSpec;
use crate::sys::netlink::Kernel;
use crate::sys::systemd::Hierarchy;
use crate::transaction::held::Held;
use crate::transaction::report::Outcome;
use crate::transaction::session::Session;

/// What was left out goes to stderr, and so into the journal.
pub(super) fn apply_each(cli: &Cli, made: apply::Each) -> Result<ExitCode, Error> {
    made.missing.iter().for_each(tell);
    made.errors.iter().map(LeftOut).for_each(tell);
    changed(cli, made.outcome)?;
    match (made.errors.is_empty(), made.missing.is_empty()) {
        (false, _) => Ok(ExitCode::FAILURE),
        (true, false) => Ok(ExitCode::from(DIFFERS)),
        (true, true) => Ok(ExitCode::SUCCESS),
    }
}

pub(super) fn move_processes(
    cli: &Cli,
    kernel: &Kernel,
    request: &moving::Request,
    session: &Session,
) -> Result<ExitCode, Error> {
    let report = moving::move_all(kernel, request, || session.held.as_ref().and_then(Held::arrived))?;
    let printed = if cli.json { print(json(cli, &report.verdicts)) } else { print(&report) };
    report.stopped.iter().for_each(|why| tell(format_args!("{why}; run it again for the rest")));
    request.note().iter().for_each(tell);
    printed?;
    Ok(if report.has_failed() { ExitCode::FAILURE } else { differs(report.differs()) })
}

/// systemd silently skips a service where its condition ends with 1 to 254.
pub(super) fn verify_bound(name: &str, uid: Option<u32>) -> Result<(), Error> {
    let why = |error| if Hierarchy::read().binds_services() { error } else { Error::CgroupV1 };
    uid.map_or_else(|| unit::verify_bound(name).map_err(why), |uid| user::verify_as(uid, name))
}

/// What a trial came to.
pub(super) fn told(outcome: Result<(), Error>) -> ExitCode {
    let Err(error) = outcome else { return ExitCode::SUCCESS };
    tell(error);
    ExitCode::from(255)
}

pub(super) fn run_rules<'a>(
    cli: &Cli,
    kernel: &Kernel,
    command: &Rules,
    session: impl Fn(&Change) -> Result<Session<'a>, Error>,
) -> Result<ExitCode, Error> {
    match command {
        Rules::Check { policy } => {
            let findings = rules::check(&Inventory::read(kernel)?, policy.wanted());
            print_all(cli, &findings)?;
            Ok(differs(findings.iter().any(|finding| finding.differs)))
        }
        Rules::Fix { policy, change } => changed(cli, rules::fix(&session(change)?, policy.wanted())?),
        Rules::Undo { change } => changed(cli, rules::undo(&session(change)?)?),
    }
}

pub(super) fn switch_zones<'a>(
    cli: &Cli,
    is_on: bool,
    how: &ZonesChange,
    session: impl Fn(&Change) -> Result<Session<'a>, Error>,
    preview: impl Fn(&Change) -> Session<'a>,
) -> Result<ExitCode, Error> {
    if !how.dry_run {
        let session = session(&how.change)?;
        return changed(cli, zones::make(&session, zones::plan(&session, is_on)?)?);
    }
    let outcome = zones::plan(&preview(&how.change), is_on)?.preview();
    let exit = differs(outcome.changed);
    changed(cli, outcome.into_preview())?;
    Ok(exit)
}

pub(super) fn show_zones(cli: &Cli, kernel: &Kernel) -> Result<ExitCode, Error> {
    let shown = zones_shown::show(kernel)?;
    if shown.is_none() && !cli.json {
        print("zones are off\n")?;
    }
    done(print_all(cli, &shown.unwrap_or_default()))
}

/// One file is printed as it is; several are told apart by their paths.
pub(super) fn write_files(cli: &Cli, files: &[export::File], directory: Option<&Path>) -> Result<ExitCode, Error> {
    for file in files {
        match directory {
            Some(directory) => {
                let path = directory.join(file.path.file_name().unwrap_or_default());
                fs::write(&path, &file.text).map_err(|source| Error::file(&path, &source))?;
            }
            None if cli.json => {}
            None if files.len() > 1 => print(format!("# {}\n{}\n", file.path.display(), file.text))?,
            None => print(&file.text)?,
        }
    }
    if cli.json {
        print(json(cli, files))?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn pids(cli: &Cli, kernel: &Kernel, name: &str) -> Result<ExitCode, Error> {
    let inventory = Inventory::read(kernel)?;
    if emulate_plan::named(&inventory, name).is_none() {
        inventory.system.existing_vrf(name)?;
    }
    let processes: Vec<Process> = processes::in_vrfs().into_iter().filter(|process| process.vrf == name).collect();
    done(print_all(cli, &processes))
}

/// One line, empty outside any VRF, as `ip vrf identify` has it.
pub(super) fn identify(cli: &Cli, pid: u32) -> Result<ExitCode, Error> {
    let found = processes::identify(pid).map_err(|_| Error::NoSuchProcess(pid))?;
    done(match cli.json {
        true => print(json(cli, &Vec::from_iter(found))),
        false => print(found.map_or_else(String::new, |process| process.vrf) + "\n"),
    })
}

pub(super) fn done(outcome: Result<(), Error>) -> Result<ExitCode, Error> {
    outcome.map(|()| ExitCode::SUCCESS)
}

pub(super) fn differs(yes: bool) -> ExitCode {
    if yes { ExitCode::from(DIFFERS) } else { ExitCode::SUCCESS }
}

pub(super) fn spec(add: &Add) -> VrfSpec<'_> {
    VrfSpec { name: &add.name, table: add.table, has_loopback: !add.no_loopback, unreachable: add.unreachable }
}

pub(super) fn changed(cli: &Cli, outcome: Outcome) -> Result<ExitCode, Error> {
    done(if cli.json { print(json(cli, &outcome)) } else { print(outcome) })
}

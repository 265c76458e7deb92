//! From the command line to the exit code. stdout carries results only; messages go to stderr.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::change::add;
use crate::change::apply::{self, Scope};
use crate::change::attach;
use crate::change::del;
use crate::change::emulate;
use crate::change::leak;
use crate::change::oci_hook;
use crate::change::rollback;
use crate::change::rules;
use crate::change::session;
use crate::change::tunnel;
use crate::change::unit;
use crate::change::user;
use crate::change::zones;
use crate::cli::args::{Add, Change, Cli, Command, Rules, Zones, ZonesChange};
use crate::cli::messages::{fail, log, say, tell};
use crate::cli::output::{json, print, print_all};
use crate::cli::{netns, runc, watch};
use crate::demo;
use crate::error::{DIFFERS, Error};
use crate::inspect::doctor;
use crate::inspect::export;
use crate::inspect::metrics;
use crate::inspect::processes::{self, Process};
use crate::inspect::show;
use crate::inspect::tunnels;
use crate::inspect::users;
use crate::inspect::zones as zones_shown;
use crate::moving;
use crate::plan::emulate as emulate_plan;
use crate::plan::inventory::Inventory;
use crate::plan::system;
use crate::plan::vrf::VrfSpec;
use crate::sys::netlink::Kernel;
use crate::transaction::confirm;
use crate::transaction::held::Held;
use crate::transaction::report::Outcome;
use crate::transaction::session::Session;

/// The command line, for the tests that compare the manual with it.
pub fn definition() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

/// The program.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    if let Some(code) = runc::run(&arguments) {
        return code;
    }
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(mistake) if mistake.use_stderr() => {
            mistake.to_string().lines().for_each(say);
            return ExitCode::from(mistake.exit_code() as u8);
        }
        Err(help) => return print(help).map_or_else(|error| fail(&error), |()| ExitCode::SUCCESS),
    };
    run(&cli).unwrap_or_else(|error| {
        let status = fail(&error);
        log(&cli.command, &error);
        status
    })
}

fn run(cli: &Cli) -> Result<ExitCode, Error> {
    if let Some(name) = &cli.netns {
        netns::enter(name)?;
    }
    let kernel = Kernel::open().map_err(Error::unreadable("the routing netlink socket"))?;
    let preview = |change: &Change| Session {
        kernel: &kernel,
        is_forced: change.force,
        forces_rules: change.force_rules,
        confirm: change.confirm.map(Duration::from_secs),
        netns: cli.netns.as_deref(),
        progress: change.progress,
        is_boot: false,
        held: None,
    };
    let session = |change: &Change| {
        let mut session = preview(change);
        session.hold()?.iter().for_each(tell);
        Ok::<_, Error>(session)
    };
    match &cli.command {
        Command::Add(add) => {
            let (session, sysctls) = (session(&add.change)?, add.sysctls.wanted());
            if add.emulate {
                return changed(cli, emulate::add(&session, &spec(add), &add.ports)?);
            }
            changed(cli, add::add(&session, &spec(add), &add.ports, &sysctls)?)
        }
        Command::Del { name, change } => changed(cli, del::del(&session(change)?, name)?),
        Command::Attach { name, ports, change } => changed(cli, attach::attach(&session(change)?, name, ports)?),
        Command::Detach { ports, change } => changed(cli, attach::detach(&session(change)?, ports)?),
        Command::Rules { command } => run_rules(cli, &kernel, command, session),
        Command::Zones { command: Zones::Show } => show_zones(cli, &kernel),
        Command::Zones { command: Zones::On(how) } => switch_zones(cli, true, how, session, preview),
        Command::Zones { command: Zones::Off(how) } => switch_zones(cli, false, how, session, preview),
        Command::Apply { file, dry_run, prune, each, boot, no_ports, port, change } => {
            let change = Change { force: change.force || *boot, ..*change };
            let mut session = if *dry_run { preview(&change) } else { session(&change)? };
            session.is_boot = *boot;
            let scope = Scope { is_without_ports: *no_ports, port: port.as_deref() };
            if *each || *boot {
                return apply_each(cli, apply::apply_each(&session, file, &scope)?);
            }
            let plan = apply::plan(&session, file, &scope, *prune)?;
            if *dry_run {
                let outcome = plan.preview();
                let exit = differs(outcome.changed);
                changed(cli, outcome.into_preview())?;
                return Ok(exit);
            }
            changed(cli, apply::make(&session, plan)?)
        }
        Command::Export { format, directory } => {
            let files = export::export(&Inventory::read(&kernel)?, *format)?;
            write_files(cli, &files, directory.as_deref())
        }
        Command::Leak { a, b, prefixes, remove, change } => {
            changed(cli, leak::leak(&session(change)?, [a, b], prefixes, *remove)?)
        }
        Command::Confirm => {
            let (told, outcome) = rollback::confirm(&kernel)?;
            told.iter().for_each(tell);
            changed(cli, outcome)
        }
        Command::Rollback { force } => {
            changed(cli, rollback::rollback(&preview(&Change { force: *force, ..Change::default() }))?)
        }
        Command::Show { name, sockets } => done(print_all(cli, &show::show(&kernel, name.as_deref(), *sockets)?)),
        Command::Watch { initial } => done(watch::run(cli, &kernel, *initial)),
        Command::Doctor => {
            let findings = doctor::examine(&kernel)?;
            print_all(cli, &findings)?;
            if findings.is_empty() && !cli.json {
                print("nothing to fix\n")?;
            }
            Ok(differs(!findings.is_empty()))
        }
        Command::Metrics => {
            print_all(cli, &metrics::read(&kernel)?)?;
            if !cli.json {
                print("# EOF\n")?; // OpenMetrics wants to see that nothing is missing
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Pids { name } => pids(cli, &kernel, name),
        Command::Identify { pid } => identify(cli, pid.unwrap_or_else(std::process::id)),
        Command::Unit { name, services, dry_run, remove, change } => {
            let session = if *dry_run { preview(change) } else { session(change)? };
            if *remove {
                return changed(cli, unit::remove(&session, name, services)?);
            }
            let files = unit::plan(&session, name, services)?;
            if *dry_run {
                match cli.json {
                    true => print(json(cli, &files))?,
                    false => files.iter().try_for_each(|f| print(format!("# {}\n{}\n", f.path.display(), f.text)))?,
                }
                return Ok(differs(!files.is_empty()));
            }
            changed(cli, unit::make(&session, files)?)
        }
        Command::Session { name } => done(session::open(&kernel, name, cli.netns.is_some())),
        Command::OciHook => done(oci_hook::bind(&kernel, io::stdin())),
        Command::Move { name, pids, unit, dry_run, close_connections } => {
            moving::can_move()?;
            let request =
                moving::Request { to: name, pids, unit: unit.as_deref(), is_dry: *dry_run, closes: *close_connections };
            let session = if *dry_run { preview(&Change::default()) } else { session(&Change::default())? };
            move_processes(cli, &kernel, &request, &session)
        }
        Command::User { user: Some(user), remove: true, change, .. } => {
            changed(cli, user::remove(&session(change)?, user)?)
        }
        Command::User { user: Some(user), name: Some(vrf), change, .. } => {
            changed(cli, user::set(&session(change)?, user, vrf)?)
        }
        Command::User { refresh: true, change, .. } => changed(cli, user::refresh(&session(change)?)?),
        Command::User { user: Some(user), .. } => Err(Error::Usage(format!("say which VRF '{user}' is to be in"))),
        Command::User { .. } => done(print_all(cli, &users::all()?)),
        Command::Tunnel { name: None, .. } => done(print_all(cli, &tunnels::all(&Inventory::read(&kernel)?)?)),
        Command::Tunnel { name: Some(name), vrf: None, remove: false, .. } => {
            Err(Error::Usage(format!("say which VRF the outside of '{name}' is to be in: --in VRF")))
        }
        Command::Tunnel { name: Some(name), vrf, dry_run, change, .. } => {
            let session = if *dry_run { preview(change) } else { session(change)? };
            let plan = tunnel::plan(&session, name, vrf.as_deref().filter(|vrf| *vrf != "default"))?;
            if !*dry_run {
                return changed(cli, tunnel::make(&session, plan)?);
            }
            let outcome = plan.preview()?;
            let exit = differs(outcome.changed);
            changed(cli, outcome.into_preview())?;
            Ok(exit)
        }
        Command::Demo { pause } => {
            demo::can_be_told(&kernel)?;
            demo::tell(*pause)
        }
        Command::DemoPeer { name } => {
            demo::serve(name).map_err(Error::unreadable("the demonstration"))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::VerifyBound { name, uid } => Ok(verify_bound(name, *uid)),
        Command::Pin { name } => done(unit::pin(&system::link(&kernel, name)?)),
        Command::DetachRollback { journal, seconds } => {
            confirm::detach(journal, *seconds).map_err(|source| Error::NoWayBack { source })?;
            Ok(ExitCode::SUCCESS)
        }
        Command::RollBack { journal, seconds } => done(confirm::wait_and_roll_back(&kernel, journal, *seconds)),
    }
}

/// What was left out goes to stderr, and so into the journal.
fn apply_each(cli: &Cli, made: apply::Each) -> Result<ExitCode, Error> {
    made.missing.iter().for_each(tell);
    made.errors.iter().for_each(|error| tell(format_args!("left out: {error}")));
    changed(cli, made.outcome)?;
    match (made.errors.is_empty(), made.missing.is_empty()) {
        (false, _) => Ok(ExitCode::FAILURE),
        (true, false) => Ok(ExitCode::from(DIFFERS)),
        (true, true) => Ok(ExitCode::SUCCESS),
    }
}

fn move_processes(cli: &Cli, kernel: &Kernel, request: &moving::Request, session: &Session) -> Result<ExitCode, Error> {
    let report = moving::move_all(kernel, request, || session.held.as_ref().and_then(Held::arrived))?;
    let printed = if cli.json { print(json(cli, &report.verdicts)) } else { print(&report) };
    report.stopped.iter().for_each(|why| tell(format_args!("{why}; run it again for the rest")));
    request.note().iter().for_each(tell);
    printed?;
    Ok(if report.has_failed() { ExitCode::FAILURE } else { differs(report.differs()) })
}

/// systemd silently skips a service where its condition ends with 1 to 254.
fn verify_bound(name: &str, uid: Option<u32>) -> ExitCode {
    let outcome = uid.map_or_else(|| unit::verify_bound(name), |uid| user::verify_as(uid, name));
    let Err(error) = outcome else { return ExitCode::SUCCESS };
    tell(error);
    ExitCode::from(255)
}

fn run_rules<'a>(
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

fn switch_zones<'a>(
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

fn show_zones(cli: &Cli, kernel: &Kernel) -> Result<ExitCode, Error> {
    let shown = zones_shown::show(kernel)?;
    if shown.is_none() && !cli.json {
        print("zones are off\n")?;
    }
    done(print_all(cli, &shown.unwrap_or_default()))
}

/// One file is printed as it is; several are told apart by their paths.
fn write_files(cli: &Cli, files: &[export::File], directory: Option<&Path>) -> Result<ExitCode, Error> {
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

fn pids(cli: &Cli, kernel: &Kernel, name: &str) -> Result<ExitCode, Error> {
    let inventory = Inventory::read(kernel)?;
    if emulate_plan::named(&inventory, name).is_none() {
        inventory.system.existing_vrf(name)?;
    }
    let processes: Vec<Process> = processes::in_vrfs().into_iter().filter(|process| process.vrf == name).collect();
    done(print_all(cli, &processes))
}

/// One line, empty outside any VRF, as `ip vrf identify` has it.
fn identify(cli: &Cli, pid: u32) -> Result<ExitCode, Error> {
    let found = processes::identify(pid).map_err(|_| Error::NoSuchProcess(pid))?;
    done(match cli.json {
        true => print(json(cli, &Vec::from_iter(found))),
        false => print(found.map_or_else(String::new, |process| process.vrf) + "\n"),
    })
}

fn done(outcome: Result<(), Error>) -> Result<ExitCode, Error> {
    outcome.map(|()| ExitCode::SUCCESS)
}

fn differs(yes: bool) -> ExitCode {
    if yes { ExitCode::from(DIFFERS) } else { ExitCode::SUCCESS }
}

fn spec(add: &Add) -> VrfSpec<'_> {
    VrfSpec { name: &add.name, table: add.table, has_loopback: !add.no_loopback, unreachable: add.unreachable }
}

fn changed(cli: &Cli, outcome: Outcome) -> Result<ExitCode, Error> {
    done(if cli.json { print(json(cli, &outcome)) } else { print(outcome) })
}

//! From the command line to the exit code. stdout carries results only; messages go to stderr.

use std::ffi::OsString;
use std::io;
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
use crate::change::session;
use crate::change::tunnel;
use crate::change::unit;
use crate::change::user;
use crate::cli::args::{Change, Cli, Command, Zones};
use crate::cli::messages::{fail, log, say, tell};
use crate::cli::output::{json, print, print_all};
use crate::cli::verbs::{
    apply_each, changed, differs, done, identify, move_processes, pids, run_rules, show_zones, spec, switch_zones,
    told, verify_bound, write_files,
};
use crate::cli::{netns, runc, watch};
use crate::demo;
use crate::error::Error;
use crate::inspect::doctor;
use crate::inspect::export;
use crate::inspect::metrics;
use crate::inspect::show;
use crate::inspect::tunnels;
use crate::inspect::users;
use crate::model::place::Place;
use crate::moving;
use crate::plan::inventory::Inventory;
use crate::plan::system;
use crate::sys::netlink::Kernel;
use crate::transaction::confirm;
use crate::transaction::session::Session;
use crate::transaction::sockets::Sockets;

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
        sockets: Sockets::default(),
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
        Command::Session { name, .. } => done(session::open(&kernel, name.as_deref(), cli.netns.is_some())),
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
        Command::User { user: Some(user), name: Some(vrf), allow_default, etc, change, .. } => {
            let place = Place { vrf: vrf.clone(), may_leave: *allow_default, has_etc: *etc };
            changed(cli, user::set(&session(change)?, user, place)?)
        }
        Command::User { refresh: true, change, .. } => changed(cli, user::refresh(&session(change)?)?),
        Command::User { user: Some(user), .. } => Err(Error::Usage(format!("say which VRF '{user}' is to be in"))),
        Command::User { .. } => done(print_all(cli, &users::all(&kernel)?)),
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
            let outcome = plan.preview();
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
        Command::VerifyBound { name, uid } => Ok(told(verify_bound(name, *uid))),
        Command::VerifyEtc { name } => Ok(told(session::names::try_here(name))),
        Command::Pin { name } => done(unit::pin(&system::link(&kernel, name)?)),
        Command::DetachRollback { journal, seconds } => {
            confirm::detach(journal, *seconds).map_err(|source| Error::NoWayBack { source })?;
            Ok(ExitCode::SUCCESS)
        }
        Command::RollBack { journal, seconds } => done(confirm::wait_and_roll_back(&kernel, journal, *seconds)),
    }
}

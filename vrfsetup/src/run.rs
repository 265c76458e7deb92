//! From the command line to the exit code. stdout carries results only; messages go to stderr.

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use serde::Serialize;

use crate::add::{self, Wish};
use crate::cli::{Add, Cli, Command, Rules};
use crate::del;
use crate::error::Error;
use crate::kernel::{Kernel, Refusal};
use crate::netns;
use crate::outcome::Outcome;
use crate::rules;
use crate::show;

/// `check`, `doctor` and `--dry-run` found differences.
const DIFFERS: u8 = 3;

/// The program.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(error.exit_code() as u8);
        }
    };
    match run(&cli) {
        Ok(code) => code,
        Err(error) => {
            let mut stderr = io::stderr().lock();
            let _ = writeln!(stderr, "vrfsetup: {error}");
            if let Some(hint) = error.hint() {
                let _ = writeln!(stderr, "hint: {hint}");
            }
            error.exit_code()
        }
    }
}

fn run(cli: &Cli) -> Result<ExitCode, Error> {
    if let Some(name) = &cli.netns {
        netns::enter(name)?;
    }
    let kernel = Kernel::open().map_err(|source| Error::Unreadable {
        what: "the routing netlink socket".to_owned(),
        refusal: Refusal::from_errno(source.raw_os_error().unwrap_or(libc::EIO)),
    })?;
    match &cli.command {
        Command::Add(add) => changed(cli, add::add(&kernel, &wish(add))?),
        Command::Del { name, change } => changed(cli, del::del(&kernel, name, change.force)?),
        Command::Rules { command: Rules::Check { unreachable } } => {
            let findings = rules::check(&kernel, *unreachable)?;
            let differs = findings.iter().any(|finding| finding.differs);
            print_all(cli, &findings);
            Ok(if differs { ExitCode::from(DIFFERS) } else { ExitCode::SUCCESS })
        }
        Command::Rules { command: Rules::Fix { unreachable, change } } => {
            changed(cli, rules::fix(&kernel, *unreachable, change.force)?)
        }
        Command::Rules { command: Rules::Undo { .. } } => changed(cli, rules::undo(&kernel)?),
        Command::Show { name } => {
            print_all(cli, &show::show(&kernel, name.as_deref())?);
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn wish(add: &Add) -> Wish<'_> {
    Wish {
        name: &add.name,
        table: add.table,
        ports: &add.ports,
        has_loopback: !add.no_loopback,
        unreachable: add.unreachable,
        is_forced: add.change.force,
    }
}

fn changed(cli: &Cli, outcome: Outcome) -> Result<ExitCode, Error> {
    if is_json(cli) {
        print(json(cli, &outcome));
    } else {
        print(outcome);
    }
    Ok(ExitCode::SUCCESS)
}

fn print_all<T: Serialize + Display>(cli: &Cli, results: &[T]) {
    if is_json(cli) {
        print(json(cli, results));
    } else {
        results.iter().for_each(print);
    }
}

fn is_json(cli: &Cli) -> bool {
    cli.json
}

fn json<T: Serialize + ?Sized>(cli: &Cli, value: &T) -> String {
    let text = if cli.pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
    text.map_or_else(|_| String::new(), |text| text + "\n")
}

/// A closed pipe is the reader's business and never ours.
fn print(result: impl Display) {
    let _ = write!(io::stdout().lock(), "{result}");
}

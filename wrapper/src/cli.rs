//! The command line as it is typed, and its translation into `options`.
//!
//! May use `options` and `error`. Refuses what contradicts itself; looks at nothing but argv, and prints only the
//! help and the version.
#![forbid(unsafe_code)]

mod help;
pub mod oci_agent;
mod quick;
mod values;

use std::ffi::OsString;
use std::io::Write;
use std::mem;
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use crate::cli::help::{AFTER_HELP, USAGE};
use crate::cli::oci_agent::OCI_AGENT;
use crate::cli::values::{MechanismArg, TraceArg};
use crate::error::Error;
use crate::options::{Command, DEFAULT, Each, EtcSpec, Mechanism, Options, Task, TraceFormat};

/// In the place of VRF: in all of them. Behind `--` it is a VRF's name.
const EACH: &str = "each";

/// As the first word: how `vrfsetup session --etc` calls us.
const LOGIN_ETC: &str = "__login-etc";

/// In so many VRFs at a time `each` runs its command: three descriptors each, of 1024 that a process usually has.
const JOBS: usize = 32;

/// Run a program inside a VRF: without root, without BPF, without leaks.
#[derive(Parser, Debug, Default)]
#[command(name = "vrfrun", version, override_usage = USAGE, after_help = AFTER_HELP, max_term_width = 100)]
struct Cli {
    /// How to bind: the first that can be proved, or this one
    #[arg(short, long, value_name = "MECHANISM", default_value = "auto")]
    mechanism: MechanismArg,

    /// Run nothing; say for each mechanism whether it can be had, and which would be chosen
    #[arg(long)]
    explain: bool,

    /// The same as the word 'each' in the place of VRF: run COMMAND in every VRF at the same time
    #[arg(long, conflicts_with_all = ["explain", "interface"])]
    each: bool,

    /// With each: only where the VRF's name matches, see glob(7)
    #[arg(long = "match", value_name = "GLOB")]
    pattern: Option<OsString>,

    /// With each: in so many VRFs at a time (32)
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroU16>,

    /// With --explain and each: as JSON
    #[arg(short, long)]
    json: bool,

    /// Say on stderr what was chosen: mechanism, device, guard
    #[arg(short, long)]
    verbose: bool,

    /// Say on stderr, one line each, which inet sockets and connections the program asks for
    #[arg(
        long, value_name = "FORMAT", num_args = 0..=1, require_equals = true, default_missing_value = "text",
        conflicts_with_all = ["explain", "no_supervisor", "unguarded"]
    )]
    trace: Option<TraceArg>,

    /// VRF may be the name of any interface
    #[arg(long)]
    interface: bool,

    /// Enter this network namespace first (see ip-netns(8))
    #[arg(short, long, value_name = "NETNS")]
    netns: Option<OsString>,

    /// Become this user after binding (root only)
    #[arg(short, long, value_name = "USER[:GROUP]")]
    user: Option<OsString>,

    /// Put a copy of this file over /etc/resolv.conf, for the program only
    #[arg(long, value_name = "FILE")]
    resolv_conf: Option<PathBuf>,

    /// Let the program resolve names by this server; may be given several times
    #[arg(long, value_name = "ADDR", conflicts_with = "resolv_conf")]
    dns: Vec<IpAddr>,

    /// Leave /etc as it is: put neither /etc/vrf/VRF/* nor the name servers of its ports over it
    #[arg(long, conflicts_with_all = ["resolv_conf", "dns"])]
    no_etc: bool,

    /// Let the program inherit sockets as they are, outside the VRF too
    #[arg(long)]
    keep_fds: bool,

    /// Deny the program's own ways out as well, and refuse a VRF that is not sealed and inherited sockets (bpf only)
    #[arg(long, conflicts_with = "keep_fds")]
    strict: bool,

    /// With preload: deny what the shim did not make, instead of supervising it
    #[arg(long)]
    no_supervisor: bool,

    /// With preload: no filter at all; static and set-uid programs leak
    #[arg(long, conflicts_with_all = ["no_supervisor", "strict"])]
    unguarded: bool,

    /// The VRF, and the program with its arguments
    #[arg(value_name = "VRF COMMAND", trailing_var_arg = true)]
    argv: Vec<OsString>,
}

/// What the command line itself asked to have printed.
#[derive(Debug)]
pub enum Answer {
    /// Help or version, for stdout.
    Text(String),
    /// It makes no sense.
    Refused(Error),
}

impl Answer {
    /// Prints it; returns the exit status.
    pub fn print(&self) -> i32 {
        match self {
            Answer::Text(text) => match std::io::stdout().write_all(text.as_bytes()) {
                Ok(()) => 0,
                Err(error) => Error::unwritten(&error).report(),
            },
            Answer::Refused(error) => error.report(),
        }
    }
}

/// Reads the command line.
pub fn parse(args: impl Iterator<Item = OsString>) -> Result<Options, Answer> {
    let mut args: Vec<OsString> = args.collect();
    match &args[..] {
        [_, word, vrf] if word == LOGIN_ETC => {
            return Ok(Options { vrf: vrf.clone(), ..Options::only(Task::LoginEtc) });
        }
        _ => {}
    }
    let mut cli = read(&args)?;
    match verb(&args, &cli.argv) {
        Some((1, OCI_AGENT)) => return oci_agent::parse(&args[1..]).map_err(|error| answer(&error)),
        Some((_, OCI_AGENT)) => return Err(usage("the options of 'oci-agent' go after it")),
        Some((word, _)) => {
            args[word] = "--each".into();
            cli = read(&args)?;
        }
        None => {}
    }
    if cli.each && !is_after_dashes(&args, &cli.argv) {
        return Err(usage("'each' needs '--' before COMMAND; a VRF of that name: vrfrun -- each COMMAND"));
    }
    cli.into_options()
}

fn read(args: &[OsString]) -> Result<Cli, Answer> {
    quick::read(args).map_or_else(|| read_by_clap(args), Ok)
}

/// Out of line: its frame is some pages, which the other way does not need.
#[inline(never)]
fn read_by_clap(args: &[OsString]) -> Result<Cli, Answer> {
    Cli::try_parse_from(args).map_err(|error| answer(&error))
}

fn answer(error: &clap::Error) -> Answer {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Answer::Text(error.to_string()),
        _ => usage(&first_line(error)),
    }
}

/// The word in the place of VRF that is none, and where it stands among all.
fn verb(all: &[OsString], last: &[OsString]) -> Option<(usize, &'static str)> {
    let verb = [EACH, OCI_AGENT].into_iter().find(|verb| last.first().is_some_and(|word| word == verb))?;
    (!is_after_dashes(all, last)).then(|| (all.len() - last.len(), verb))
}

/// Whether these last arguments have a `--` before them; the parser does not say.
fn is_after_dashes(all: &[OsString], last: &[OsString]) -> bool {
    last.is_empty() || all.len().checked_sub(last.len() + 1).is_some_and(|before| all[before] == "--")
}

impl Cli {
    fn into_options(mut self) -> Result<Options, Answer> {
        let mechanism = self.mechanism()?;
        let vrf = if self.each { OsString::new() } else { self.vrf()? };
        if self.strict && !self.interface && vrf == DEFAULT {
            return Err(usage("--strict needs a VRF, and 'default' is none"));
        }
        let task = if self.each { Task::Each(self.every_vrf()?) } else { self.task()? };
        Ok(Options {
            vrf,
            any_interface: self.interface,
            mechanism,
            no_supervisor: self.no_supervisor,
            unguarded: self.unguarded,
            strict: self.strict,
            verbose: self.verbose,
            trace: self.trace.map(TraceFormat::from),
            netns: self.netns,
            user: self.user,
            etc: EtcSpec { nothing: self.no_etc, resolv_conf: self.resolv_conf, dns: self.dns },
            keep_fds: self.keep_fds,
            task,
        })
    }

    fn vrf(&mut self) -> Result<OsString, Answer> {
        if self.argv.is_empty() {
            return Err(usage("VRF is missing"));
        }
        Ok(self.argv.remove(0))
    }

    fn every_vrf(&mut self) -> Result<Each, Answer> {
        let command = Command::new(mem::take(&mut self.argv)).ok_or_else(|| usage("COMMAND is missing"))?;
        let jobs = self.jobs.map_or(JOBS, |jobs| jobs.get().into());
        Ok(Each { pattern: self.pattern.take(), jobs, json: self.json, command })
    }

    fn task(&mut self) -> Result<Task, Answer> {
        if self.pattern.is_some() || self.jobs.is_some() {
            return Err(usage("--match and --jobs need 'each'"));
        }
        task(self.explain, self.json, mem::take(&mut self.argv))
    }

    fn mechanism(&self) -> Result<Option<Mechanism>, Answer> {
        match self.mechanism {
            MechanismArg::Auto if self.unguarded => Ok(Some(Mechanism::Preload)),
            MechanismArg::Auto if self.strict => Ok(Some(Mechanism::Bpf)),
            MechanismArg::Auto => Ok(None),
            MechanismArg::Preload | MechanismArg::Seccomp if self.strict => Err(usage("--strict needs mechanism bpf")),
            MechanismArg::Bpf if self.unguarded => Err(usage("--unguarded is for mechanism preload")),
            MechanismArg::Seccomp if self.unguarded => Err(usage("--unguarded is for mechanism preload")),
            MechanismArg::Seccomp if self.no_supervisor => Err(usage("mechanism seccomp is the supervisor")),
            MechanismArg::Bpf => Ok(Some(Mechanism::Bpf)),
            MechanismArg::Preload => Ok(Some(Mechanism::Preload)),
            MechanismArg::Seccomp => Ok(Some(Mechanism::Seccomp)),
        }
    }
}

fn task(explain: bool, json: bool, mut argv: Vec<OsString>) -> Result<Task, Answer> {
    if explain {
        return if argv.is_empty() { Ok(Task::Explain { json }) } else { Err(usage("--explain takes no COMMAND")) };
    }
    if json {
        return Err(usage("--json needs --explain or 'each'"));
    }
    let first = argv.first().map(|word| word.as_encoded_bytes());
    if first == Some(b"--") {
        argv.remove(0);
    } else if first.is_some_and(|word| word.starts_with(b"-")) {
        // A typo in an option must never be run as a command.
        return Err(usage(&format!(
            "'{}' stands after VRF: options go before it, and a COMMAND that begins with '-' needs '--'",
            crate::error::text(&argv[0])
        )));
    }
    Command::new(argv).map(Task::Run).ok_or_else(|| usage("COMMAND is missing"))
}

fn usage(line: &str) -> Answer {
    Answer::Refused(Error::Usage(line.into()))
}

/// Clap's message is several lines with its own `error:` before it; ours is one.
fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

/// The definition itself, for the test that compares it with the pages and completions.
pub fn definition() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests;

//! The command line as it is typed, and its translation into `options`.
//!
//! May use `options` and `error`. Refuses what contradicts itself; looks at nothing but argv, and prints only the
//! help and the version.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::io::Write;
use std::net::IpAddr;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, ValueEnum};

use crate::error::{EXIT_OWN, Error};
use crate::options::{Command, DEFAULT, EtcSpec, Mechanism, Options, Task};

const USAGE: &str = "vrfrun [OPTIONS] VRF [--] COMMAND [ARG]...\n       vrfrun [OPTIONS] --explain [-j] VRF";

const AFTER_HELP: &str = "\
Options go before VRF. A COMMAND that begins with '-' needs '--' before it.
VRF 'default' means: no VRF.

Exit status: 125 vrfrun failed and ran nothing, 126 COMMAND cannot be run, 127 COMMAND was not found; otherwise
COMMAND's own.

Examples:
  vrfrun blue curl https://example.com
  vrfrun --explain blue
  vrfrun -v -m preload blue ssh router1";

/// Run a program inside a VRF: without root, without BPF, without leaks.
#[derive(Parser, Debug)]
#[command(name = "vrfrun", version, override_usage = USAGE, after_help = AFTER_HELP, max_term_width = 100)]
struct Cli {
    /// How to bind: the first that can be proved, or this one
    #[arg(short, long, value_name = "MECHANISM", default_value = "auto")]
    mechanism: MechanismArg,

    /// Run nothing; say for each mechanism whether it can be had, and which would be chosen
    #[arg(long)]
    explain: bool,

    /// With --explain: as JSON
    #[arg(short, long)]
    json: bool,

    /// Say on stderr what was chosen: mechanism, device, guard
    #[arg(short, long)]
    verbose: bool,

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
    #[arg(value_name = "VRF COMMAND", required = true, trailing_var_arg = true)]
    argv: Vec<OsString>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum MechanismArg {
    /// bpf where it can be had, else preload, else seccomp
    Auto,
    /// A cgroup and a BPF program: root, covers everything
    Bpf,
    /// The shim in each process, a seccomp filter behind it: anyone from Linux 5.7
    Preload,
    /// A seccomp supervisor alone: anyone from Linux 5.9
    Seccomp,
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
                Err(_) => EXIT_OWN,
            },
            Answer::Refused(error) => error.report(),
        }
    }
}

/// Reads the command line.
pub fn parse(args: impl Iterator<Item = OsString>) -> Result<Options, Answer> {
    let cli = Cli::try_parse_from(args).map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Answer::Text(error.to_string()),
        _ => usage(&first_line(&error)),
    })?;
    cli.into_options()
}

impl Cli {
    fn into_options(self) -> Result<Options, Answer> {
        let mechanism = self.mechanism()?;
        let mut argv = self.argv.into_iter();
        let vrf = argv.next().unwrap_or_default();
        if self.strict && !self.interface && vrf == DEFAULT {
            return Err(usage("--strict needs a VRF, and 'default' is none"));
        }
        let task = task(self.explain, self.json, argv.collect())?;
        Ok(Options {
            vrf,
            any_interface: self.interface,
            mechanism,
            no_supervisor: self.no_supervisor,
            unguarded: self.unguarded,
            strict: self.strict,
            verbose: self.verbose,
            netns: self.netns,
            user: self.user,
            etc: EtcSpec { nothing: self.no_etc, resolv_conf: self.resolv_conf, dns: self.dns },
            keep_fds: self.keep_fds,
            task,
        })
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
        return Err(usage("--json needs --explain"));
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
    if error.kind() == ErrorKind::MissingRequiredArgument {
        return "VRF is missing".into();
    }
    let text = error.to_string();
    text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

/// The definition itself, for the test that compares it with the pages and completions.
pub fn definition() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(line: &str) -> Result<Options, String> {
        let words = std::iter::once("vrfrun").chain(line.split_whitespace()).map(OsString::from);
        parse(words).map_err(|answer| match answer {
            Answer::Text(text) => text,
            Answer::Refused(error) => error.to_string(),
        })
    }

    fn command(line: &str) -> Vec<OsString> {
        match parse_words(line).unwrap().task {
            Task::Run(command) => command.argv().to_vec(),
            Task::Explain { .. } => panic!("explain"),
        }
    }

    #[test]
    fn what_follows_the_command_is_its_own() {
        assert_eq!(command("blue curl -v -m 3 -- x"), ["curl", "-v", "-m", "3", "--", "x"]);
    }

    #[test]
    fn a_double_dash_before_the_command_is_dropped_once() {
        assert_eq!(command("blue -- -odd --"), ["-odd", "--"]);
    }

    #[test]
    fn a_double_dash_before_vrf_is_not_taken_for_it() {
        assert_eq!(parse_words("-- blue true").unwrap().vrf, "blue");
    }

    #[test]
    fn an_option_after_vrf_is_never_run() {
        assert!(parse_words("blue -v curl").unwrap_err().starts_with("'-v' stands after VRF"));
        assert!(parse_words("blue --strict curl").unwrap_err().contains("needs '--'"));
    }

    #[test]
    fn a_missing_command_is_said() {
        assert_eq!(parse_words("blue").unwrap_err(), "COMMAND is missing");
        assert_eq!(parse_words("blue --").unwrap_err(), "COMMAND is missing");
        for words in ["", "--explain", "-v --explain -j"] {
            assert_eq!(parse_words(words).unwrap_err(), "VRF is missing", "{words}");
        }
    }

    #[test]
    fn explain_takes_no_command() {
        assert!(matches!(parse_words("--explain -j blue").unwrap().task, Task::Explain { json: true }));
        assert_eq!(parse_words("--explain blue true").unwrap_err(), "--explain takes no COMMAND");
        assert_eq!(parse_words("-j blue true").unwrap_err(), "--json needs --explain");
        assert_eq!(parse_words("--json blue").unwrap_err(), "--json needs --explain");
    }

    #[test]
    fn mechanisms_that_contradict_an_option_are_refused() {
        assert!(parse_words("-m seccomp --no-supervisor blue true").is_err());
        assert!(parse_words("-m preload --strict blue true").is_err());
        assert!(parse_words("-m bpf --unguarded blue true").is_err());
        assert_eq!(parse_words("--unguarded blue true").unwrap().mechanism, Some(Mechanism::Preload));
    }

    #[test]
    fn strict_takes_neither_default_nor_inherited_sockets() {
        assert_eq!(parse_words("--strict default true").unwrap_err(), "--strict needs a VRF, and 'default' is none");
        assert!(parse_words("--strict --explain default").is_err());
        assert!(parse_words("--strict --interface default true").is_ok());
        assert!(parse_words("--strict --keep-fds blue true").unwrap_err().contains("--keep-fds"));
    }

    #[test]
    fn an_unknown_option_is_named_in_one_line() {
        let line = parse_words("--frob blue true").unwrap_err();
        assert_eq!(line, "unexpected argument '--frob' found");
    }

    #[test]
    fn clap_finds_no_fault_in_the_definition() {
        definition().debug_assert();
    }
}

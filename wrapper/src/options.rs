//! What the user asked for, once the command line has been understood: plain values.
//!
//! Uses no other room, reads nothing and checks nothing: that was done by `cli`.
#![forbid(unsafe_code)]

use std::ffi::{OsStr, OsString};
use std::fmt::{self, Display, Formatter};
use std::net::IpAddr;
use std::path::PathBuf;

/// The word that means no VRF.
pub const DEFAULT: &str = "default";

/// The whole request.
#[derive(Clone, Debug)]
pub struct Options {
    /// The VRF or interface; `default` means none. Empty where the task is every VRF.
    pub vrf: OsString,
    /// NAME may be any interface.
    pub any_interface: bool,
    /// One mechanism; None lets vrfrun choose.
    pub mechanism: Option<Mechanism>,
    /// Preload with the gate alone.
    pub no_supervisor: bool,
    /// Preload without any filter.
    pub unguarded: bool,
    /// Refuse what could get out.
    pub strict: bool,
    /// Say what was chosen.
    pub verbose: bool,
    /// Say what sockets are asked for.
    pub trace: Option<TraceFormat>,
    /// The named network namespace to enter first.
    pub netns: Option<OsString>,
    /// `USER[:GROUP]` to become after binding.
    pub user: Option<OsString>,
    /// What to put over /etc.
    pub etc: EtcSpec,
    /// Leave inherited sockets alone.
    pub keep_fds: bool,
    /// Run or explain.
    pub task: Task,
}

impl Options {
    /// The same for this VRF of the network namespace that was entered.
    pub fn in_vrf(&self, vrf: &OsStr) -> Self {
        // A VRF can be called by the word for none, and then is meant all the same.
        Self { vrf: vrf.to_owned(), any_interface: vrf == DEFAULT, netns: None, ..self.clone() }
    }

    /// A task without any option of those above.
    pub fn only(task: Task) -> Self {
        Self {
            vrf: OsString::new(),
            any_interface: false,
            mechanism: None,
            no_supervisor: false,
            unguarded: false,
            strict: false,
            verbose: false,
            trace: None,
            netns: None,
            user: None,
            etc: EtcSpec::default(),
            keep_fds: false,
            task,
        }
    }

    /// Whether VRF is the word for "no VRF".
    pub fn is_default(&self) -> bool {
        !self.any_interface && self.vrf == DEFAULT
    }
}

/// What to put over /etc.
#[derive(Clone, Debug, Default)]
pub struct EtcSpec {
    /// Nothing at all.
    pub nothing: bool,
    /// This file as /etc/resolv.conf.
    pub resolv_conf: Option<PathBuf>,
    /// A resolv.conf with these servers.
    pub dns: Vec<IpAddr>,
}

/// How a trace is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceFormat {
    /// A line for people.
    Text,
    /// A JSON object in a line.
    Json,
}

/// How sockets get into the VRF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// A BPF program on a cgroup of our own.
    Bpf,
    /// The shim in each process, a filter behind it.
    Preload,
    /// The supervisor alone.
    Seccomp,
}

impl Mechanism {
    /// All of them, in the order in which `auto` tries them.
    pub const ALL: [Mechanism; 3] = [Mechanism::Bpf, Mechanism::Preload, Mechanism::Seccomp];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Mechanism::Bpf => "bpf",
            Mechanism::Preload => "preload",
            Mechanism::Seccomp => "seccomp",
        }
    }
}

impl Display for Mechanism {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What to do with the VRF.
#[derive(Clone, Debug)]
pub enum Task {
    /// Say for each mechanism whether it can be had.
    Explain { json: bool },
    /// Become this program.
    Run(Command),
    /// Run a program in every VRF.
    Each(Each),
    /// Bind the sockets of containers.
    OciAgent(OciAgent),
    /// Put the VRF's files over /etc of a login, for `vrfsetup session`.
    LoginEtc,
}

/// What is wanted of the agent.
#[derive(Clone, Debug)]
pub enum OciAgent {
    /// That it listens, here or at its usual place.
    Serve { socket: Option<PathBuf> },
    /// Its seccomp profile, made of this one or of podman's, for an agent that listens there.
    Profile { base: Option<PathBuf>, socket: Option<PathBuf> },
}

/// What to run in every VRF.
#[derive(Clone, Debug)]
pub struct Each {
    /// Only in those whose name it matches.
    pub pattern: Option<OsString>,
    /// In so many at a time; not 0.
    pub jobs: usize,
    /// One JSON object for each, instead of its lines.
    pub json: bool,
    /// The program.
    pub command: Command,
}

/// A program and its arguments; never empty.
#[derive(Clone, Debug)]
pub struct Command(Vec<OsString>);

impl Command {
    /// None if there is no program in it.
    pub fn new(argv: Vec<OsString>) -> Option<Self> {
        (!argv.is_empty()).then_some(Self(argv))
    }

    /// The program as it was typed: argv\[0\].
    pub fn program(&self) -> &OsStr {
        &self.0[0]
    }

    /// The program as it was typed, and its arguments.
    pub fn argv(&self) -> &[OsString] {
        &self.0
    }
}

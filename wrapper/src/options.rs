//! What the user asked for, once the command line has been understood.

use std::ffi::{OsStr, OsString};

use crate::bind::Mechanism;
use crate::etc::overlay::Wish;

/// The whole request.
#[derive(Debug)]
pub struct Options {
    /// The VRF or interface; `default` means none.
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
    /// The named network namespace to enter first.
    pub netns: Option<OsString>,
    /// USER[:GROUP] to become after binding.
    pub user: Option<OsString>,
    /// What to put over /etc.
    pub etc: Wish,
    /// Leave inherited sockets alone.
    pub keep_fds: bool,
    /// Run or explain.
    pub task: Task,
}

impl Options {
    /// Whether VRF is the word for "no VRF".
    pub fn is_default(&self) -> bool {
        !self.any_interface && self.vrf == "default"
    }
}

/// What to do with the VRF.
#[derive(Debug)]
pub enum Task {
    /// Say for each mechanism whether it can be had.
    Explain {
        /// As JSON.
        json: bool,
    },
    /// Become this program.
    Run(Command),
}

/// A program and its arguments; never empty.
#[derive(Debug)]
pub struct Command(Vec<OsString>);

impl Command {
    /// None if there is no program in it.
    pub fn new(words: Vec<OsString>) -> Option<Self> {
        (!words.is_empty()).then_some(Self(words))
    }

    /// The program as it was typed: argv\[0\].
    pub fn program(&self) -> &OsStr {
        &self.0[0]
    }

    /// All words, the program first.
    pub fn words(&self) -> &[OsString] {
        &self.0
    }
}

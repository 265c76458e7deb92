//! What comes between while vrfsetup makes a change: a system call of it is refused, or it is killed or ended at one.

use std::process::{Command, Output};

use crate::harness::vm::plan::DIRECTORY;

/// The messages before only ask what is there; what they meet is in vrfsetup's own tests.
pub const FIRST: usize = 6;
/// More than any verb here sends.
pub const MANY: usize = 150;
/// A changing verb that has nothing to do.
pub const IDLE: &str = "del nosuch";

/// What comes between at a system call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Refusal,
    Kill,
    /// Each of those that end a command, in its turn.
    Signal,
}

impl Fault {
    /// For strace.
    pub fn injected(self, error: &str, turn: usize) -> String {
        match self {
            Self::Refusal => format!("error={error}"),
            Self::Kill => "signal=SIGKILL".to_owned(),
            Self::Signal => format!("signal={}", ["SIGINT", "SIGTERM", "SIGHUP"][turn % 3]),
        }
    }
}

/// Runs vrfsetup with a fault at one of its system calls.
pub fn faulty(inject: &str, words: &str) -> Output {
    let mut strace = Command::new("strace");
    strace.args(["-qq", "-o", "/dev/null", "-e", &format!("inject={inject}")]);
    if !inject.contains(":signal=") {
        // By a filter (which wants -f) it stops at this call only, which is quicker; a signal cannot be sent from there.
        let call = inject.split(':').next().unwrap_or_default();
        strace.args(["-f", "--seccomp-bpf", "-e", &format!("trace={call}")]);
    }
    strace.arg(format!("{DIRECTORY}/vrfsetup"));
    strace.args(words.split(' ')).output().expect("strace")
}

/// All that it said.
pub fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

/// The next run, which undoes what one that was killed has left.
pub fn vrfsetup_idle() -> Output {
    let output = Command::new(format!("{DIRECTORY}/vrfsetup")).args(IDLE.split(' ')).output().expect("vrfsetup");
    assert!(output.status.success(), "{}", text(&output));
    output
}

//! The signals that end vrfrun and its children: held back, and read from a descriptor; each child gets its own back.

use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::sys::process::{is_ignored, set_ignored};

/// What is passed on to the children, unless vrfrun was started to ignore it.
const PASSED_ON: [Signal; 4] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM];

/// Signals that are held back.
pub struct Signals {
    arrived: SignalFd,
    /// What was held back when vrfrun was started.
    before: SigSet,
    /// Whether the end of children was ignored then.
    ignores_children: bool,
}

impl Signals {
    /// Holds them back.
    pub fn hold() -> nix::Result<Self> {
        let passed_on: SigSet = PASSED_ON.into_iter().filter(|signal| !is_ignored(*signal)).collect();
        let arrived = SignalFd::with_flags(&passed_on, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        let mut held = passed_on;
        // A reader who has gone must not end vrfrun before its children.
        held.add(Signal::SIGPIPE);
        let mut before = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&held), Some(&mut before))?;
        let ignores_children = is_ignored(Signal::SIGCHLD);
        if ignores_children {
            // The kernel would not tell their exit status.
            set_ignored(Signal::SIGCHLD, false);
        }
        Ok(Self { arrived, before, ignores_children })
    }

    /// In a child: all as vrfrun found it.
    pub fn restore(&self) -> nix::Result<()> {
        if self.ignores_children {
            set_ignored(Signal::SIGCHLD, true);
        }
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.before), None)
    }

    /// The next one that has come.
    pub fn next(&self) -> Option<Signal> {
        let arrived = self.arrived.read_signal().ok()??;
        Signal::try_from(arrived.ssi_signo as i32).ok()
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.arrived.as_fd()
    }
}

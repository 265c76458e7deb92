//! SIGINT, SIGTERM and SIGHUP, held back so that a change is either complete or undone when they take effect.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

const HELD: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// Holds them back from this thread while it lives, and from programs that are started meanwhile.
pub struct Signals {
    arrived: SignalFd,
    before: SigSet,
}

impl Signals {
    /// Begins. What the caller had ignored (nohup(1), a background job of sh(1)) stays ignored.
    ///
    /// # Errors
    /// Those of signalfd(2).
    pub fn hold() -> io::Result<Self> {
        let ignored = ignored()?;
        let held: SigSet = HELD.into_iter().filter(|signal| ignored & bit(*signal) == 0).collect();
        let arrived = SignalFd::with_flags(&held, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        Ok(Self { arrived, before: held.thread_swap_mask(SigmaskHow::SIG_BLOCK)? })
    }

    /// The name of one that has arrived since; each is told once.
    pub fn arrived(&self) -> Option<&'static str> {
        let info = self.arrived.read_signal().ok().flatten()?;
        Signal::try_from(info.ssi_signo as i32).ok().map(Signal::as_str)
    }
}

/// Takes them again, in a program that was started by one that held them back.
///
/// # Errors
/// Those of pthread_sigmask(3).
pub fn take() -> io::Result<()> {
    Ok(HELD.into_iter().collect::<SigSet>().thread_unblock()?)
}

impl AsFd for Signals {
    /// Readable when one has arrived.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.arrived.as_fd()
    }
}

impl Drop for Signals {
    /// What has arrived after the last look is too late: the change is complete.
    fn drop(&mut self) {
        while self.arrived().is_some() {}
        let _ = self.before.thread_set_mask();
    }
}

/// A blocked signal arrives even where it is ignored, so these must not be blocked.
fn ignored() -> io::Result<u64> {
    let status = fs::read_to_string("/proc/thread-self/status")?;
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).ok_or(io::ErrorKind::InvalidData.into())
}

fn bit(signal: Signal) -> u64 {
    1 << (signal as u64 - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::raise;

    #[test]
    fn a_held_signal_is_told_once_and_does_not_end_the_process() {
        let signals = Signals::hold().unwrap();
        assert_eq!(signals.arrived(), None);
        raise(Signal::SIGTERM).unwrap();
        assert_eq!(signals.arrived(), Some("SIGTERM"));
        assert_eq!(signals.arrived(), None);
        raise(Signal::SIGHUP).unwrap();
        drop(signals);
    }

    #[test]
    fn what_is_held_ends_with_the_value() {
        let before = SigSet::thread_get_mask().unwrap();
        let signals = Signals::hold().unwrap();
        assert!(SigSet::thread_get_mask().unwrap().contains(Signal::SIGHUP));
        drop(signals);
        assert_eq!(SigSet::thread_get_mask().unwrap(), before);
    }
}

//! What a changing run holds from before it looks at the kernel until its end: the lock of its network namespace, and
//! the signals that would end it halfway.

use crate::error::Error;
use crate::sys::netlink::Kernel;
use crate::sys::signals::Signals;
use crate::transaction::lock::{self, Lock};
use crate::transaction::{recover, sweep};

/// The lock and the signals; released when the value goes.
pub struct Held {
    _lock: Lock,
    signals: Signals,
}

impl Held {
    /// Waits for other runs to end, and undoes what an earlier one left unfinished: what there is to say about that.
    ///
    /// # Errors
    /// /run/vrfsetup cannot be used, or a signal came first.
    pub fn take(kernel: &Kernel) -> Result<(Self, Option<String>), Error> {
        let signals = Signals::hold().map_err(Error::unreadable("signals"))?;
        let mut signal = None;
        let lock = lock::lock(|| {
            signal = signals.arrived();
            signal.is_some()
        });
        let Some(lock) = lock.map_err(|source| Error::NoLock { source })? else {
            return Err(Error::Interrupted(signal.unwrap_or_default()));
        };
        if lock.is_new {
            sweep::sweep();
        }
        let told = recover::unfinished(kernel)?;
        Ok((Self { _lock: lock, signals }, told))
    }

    /// The name of a signal that has come since; each is told once.
    pub fn arrived(&self) -> Option<&'static str> {
        self.signals.arrived()
    }

    /// Refuses to go on when a signal has come.
    ///
    /// # Errors
    /// One has.
    pub fn go_on(&self) -> Result<(), Error> {
        self.arrived().map_or(Ok(()), |signal| Err(Error::Interrupted(signal)))
    }
}

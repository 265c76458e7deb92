//! One changing run at a time.

use std::fs::File;
use std::io;

use nix::fcntl::{Flock, FlockArg};

use crate::sys::run_dir;

/// Holds off every other changing run while it lives.
pub struct Lock(#[allow(dead_code)] Flock<File>);

/// Waits for other runs to end. The directory itself is what is locked, so that no file stays behind.
///
/// # Errors
/// The directory cannot be made: a read-only /run, or not root.
pub fn lock() -> io::Result<Lock> {
    Flock::lock(run_dir::open()?, FlockArg::LockExclusive).map(Lock).map_err(|(_, errno)| errno.into())
}

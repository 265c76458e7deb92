//! `vrfsetup watch`: each change is printed when it is told.

use std::io::{self, Write};

use super::args::Cli;
use super::output::json;
use crate::error::Error;
use crate::inspect::watch;
use crate::sys::netlink::Kernel;

/// Prints until a signal comes or nobody reads any more.
///
/// # Errors
/// The kernel will not say, or standard output cannot be written.
pub fn run(cli: &Cli, kernel: &Kernel, is_initial: bool) -> Result<(), Error> {
    watch::watch(kernel, is_initial, &io::stdout(), |event| {
        let line = if cli.json { json(cli, event) } else { format!("{event}\n") };
        let mut out = io::stdout().lock();
        out.write_all(line.as_bytes())?;
        out.flush()
    })
}

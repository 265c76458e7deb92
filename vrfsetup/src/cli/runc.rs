//! The other program that this file is: `vrfrun-runc`, by whose name a link leads here.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use super::messages::say;
use crate::change::oci_runtime::{self, NAME};

/// Becomes runc, if it was called so. Its status where that failed is runc's own.
pub fn run(arguments: &[OsString]) -> Option<ExitCode> {
    let (called, rest) = arguments.split_first()?;
    Path::new(called).file_name().filter(|name| *name == NAME)?;
    let error = oci_runtime::run(rest);
    say(format_args!("{NAME}: {error}"));
    Some(ExitCode::FAILURE)
}

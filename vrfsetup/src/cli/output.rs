//! How a result is written to standard output: text, or JSON where that is asked for.

use std::fmt::Display;
use std::io::{self, Write};

use serde::Serialize;

use super::args::Cli;
use crate::error::Error;

/// Each by itself, or all as one list.
///
/// # Errors
/// As [`print()`].
pub fn print_all<T: Serialize + Display>(cli: &Cli, results: &[T]) -> Result<(), Error> {
    if cli.json { print(json(cli, results)) } else { results.iter().try_for_each(print) }
}

/// As JSON, with an end of line.
pub fn json<T: Serialize + ?Sized>(cli: &Cli, value: &T) -> String {
    let text = if cli.pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
    text.map_or_else(|_| String::new(), |text| text + "\n")
}

/// Writes it. A closed pipe is the reader's business and never ours.
///
/// # Errors
/// It cannot be written, or not all of it.
pub fn print(result: impl Display) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    // Standard output writes each line by itself, and there may be thousands.
    let written = out.write_all(result.to_string().as_bytes()).and_then(|()| out.flush());
    match written {
        Err(source) if source.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::file("standard output".as_ref(), &source))
        }
        _ => Ok(()),
    }
}

//! How a result is written to standard output: text, or JSON where that is asked for.

use std::fmt::Display;
use std::io::{self, Write};

use serde::Serialize;

use super::args::Cli;

/// Each by itself, or all as one list.
pub fn print_all<T: Serialize + Display>(cli: &Cli, results: &[T]) {
    if cli.json {
        print(json(cli, results));
    } else {
        results.iter().for_each(print);
    }
}

/// As JSON, with an end of line.
pub fn json<T: Serialize + ?Sized>(cli: &Cli, value: &T) -> String {
    let text = if cli.pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
    text.map_or_else(|_| String::new(), |text| text + "\n")
}

/// A closed pipe is the reader's business and never ours.
pub fn print(result: impl Display) {
    // Standard output writes each line by itself, and there may be thousands.
    let _ = io::stdout().lock().write_all(result.to_string().as_bytes());
}

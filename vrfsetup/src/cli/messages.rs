//! What is said on standard error, one line each, and for whom nobody reads that in the system's log.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use super::args::Command;
use crate::error::Error;
use crate::sys::syslog;

/// One line, whatever the names in it are: a terminal does not obey it. Where standard error is closed, nobody is to see it.
pub fn say(line: impl Display) {
    // One write, so that lines of several processes do not mix.
    let _ = io::stderr().lock().write_all((printable(line) + "\n").as_bytes());
}

/// What comes before the outcome, on standard error: the outcome may be an error, or JSON.
pub fn tell(line: impl Display) {
    say(format_args!("vrfsetup: {line}"));
}

/// Says why it failed; the exit status.
pub fn fail(error: &Error) -> ExitCode {
    tell(error);
    if let Some(hint) = error.hint() {
        say(format_args!("hint: {hint}"));
    }
    error.exit_code()
}

/// What is run by PAM or by a container's runtime says it in the system's log, too, and there last.
pub fn log(command: &Command, error: &Error) {
    match command {
        Command::Session { .. } => syslog::login_error(&printable(error)),
        Command::OciHook => syslog::daemon_error(&printable(error)),
        _ => {}
    }
}

fn printable(line: impl Display) -> String {
    line.to_string().chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

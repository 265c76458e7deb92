//! A line on the terminal for what takes over a second, or whenever it is asked for. It is wiped away in the end.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(100);
const WIDTH: usize = 30;

/// When progress is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum When {
    /// On a terminal, when it takes over a second.
    #[default]
    Auto,
    /// From the first step, wherever standard error leads.
    Always,
    /// Never.
    Never,
}

/// How far something is.
pub struct Progress {
    steps: usize,
    next: Instant,
    is_shown: bool,
}

impl Progress {
    /// None where nobody would see it.
    pub fn of(steps: usize, when: When) -> Option<Self> {
        let patience = patience(when, io::stderr().is_terminal())?;
        Some(Self { steps, next: Instant::now() + patience, is_shown: false })
    }

    /// Says how many steps are made, if it is time to.
    pub fn show(&mut self, made: usize) {
        let now = Instant::now();
        if now >= self.next {
            self.next = now + PAUSE;
            self.is_shown = true;
            let _ = write!(io::stderr(), "\r{}", line(made, self.steps));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

/// How long it waits before it shows anything; none: it never does.
fn patience(when: When, is_terminal: bool) -> Option<Duration> {
    match when {
        When::Auto => is_terminal.then_some(PATIENCE),
        When::Always => Some(Duration::ZERO),
        When::Never => None,
    }
}

fn line(made: usize, steps: usize) -> String {
    let filled = (made * WIDTH).checked_div(steps).unwrap_or(WIDTH).min(WIDTH);
    format!("[{:<WIDTH$}] {made} of {steps} steps", "#".repeat(filled))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_shown_on_a_terminal_or_when_it_is_asked_for() {
        assert_eq!([true, false].map(|terminal| patience(When::Auto, terminal)), [Some(PATIENCE), None]);
        for terminal in [true, false] {
            assert_eq!(patience(When::Always, terminal), Some(Duration::ZERO));
            assert_eq!(patience(When::Never, terminal), None);
        }
    }

    #[test]
    fn the_bar_fills_as_steps_are_made() {
        assert_eq!(line(0, 10), "[                              ] 0 of 10 steps");
        assert_eq!(line(5, 10), "[###############               ] 5 of 10 steps");
        assert_eq!(line(10, 10), "[##############################] 10 of 10 steps");
        assert_eq!(line(12, 10).len(), line(10, 10).len(), "a plan may have grown");
    }
}

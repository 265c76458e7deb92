//! A line on the terminal for what takes over a second. It is wiped away in the end; where standard error is no
//! terminal, there is none.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(100);
const WIDTH: usize = 30;

/// How far something is.
pub struct Progress {
    steps: usize,
    next: Instant,
    is_shown: bool,
}

impl Progress {
    /// None where nobody would see it.
    pub fn of(steps: usize) -> Option<Self> {
        let begun = || Self { steps, next: Instant::now() + PATIENCE, is_shown: false };
        io::stderr().is_terminal().then(begun)
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

fn line(made: usize, steps: usize) -> String {
    let filled = (made * WIDTH).checked_div(steps).unwrap_or(WIDTH).min(WIDTH);
    format!("[{:<WIDTH$}] {made} of {steps} steps", "#".repeat(filled))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_fills_as_steps_are_made() {
        assert_eq!(line(0, 10), "[                              ] 0 of 10 steps");
        assert_eq!(line(5, 10), "[###############               ] 5 of 10 steps");
        assert_eq!(line(10, 10), "[##############################] 10 of 10 steps");
        assert_eq!(line(12, 10).len(), line(10, 10).len(), "a plan may have grown");
    }
}

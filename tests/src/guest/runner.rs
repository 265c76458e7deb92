//! Runs the tests of a guest one by one, each in a process of its own and from the same checked state.

use std::io;
use std::process::Command;

use super::{booted, clean};
use crate::harness::process::{end_all, run_test};
use crate::harness::vm::report::Event;
use crate::harness::vm::run::TEST_LIMIT;
use crate::harness::world::machine;

const LEFT: &str = "it left behind:";

/// What the runner knows between two tests.
pub struct Runner {
    has_systemd: bool,
    /// From where each test starts; none before the first.
    clean: Option<clean::State>,
}

impl Runner {
    /// Nothing is read yet.
    pub fn new(has_systemd: bool) -> Self {
        Self { has_systemd, clean: None }
    }

    /// Runs one test, whose failure it is too if it leaves anything, and puts right what it left.
    ///
    /// # Errors
    /// When the guest cannot go on.
    pub fn run(&mut self, name: &str) -> io::Result<Event> {
        // What the boot has made is what these tests are about; no other could start from it.
        if name.starts_with(booted::ABOUT_THE_BOOT) {
            return booted::run(name);
        }
        let before = match self.clean.take() {
            Some(before) => before,
            None => self.first_state()?,
        };
        let mut event = if self.has_systemd { booted::run(name)? } else { alone(name)? };
        let left = clean::settled(&before, self.has_systemd)?;
        if !left.is_empty() {
            blame(&mut event, LEFT, &left);
            clean::restore(&before, &left)?;
        }
        let still = if left.is_empty() { Vec::new() } else { clean::settled(&before, self.has_systemd)? };
        if still.is_empty() {
            self.clean = Some(before);
        } else {
            // Later tests are measured against what is there now, so that none answers for this one.
            blame(&mut event, "of which this could not be put right:", &still);
        }
        Ok(event)
    }

    fn first_state(&self) -> io::Result<clean::State> {
        if self.has_systemd {
            booted::leave_the_boot_behind()?;
        }
        machine::meet_the_first_vrf()?;
        machine::reset()?;
        clean::State::read(self.has_systemd)
    }
}

fn alone(name: &str) -> io::Result<Event> {
    let event = run_test(name, Command::new("/proc/self/exe").args(["run", name]), TEST_LIMIT)?;
    // Those that a failed test has left; a passed one has none (`guest::run`).
    end_all()?;
    Ok(event)
}

/// A test that had failed already need not answer for what it left.
fn blame(event: &mut Event, why: &str, left: &[String]) {
    let Event::Test { passed, output, .. } = event else { return };
    if *passed || output.contains(LEFT) {
        *passed = false;
        output.push_str(&format!("\n{why}\n  {}\n", left.join("\n  ")));
    }
}

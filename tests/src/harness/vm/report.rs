//! What a guest says about its tests: one JSON object a line, over the machine's second serial port.
//! Pure; both sides use it.

use serde::{Deserialize, Serialize};

/// One line of a guest's report.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The runner is up; from here on the boot has succeeded.
    Ready {
        /// The kernel's release, as uname(2) says it.
        release: String,
        /// What else there is in versions that move, e.g. `iproute2-6.1.0`.
        versions: Vec<String>,
    },
    /// One test has ended.
    Test {
        /// Its name, with its module: `curl::by_name`.
        name: String,
        /// Whether it passed.
        passed: bool,
        /// How long it took.
        milliseconds: u64,
        /// What it wrote, when it failed.
        output: String,
    },
    /// A line for the person at the terminal.
    Say {
        /// The line, without its end.
        text: String,
    },
    /// The runner has nothing more to do. A report without it is one of a machine that died.
    Done,
}

impl Event {
    /// The event as one line, with its end.
    pub fn to_line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }

    /// Reads a line; firmware and boot loader may have written others, which are none.
    pub fn from_line(line: &[u8]) -> Option<Self> {
        serde_json::from_slice(line.trim_ascii()).ok()
    }
}

/// What is wrong with a list of results, measured against the tests that had to run.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Shortfall {
    /// Tests that ran and failed.
    pub failed: Vec<String>,
    /// Tests that had to run and did not.
    pub missing: Vec<String>,
}

impl Shortfall {
    /// Compares what ran with what had to.
    pub fn of(events: &[Event], expected: &[String]) -> Self {
        let results = |wanted: bool| {
            events.iter().filter_map(move |event| match event {
                Event::Test { name, passed, .. } if *passed == wanted => Some(name.clone()),
                _ => None,
            })
        };
        let ran: Vec<String> = results(true).chain(results(false)).collect();
        Self {
            failed: results(false).collect(),
            missing: expected.iter().filter(|name| !ran.contains(name)).cloned().collect(),
        }
    }

    /// Whether all ran and passed.
    pub fn is_none(&self) -> bool {
        self.failed.is_empty() && self.missing.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(name: &str, passed: bool) -> Event {
        Event::Test { name: name.into(), passed, milliseconds: 1, output: String::new() }
    }

    #[test]
    fn an_event_survives_its_line() {
        let event = ended("curl::by_name", true);
        assert_eq!(Event::from_line(&event.to_line()), Some(event));
    }

    #[test]
    fn what_the_firmware_writes_is_no_event() {
        assert_eq!(Event::from_line(b"SeaBIOS (version 1.16)\r\n"), None);
    }

    #[test]
    fn a_test_that_did_not_run_is_missed_and_a_failed_one_named() {
        let expected = ["a", "b", "c"].map(String::from);
        let shortfall = Shortfall::of(&[ended("a", true), ended("b", false)], &expected);
        assert_eq!(shortfall.failed, ["b"]);
        assert_eq!(shortfall.missing, ["c"]);
        assert!(!shortfall.is_none());
        assert!(Shortfall::of(&[ended("a", true)], &expected[..1]).is_none());
    }
}

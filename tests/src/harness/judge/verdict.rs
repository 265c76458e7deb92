//! The judgement: from the packets alone. Pure.

use crate::harness::world::Domain;
use crate::harness::world::peers::Tally;

/// Where a command's packets went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All of them by blue, at least one.
    Blue,
    /// None at all.
    Closed,
    /// At least one by another domain.
    Leak,
}

/// What a command did.
#[derive(Debug)]
pub struct Verdict {
    /// The judgement.
    pub outcome: Outcome,
    /// Domains whose name stood alone on a line of stdout (quotes aside): whose answers came.
    pub answers: Vec<Domain>,
    /// What reached each domain's peer, in the order of [`Domain::ALL`].
    pub tallies: [Tally; 3],
    /// The exit code; `128 + signal` for one that was killed, as shells have it.
    pub code: i32,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
}

impl Verdict {
    /// Asserts that it was in blue, got blue's answer and succeeded.
    ///
    /// # Panics
    /// Otherwise, with all that is known.
    #[track_caller]
    pub fn assert_blue(&self) {
        assert_eq!((self.code, self.outcome), (0, Outcome::Blue), "{self}");
        assert_eq!(self.answers, [Domain::Blue], "{self}");
    }

    /// Asserts that it failed and no packet left anywhere.
    ///
    /// # Panics
    /// Otherwise, with all that is known.
    #[track_caller]
    pub fn assert_closed(&self) {
        assert_ne!(self.code, 0, "{self}");
        assert_eq!(self.outcome, Outcome::Closed, "{self}");
    }

    /// Asserts an exit code and words on stderr.
    ///
    /// # Panics
    /// Otherwise, with all that is known.
    #[track_caller]
    pub fn assert_says(&self, code: i32, words: &str) {
        assert_eq!(self.code, code, "{self}");
        assert!(self.error_text().contains(words), "'{words}' is not in stderr\n{self}");
    }

    /// Its standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Its standard error as text.
    pub fn error_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// How many packets left by a domain.
    pub fn packets(&self, domain: Domain) -> u64 {
        self.tallies[domain as usize].packets()
    }

    /// How many of them were of this flow (`icmp 192.0.2.80`): none of what an earlier command's connection still sends.
    pub fn packets_of(&self, domain: Domain, flow: &str) -> u64 {
        self.tallies[domain as usize].flows.get(flow).copied().unwrap_or_default()
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(formatter, "{:?}, exit code {}, answers {:?}", self.outcome, self.code, self.answers)?;
        for (domain, tally) in Domain::ALL.iter().zip(&self.tallies) {
            writeln!(formatter, "{}: {:?}, served {:?}", domain.name(), tally.flows, tally.served)?;
        }
        write!(formatter, "stdout:\n{}\nstderr:\n{}", self.text(), self.error_text())
    }
}

pub(super) fn outcome([default, blue, red]: [u64; 3]) -> Outcome {
    match (default + red, blue) {
        (0, 0) => Outcome::Closed,
        (0, _) => Outcome::Blue,
        _ => Outcome::Leak,
    }
}

/// Whose name stands alone on a line.
pub(super) fn answers(stdout: &[u8]) -> Vec<Domain> {
    let lines: Vec<&[u8]> = stdout.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).collect();
    let said = |domain: &Domain| {
        let (bare, quoted) = (domain.name(), format!("\"{}\"", domain.name()));
        lines.iter().any(|line| *line == bare.as_bytes() || *line == quoted.as_bytes())
    };
    Domain::ALL.into_iter().filter(said).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_packet_elsewhere_is_a_leak_whatever_blue_answered() {
        assert_eq!(outcome([1, 20, 0]), Outcome::Leak);
        assert_eq!(outcome([0, 20, 1]), Outcome::Leak);
        assert_eq!(outcome([0, 1, 0]), Outcome::Blue);
        assert_eq!(outcome([0, 0, 0]), Outcome::Closed);
    }

    #[test]
    fn an_answer_is_a_line_of_its_own_not_a_word_in_an_error() {
        assert_eq!(answers(b"blue\n"), [Domain::Blue]);
        assert_eq!(answers(b"\"red\"\n"), [Domain::Red]);
        assert_eq!(answers(b"cannot bind to VRF 'blue'\n"), []);
    }
}

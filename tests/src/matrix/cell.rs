//! One cell: what became of one program by one way. The guest writes it as a line of JSON.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::harness::judge::Verdict;
use crate::harness::world::peers::Tally;

/// Where a program's packets went. The order is that of quality: a lower one is worse.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Colour {
    /// At least one packet left outside the VRF.
    #[serde(rename = "LEAK")]
    Leak,
    /// None left at all.
    #[serde(rename = "closed")]
    Closed,
    /// All of them left by the VRF.
    #[serde(rename = "blue")]
    Blue,
}

impl Colour {
    /// The judgement on packets by default, blue and red.
    fn of([default, blue, red]: [u64; 3]) -> Self {
        match (default + red, blue) {
            (0, 0) => Self::Closed,
            (0, _) => Self::Blue,
            _ => Self::Leak,
        }
    }

    /// As it stands in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Leak => "LEAK",
            Self::Closed => "closed",
            Self::Blue => "blue",
        }
    }
}

/// One cell.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// The row's name.
    pub row: String,
    /// The column's name.
    pub column: String,
    /// The judgement, from the packets alone.
    pub verdict: Colour,
    /// Packets by default, blue and red.
    pub packets: [u64; 3],
    /// What left by the wrong domain: `udp 192.0.2.53 53`.
    pub escaped: Vec<String>,
    /// The program's exit code; a `blue` cell has the reference's.
    pub code: i32,
    /// Whose answers came: names of domains. Where the reference has its own domain's, a `blue` cell has blue's.
    #[serde(default)]
    pub answers: Vec<String>,
    /// The end of what it said; for reading, not for judging.
    pub said: String,
    /// How long it took, with its preparation and the wait for late packets.
    #[serde(default)]
    pub milliseconds: u64,
}

/// More than this of what a program said is not kept.
const SAID: usize = 300;

impl Cell {
    /// The cell of a judged command; `late` are packets that came after its end.
    pub fn new(row: &str, column: &str, verdict: &Verdict, late: &[[Tally; 3]]) -> Self {
        // What earlier programs' connections still send is theirs.
        let own = |tallies: &[Tally; 3]| tallies.clone().map(Tally::own);
        let all: Vec<[Tally; 3]> = std::iter::once(&verdict.tallies).chain(late).map(own).collect();
        let packets = [0, 1, 2].map(|domain| all.iter().map(|tallies| tallies[domain].packets()).sum());
        let escaped: BTreeSet<&String> =
            all.iter().flat_map(|[default, _, red]| [default, red]).flat_map(|tally| tally.flows.keys()).collect();
        Self {
            row: row.to_owned(),
            column: column.to_owned(),
            verdict: Colour::of(packets),
            packets,
            escaped: escaped.into_iter().cloned().collect(),
            code: verdict.code,
            answers: verdict.answers.iter().map(|domain| domain.name().to_owned()).collect(),
            said: end_of(&format!("{} {}", verdict.text().trim(), verdict.error_text().trim())),
            milliseconds: 0,
        }
    }
}

#[cfg(test)]
impl Cell {
    /// Row `r` in column `c`, with this verdict.
    pub(super) fn example(verdict: Colour) -> Self {
        Self {
            row: "r".into(),
            column: "c".into(),
            verdict,
            packets: [0; 3],
            escaped: Vec::new(),
            code: 0,
            answers: Vec::new(),
            said: String::new(),
            milliseconds: 0,
        }
    }
}

fn end_of(text: &str) -> String {
    let length = text.chars().count();
    text.chars().skip(length.saturating_sub(SAID)).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blue_is_better_than_closed_and_closed_than_a_leak() {
        assert!(Colour::Blue > Colour::Closed && Colour::Closed > Colour::Leak);
    }

    #[test]
    fn one_packet_elsewhere_is_a_leak_however_many_were_blue() {
        assert_eq!(Colour::of([1, 20, 0]), Colour::Leak);
        assert_eq!(Colour::of([0, 20, 1]), Colour::Leak);
        assert_eq!(Colour::of([0, 20, 0]), Colour::Blue);
        assert_eq!(Colour::of([0, 0, 0]), Colour::Closed);
    }

    #[test]
    fn the_end_of_a_long_text_is_kept_whole_in_characters() {
        let text = "ä".repeat(SAID) + "end";
        assert_eq!(end_of(&text).chars().count(), SAID);
        assert!(end_of(&text).ends_with("äend"));
    }
}

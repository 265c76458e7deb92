//! One cell: what became of one program by one way. The guest writes it as a line of JSON.

use serde::{Deserialize, Serialize};

use crate::judge::{Outcome, Verdict};

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
    /// The program's exit code; for reading, not for judging.
    pub code: i32,
    /// The end of what it said; for reading, not for judging.
    pub said: String,
}

/// More than this of what a program said is not kept.
const SAID: usize = 300;

impl Cell {
    /// The cell of a judged command.
    pub fn new(row: &str, column: &str, verdict: &Verdict) -> Self {
        let [default, _, red] = &verdict.tallies;
        Self {
            row: row.to_owned(),
            column: column.to_owned(),
            verdict: match verdict.outcome {
                Outcome::Blue => Colour::Blue,
                Outcome::Closed => Colour::Closed,
                Outcome::Leak => Colour::Leak,
            },
            packets: verdict.tallies.each_ref().map(|tally| tally.packets()),
            escaped: default.flows.keys().chain(red.flows.keys()).cloned().collect(),
            code: verdict.code,
            said: end_of(&format!("{} {}", verdict.text().trim(), verdict.error_text().trim())),
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
    fn the_end_of_a_long_text_is_kept_whole_in_characters() {
        let text = "ä".repeat(SAID) + "end";
        assert_eq!(end_of(&text).chars().count(), SAID);
        assert!(end_of(&text).ends_with("äend"));
    }
}

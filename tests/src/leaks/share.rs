//! How much of a matrix is blue. Pure.

use super::cell::{Cell, Colour};
use super::column::{Column, Purpose};
use super::expect::Expected;

/// The share of `blue` that a whole matrix must reach, in tenths of a percent.
pub const ENOUGH: u32 = 950;

/// The part of the judged cells that are blue, of those in which the program asks for something that it may
/// have, and that no document excuses; bpf's and the supervisor's columns only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// In the VRF.
    pub blue: u32,
    /// Closed.
    pub closed: u32,
}

impl Share {
    /// Counts a cell, if it is one that counts.
    pub fn count(&mut self, column: Column, expected: &Expected, cell: Option<&Cell>) {
        let counts = matches!(expected, Expected::Blue | Expected::Closed(_)) && column.purpose == Purpose::Full;
        match cell.map(|cell| cell.verdict).filter(|_| counts) {
            Some(Colour::Blue) => self.blue += 1,
            Some(_) => self.closed += 1,
            None => {}
        }
    }

    /// In whole tenths of a percent, rounded down.
    pub fn per_mille(self) -> u32 {
        (self.blue * 1000).checked_div(self.blue + self.closed).unwrap_or(0)
    }

    /// Whether enough of the whole matrix is blue.
    pub fn is_enough(self) -> bool {
        self.per_mille() >= ENOUGH
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leaks::column;

    #[test]
    fn the_share_counts_neither_gates_nor_refusals_nor_documented_leaks() {
        let (full, gate) =
            (column::named("bpf/root").expect("a column"), column::named("gate/root").expect("a column"));
        let (blue, closed) = (Cell::example(Colour::Blue), Cell::example(Colour::Closed));
        let mut share = Share::default();
        for _ in 0..19 {
            share.count(full, &Expected::Blue, Some(&blue));
        }
        share.count(full, &Expected::Closed(String::new()), Some(&closed));
        assert!(share.is_enough());
        for excused in [Expected::Refused(String::new()), Expected::Quiet(String::new()), Expected::Leak(String::new())]
        {
            share.count(full, &excused, Some(&closed));
        }
        share.count(gate, &Expected::Closed(String::new()), Some(&closed));
        assert_eq!(share, Share { blue: 19, closed: 1 });
        share.count(full, &Expected::Blue, Some(&closed));
        assert!(!share.is_enough());
    }
}

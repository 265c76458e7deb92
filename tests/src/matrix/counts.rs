//! How many cells are what. Pure.
//!
//! There is no share to reach: each cell is held to what is committed for it, and a share would hide one that is worse
//! behind one that is better.

use std::fmt::{self, Display, Formatter};

use super::cell::{Cell, Colour};
use super::expect::Expected;

/// Cells of ours, each counted once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// In the VRF.
    pub blue: u32,
    /// Closed, although the program asks for something that it may have.
    pub closed: u32,
    /// Closed, as the program asks for something that has to be refused.
    pub refused: u32,
    /// Out of the VRF, documented or not.
    pub leaks: u32,
    /// Closed, as the program sends nothing by itself.
    pub quiet: u32,
    /// Did not run.
    pub missing: u32,
}

impl Counts {
    /// Counts a cell, unless it is one that is not run.
    pub fn count(&mut self, expected: &Expected, cell: Option<&Cell>) {
        let number = match (cell.map(|cell| cell.verdict), expected) {
            (None, Expected::Absent(_)) => return,
            (None, _) => &mut self.missing,
            (Some(Colour::Blue), _) => &mut self.blue,
            (Some(Colour::Leak), _) => &mut self.leaks,
            (Some(Colour::Closed), Expected::Refused(_)) => &mut self.refused,
            (Some(Colour::Closed), Expected::Quiet(_)) => &mut self.quiet,
            (Some(Colour::Closed), _) => &mut self.closed,
        };
        *number += 1;
    }

    fn all(self) -> u32 {
        self.blue + self.closed + self.refused + self.leaks + self.quiet + self.missing
    }
}

impl Display for Counts {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { blue, closed, refused, leaks, quiet, missing } = self;
        write!(f, "{blue} blue, {closed} closed, {refused} refused, {leaks} leaks, {quiet} quiet, {missing} missing")?;
        let per_mille = (blue * 1000).checked_div(self.all()).unwrap_or(0);
        write!(f, " ({}.{} % blue of all {})", per_mille / 10, per_mille % 10, self.all())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_hidden_from_the_share() {
        let [blue, closed, leak] = [Colour::Blue, Colour::Closed, Colour::Leak].map(Cell::example);
        let why = String::new;
        let mut counts = Counts::default();
        for (expected, cell) in [
            (Expected::Blue, Some(&blue)),
            (Expected::Quiet(why()), Some(&blue)),
            (Expected::Blue, Some(&closed)),
            (Expected::Closed(why()), Some(&closed)),
            (Expected::Refused(why()), Some(&closed)),
            (Expected::Quiet(why()), Some(&closed)),
            (Expected::Leak(why(), Vec::new()), Some(&leak)),
            (Expected::Blue, Some(&leak)),
            (Expected::Blue, None),
            (Expected::Absent(why()), None),
        ] {
            counts.count(&expected, cell);
        }
        let text = "2 blue, 2 closed, 1 refused, 2 leaks, 1 quiet, 1 missing (22.2 % blue of all 9)";
        assert_eq!(counts.to_string(), text);
    }
}

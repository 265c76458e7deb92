//! A number held against another. Pure.

use super::Measures;
use Limit::{AtLeast, AtMost};
use Unit::Rate;

/// One line of the table: a number beside another, and the most that their ratio may be.
#[derive(Clone, Copy, Debug)]
pub struct Bar {
    /// What is measured.
    pub what: &'static str,
    /// Its number.
    pub ours: Term,
    /// What it is held against.
    pub against: Term,
    /// How that is called.
    pub beside: &'static str,
    /// The limit; None where the line only informs.
    pub limit: Option<Limit>,
    /// The unit that both numbers are shown in.
    pub unit: Unit,
    /// Why the limit is missed, where that is known, and the limit that holds instead: only a miss of that is a failure.
    pub known: Option<(&'static str, Limit)>,
}

/// How a number comes from the measures.
#[derive(Clone, Copy, Debug)]
pub enum Term {
    /// As it was measured.
    Of(&'static str),
    /// The first without what the second takes anyway.
    Added(&'static str, &'static str),
    /// A number that stands in the design.
    Fixed(f64),
}

/// What the ratio must be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Thousands of instructions, from virtual nanoseconds.
    Instructions,
    /// How many in a virtual second, from nanoseconds for one.
    Rate,
    /// Microseconds of real time, from nanoseconds.
    Microseconds,
    /// As it is: calls, bytes, KiB.
    Plain,
}

/// What came of a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Within the limit.
    Pass,
    /// Not.
    Miss,
    /// There is no limit.
    Informs,
}

/// A line of the table.
pub const fn bar(
    what: &'static str,
    ours: Term,
    beside: &'static str,
    against: Term,
    limit: Option<Limit>,
    unit: Unit,
) -> Bar {
    Bar { what, ours, against, beside, limit, unit, known: None }
}

impl Term {
    /// None if one of the measures is missing.
    pub fn value(self, measures: &Measures) -> Option<f64> {
        match self {
            Self::Of(name) => measures.get(name).copied(),
            Self::Added(whole, without) => Some(measures.get(whole)? - measures.get(without)?),
            Self::Fixed(value) => Some(value),
        }
    }
}

impl Bar {
    /// The same bar, whose limit is missed for a reason, by so much.
    pub const fn missed_as(self, reason: &'static str, worst: Limit) -> Self {
        Self { known: Some((reason, worst)), ..self }
    }

    /// Our number, the other and their ratio.
    pub fn values(&self, measures: &Measures) -> Option<(f64, f64, f64)> {
        let (ours, against) = (self.ours.value(measures)?, self.against.value(measures)?);
        // Nanoseconds for one are a rate upside down.
        let ratio = if self.unit == Rate { against / ours } else { ours / against };
        Some((ours, against, ratio))
    }

    /// A bar whose measure is missing is missed.
    pub fn mark(&self, measures: &Measures) -> Mark {
        let within = |limit, (.., ratio): (f64, f64, f64)| match limit {
            AtMost(most) => ratio <= most,
            AtLeast(least) => ratio >= least,
        };
        match (self.limit, self.values(measures)) {
            (None, _) => Mark::Informs,
            (Some(limit), Some(values)) if within(limit, values) => Mark::Pass,
            (Some(_), _) => Mark::Miss,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Term::{Added, Of};
    use Unit::Instructions;

    fn measures(numbers: &[(&str, f64)]) -> Measures {
        numbers.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
    }

    const ADDED: Bar = bar("x", Added("ours", "bare"), "y", Added("theirs", "bare"), Some(AtMost(0.6)), Instructions);

    #[test]
    fn what_is_added_is_compared_not_the_whole() {
        let numbers = measures(&[("ours", 160.0), ("theirs", 200.0), ("bare", 100.0)]);
        assert_eq!(ADDED.mark(&numbers), Mark::Pass);
        let numbers = measures(&[("ours", 170.0), ("theirs", 200.0), ("bare", 100.0)]);
        assert_eq!(ADDED.mark(&numbers), Mark::Miss);
    }

    #[test]
    fn a_missing_measure_is_a_miss() {
        assert_eq!(ADDED.mark(&measures(&[("ours", 1.0), ("bare", 1.0)])), Mark::Miss);
    }

    #[test]
    fn a_rate_grows_as_the_time_for_one_shrinks() {
        let rate = bar("x", Of("ours"), "y", Of("bare"), Some(AtLeast(0.06)), Rate);
        assert_eq!(rate.mark(&measures(&[("ours", 1000.0), ("bare", 100.0)])), Mark::Pass);
        assert_eq!(rate.mark(&measures(&[("ours", 2000.0), ("bare", 100.0)])), Mark::Miss);
    }
}

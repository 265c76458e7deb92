//! `make bench`: what vrfrun and vrfsetup cost beside the tools that people would use without them, on a real
//! kernel in a machine whose clock counts instructions, so that the same run gives the same numbers.
//!
//! The guest only measures ([`guest`] and one file for each group, with what they share in `timing`); what the
//! numbers must be stands in [`bars`], how they are shown in [`report`] and [`plot`].
//!
//! May use `harness`. Never tests behaviour, and never writes a number that was not measured.

#![forbid(unsafe_code)]

pub mod bar;
pub mod bars;
pub mod guest;
pub mod leak_test;
pub mod plot;
pub mod real;
pub mod report;

mod scale;
mod sockets;
mod startup;
mod supervisor;
mod throughput;
mod timing;
mod users;

use std::collections::BTreeMap;

/// Each number by its name, `group.what`. Nanoseconds of virtual time where nothing else is said.
pub type Measures = BTreeMap<String, f64>;

/// The clock of the machine: nanoseconds that one instruction takes (`-icount shift=2`).
pub const NANOSECONDS_PER_INSTRUCTION: f64 = 4.0;

/// One number as the guest says it to the host.
fn tell(name: &str, value: f64) {
    println!("measure {name} {value}");
}

/// The host's side of [`tell`].
pub fn heard(line: &str) -> Option<(String, f64)> {
    let (name, value) = line.strip_prefix("measure ")?.split_once(' ')?;
    Some((name.to_owned(), value.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_measure_is_a_measure() {
        assert_eq!(heard("measure start.true 12.5"), Some(("start.true".to_owned(), 12.5)));
        assert_eq!(heard("measure start.true quick"), None);
        assert_eq!(heard("vrfrun: measure twice"), None);
    }
}

//! Routing table numbers: which are taken, the first that is free, and the names that VRFs' tables get.

use std::collections::BTreeSet;

use crate::model::step::Step;
use crate::sys::rt_tables::{self, Names};
use crate::sys::run_dir;

/// The first number that is tried: above those that people give by hand.
pub const FIRST: u32 = 1001;
/// The first line of the files that name a table.
const MARK: &str = "# made by vrfsetup\n";
const RESERVED: [u32; 4] = [0, 253, 254, 255];

/// The lowest free number from [`FIRST`] on.
pub fn first_free(taken: &BTreeSet<u32>) -> u32 {
    (FIRST..u32::MAX).find(|table| !taken.contains(table) && !RESERVED.contains(table)).unwrap_or(FIRST)
}

/// Whether a VRF may have this number at all.
pub fn is_usable(table: u32) -> bool {
    !RESERVED.contains(&table)
}

/// The step that makes `ip route show table NAME` work. None where the number or the name has another meaning, as the
/// name `5` has for ip(8), and in other network namespaces than the first: the file is one for the whole machine.
pub fn name_step(names: &Names, name: &str, table: u32) -> Option<Step> {
    if !names.are_of_these_tables() || is_number(name) {
        return None;
    }
    let path = rt_tables::file_of(name);
    let from = names.text(&path).map(str::to_owned);
    let to = format!("{MARK}{table}\t{name}\n");
    let is_ours = from.as_ref().is_none_or(|text| text.starts_with(MARK));
    let differs = from.as_ref() != Some(&to);
    let is_possible = is_ours && differs && !names.is_taken_outside(&path, name, table);
    is_possible.then_some(Step::WriteFile { path, from, to: Some(to) })
}

/// As strtoul(3) reads a number: a name like this would come before the table of this number.
fn is_number(name: &str) -> bool {
    match name.strip_prefix("0x").or_else(|| name.strip_prefix("0X")) {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => name.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

/// The table that the VRF had when it was last made here, if its name is still about: it gets it again.
pub fn remembered(name: &str) -> Option<u32> {
    let text = rt_tables::read_file_of(name).filter(|text| text.starts_with(MARK))?;
    rt_tables::entries(text.as_bytes()).first().map(|(table, _)| *table).filter(|table| is_usable(*table))
}

/// The step that takes the name away again, if it is of our making.
pub fn unname_step(name: &str) -> Option<Step> {
    let from = rt_tables::read_file_of(name)?;
    let is_ours = from.starts_with(MARK) && run_dir::is_first_netns();
    is_ours.then(|| Step::WriteFile { path: rt_tables::file_of(name), from: Some(from), to: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_free_table_skips_those_taken() {
        assert_eq!(first_free(&BTreeSet::from([1001, 1002, 1004])), 1003);
    }

    #[test]
    fn a_name_that_is_a_number_to_ip_names_no_table() {
        for number in ["5", "010", "0x1f", "0XA"] {
            assert!(is_number(number) && name_step(&Names::none(), number, 1001).is_none(), "{number}");
        }
        assert!(["blue", "5g", "0xg", "x5"].iter().all(|name| !is_number(name)));
    }

    #[test]
    fn the_kernels_own_tables_are_not_usable() {
        assert!([0, 253, 254, 255].iter().all(|&table| !is_usable(table)));
        assert!(is_usable(10));
    }
}

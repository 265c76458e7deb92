//! The tables of docs/sandboxes.md that machines fill. Pure.

use crate::harness::judge::Verdict;

const PAGE: &str = include_str!("../../../docs/sandboxes.md");
const END: &str = "<!-- end of what was measured -->\n";

/// Asserts that the page has this table, and nothing else, where it says that this file's test prints it.
///
/// # Panics
/// Otherwise, with the table.
#[track_caller]
pub fn assert_documented(file: &str, table: &str) {
    let begin = format!("<!-- measured: by {file}, which prints it -->\n\n");
    let documented = PAGE.split_once(&begin).and_then(|(_, rest)| rest.split_once(END)).expect("the marks").0;
    assert_eq!(documented.trim_end(), table.trim_end(), "docs/sandboxes.md has another table than this:\n{table}");
}

/// What `vrfrun -v` said of a program: the mechanism and the guard.
///
/// # Panics
/// When it said nothing.
#[track_caller]
pub fn mechanism(verdict: &Verdict) -> String {
    let said = verdict.error_text();
    let said = said.lines().find_map(|line| line.strip_prefix("vrfrun: mechanism=")).expect("what -v says");
    let (mechanism, guard) = said.split_once(" device=blue guard=").expect("a mechanism and its guard");
    format!("blue: {mechanism}, {}", guard.split(' ').next().unwrap_or_default())
}

//! The tables of docs/sandboxes.md that machines fill. Pure.

use crate::harness::judge::{Outcome, Verdict};

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

/// What became of a program that `vrfrun -v` started: its mechanism, or "closed" and what vrfrun says is to be done.
///
/// # Panics
/// When it was neither in the VRF nor refused with a reason and a hint.
#[track_caller]
pub fn outcome(verdict: &Verdict) -> (String, Option<String>) {
    if verdict.outcome == Outcome::Blue {
        verdict.assert_blue();
        return (mechanism(verdict), None);
    }
    verdict.assert_closed();
    assert_eq!(verdict.code, 125, "{verdict}");
    let said = verdict.error_text();
    assert!(said.lines().any(|line| line.starts_with("vrfrun: ")), "no reason\n{verdict}");
    let hint = said.lines().find_map(|line| line.strip_prefix("hint: "));
    ("closed".into(), Some(format!("`{}`", hint.unwrap_or_else(|| panic!("no hint\n{verdict}")))))
}

/// A line of such a table: what became of a program that the shim can enter, and of one that it cannot.
pub fn row(name: &str, verdicts: [&Verdict; 2]) -> String {
    let [(dynamic, hint), (alone, other_hint)] = verdicts.map(outcome);
    format!("| {name} | {dynamic} | {alone} | {} |\n", hint.or(other_hint).unwrap_or_default())
}

/// The head of such a table.
pub fn head(first: &str) -> String {
    format!("| {first} | a dynamic program | a static program | what to do |\n|---|---|---|---|\n")
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

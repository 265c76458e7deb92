//! The matrix as people read it: one aligned table for each kernel, and the reasons below it. Pure.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::cell::{Cell, Colour};
use super::column::{self, Column};
use super::expect::{Expectations, Expected, Finding, measure, says_its_words};
use super::row::Row;
use super::share::Share;

/// All cells of one kernel.
#[derive(Debug)]
pub struct Matrix<'a> {
    /// The kernel's name in the list.
    pub kernel: &'a str,
    /// Its release.
    pub release: &'a str,
    /// The rows that were asked for.
    pub rows: &'a [Row],
    /// What came back.
    pub cells: &'a [Cell],
    /// The committed files.
    pub expectations: &'a Expectations,
}

impl Matrix<'_> {
    fn cell(&self, row: &Row, column: Column) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.row == row.name && cell.column == column.name)
    }

    /// Each cell with its expectation and what is to be said of it.
    pub fn measured(&self) -> impl Iterator<Item = (&Row, Column, Expected, Option<&Cell>, Finding)> {
        self.rows.iter().flat_map(move |row| {
            column::ALL.into_iter().map(move |column| {
                let expected = self.expectations.of(row, column, self.kernel);
                let cell = self.cell(row, column);
                let is_mute = cell.is_some_and(|cell| !says_its_words(row, column, cell));
                let finding = if is_mute { Finding::Mute } else { measure(&expected, cell) };
                (row, column, expected, cell, finding)
            })
        })
    }

    /// Whether any cell is a fault.
    pub fn has_faults(&self) -> bool {
        self.measured().any(|(.., finding)| finding.is_fault())
    }

    /// How much of it is blue.
    pub fn share(&self) -> Share {
        let mut share = Share::default();
        for (_, column, expected, cell, _) in self.measured() {
            share.count(column, &expected, cell);
        }
        share
    }

    /// The whole text: table, reasons, faults and notes, sum.
    pub fn print(&self) -> String {
        format!("{}\n{}{}{}\n", self.grid(), self.reasons_text(), self.findings(), self.sum())
    }

    fn grid(&self) -> String {
        let width = self.rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
        let mut text = format!("{} (Linux {})\n{:width$}", self.kernel, self.release, "");
        for column in column::ALL {
            let _ = write!(text, "  {:>width$}", column.name, width = column.name.len());
        }
        for row in self.rows {
            let _ = write!(text, "\n{:width$}", row.name);
            for column in column::ALL {
                let word = self.word(row, column);
                let _ = write!(text, "  {word:>width$}", width = column.name.len());
            }
        }
        text.push('\n');
        text
    }

    /// A cell as the table shows it.
    pub fn word(&self, row: &Row, column: Column) -> String {
        let expected = self.expectations.of(row, column, self.kernel);
        match (self.cell(row, column), &expected) {
            (_, Expected::Absent(_)) => "-".to_owned(),
            (None, _) => "?".to_owned(),
            (Some(cell), Expected::Leak(_)) if cell.verdict == Colour::Leak => "leak*".to_owned(),
            (Some(cell), Expected::Refused(_)) if cell.verdict == Colour::Closed => "refused".to_owned(),
            // Without a mechanism, leaving by the default domain is no leak.
            (Some(cell), Expected::Sends) if cell.verdict == Colour::Leak => "sends".to_owned(),
            (Some(cell), Expected::Sends | Expected::Quiet(_)) if !column.is_judged() => {
                if cell.verdict == Colour::Closed { "silent" } else { "sends" }.to_owned()
            }
            (Some(cell), _) => cell.verdict.name().to_owned(),
        }
    }

    /// Why a cell is not blue, with the rows that it explains.
    pub fn reasons(&self) -> BTreeMap<(&'static str, String), Vec<String>> {
        let mut reasons: BTreeMap<_, Vec<String>> = BTreeMap::new();
        for (row, column, expected, cell, _) in self.measured() {
            let colour = cell.map(|cell| cell.verdict);
            let (word, why) = match (expected, colour) {
                (Expected::Closed(why) | Expected::Quiet(why), Some(Colour::Closed)) if column.is_judged() => {
                    ("closed", why)
                }
                (Expected::Refused(why), Some(Colour::Closed)) => ("refused", why),
                (Expected::Leak(why), Some(Colour::Leak)) => ("leak*", why),
                (Expected::Absent(why), None) if row.absent.contains_key(self.kernel) => ("-", why),
                _ => continue,
            };
            let names = reasons.entry((word, why)).or_default();
            if !names.contains(&row.name) {
                names.push(row.name.clone());
            }
        }
        reasons
    }

    fn reasons_text(&self) -> String {
        self.reasons().iter().fold(String::new(), |mut text, ((word, why), names)| {
            let _ = writeln!(text, "{word:>7}  {}: {why}", names.join(", "));
            text
        })
    }

    fn findings(&self) -> String {
        let mut text = String::new();
        for (row, column, _, cell, finding) in self.measured() {
            let what = match finding {
                Finding::Fine => continue,
                Finding::Better => "note: better than the committed expectation",
                Finding::Undocumented => "FAULT: a leak that is not documented",
                Finding::Worse => "FAULT: worse than the committed expectation",
                Finding::ProvesNothing => "FAULT: sends nothing even without a mechanism, so the row proves nothing",
                Finding::Mute => "FAULT: did not say what it must",
                Finding::Missing => "FAULT: did not run",
            };
            let _ = writeln!(text, "{} {} {}: {what}", self.kernel, row.name, column.name);
            if let Some(cell) = cell {
                let said = cell.said.replace('\n', " | ");
                let _ = writeln!(text, "    exit code {}, escaped {:?}: {said}", cell.code, cell.escaped);
            }
        }
        text
    }

    /// One line: how many of each, and the share of blue.
    pub fn sum(&self) -> String {
        let judged = |colour: Colour| {
            let ours = self
                .measured()
                .filter(|(_, column, expected, ..)| column.is_judged() && !matches!(expected, Expected::Absent(_)));
            ours.filter(|(_, _, _, cell, _)| cell.is_some_and(|cell| cell.verdict == colour)).count()
        };
        let undocumented = self.measured().filter(|(.., finding)| *finding == Finding::Undocumented).count();
        let share = self.share();
        format!(
            "{}: {} rows; judged cells: {} blue, {} closed, {} leaks ({undocumented} undocumented); \
             under bpf and the supervisor {}.{} % blue ({} of {})\n",
            self.kernel,
            self.rows.len(),
            judged(Colour::Blue),
            judged(Colour::Closed),
            judged(Colour::Leak),
            share.per_mille() / 10,
            share.per_mille() % 10,
            share.blue,
            share.blue + share.closed,
        )
    }
}

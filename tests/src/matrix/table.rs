//! The matrix as people read it: one aligned table for each kernel, and the reasons below it. Pure.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::cell::{Cell, Colour};
use super::column::{self, Column, Purpose};
use super::counts::Counts;
use super::expect::{Expectations, Expected, Finding, measure, says_its_words, works_as_without};
use super::row::Row;

/// All cells of one kernel.
#[derive(Debug)]
pub struct Matrix<'a> {
    /// The kernel's name in the list.
    pub kernel: &'a str,
    /// Its release.
    pub release: &'a str,
    /// The rows that were asked for.
    pub rows: &'a [Row],
    /// The columns that were.
    pub columns: &'a [Column],
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
            self.columns.iter().map(move |&column| {
                let expected = self.expectations.of(row, column, self.kernel);
                let cell = self.cell(row, column);
                let finding = self.finding(row, column, &expected, cell);
                (row, column, expected, cell, finding)
            })
        })
    }

    fn finding(&self, row: &Row, column: Column, expected: &Expected, cell: Option<&Cell>) -> Finding {
        let reference = || self.cell(row, column::reference_of(column));
        let works = |cell: &Cell| !column.is_judged() || works_as_without(row, cell, reference());
        match measure(expected, cell) {
            _ if cell.is_some_and(|cell| !says_its_words(row, column, cell)) => Finding::Mute,
            Finding::Fine if !cell.is_none_or(works) => Finding::Different,
            finding => finding,
        }
    }

    /// Whether any cell is a fault.
    pub fn has_faults(&self) -> bool {
        self.measured().any(|(.., finding)| finding.is_fault())
    }

    /// The whole text: table, reasons, faults and notes, sum.
    pub fn print(&self) -> String {
        format!("{}\n{}{}{}\n", self.grid(), self.reasons_text(), self.findings(), self.sum())
    }

    fn grid(&self) -> String {
        let width = self.rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
        let mut text = format!("{} (Linux {})\n{:width$}", self.kernel, self.release, "");
        for column in self.columns {
            let _ = write!(text, "  {:>width$}", column.name, width = column.name.len());
        }
        for row in self.rows {
            let _ = write!(text, "\n{:width$}", row.name);
            for &column in self.columns {
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
            _ if !self.columns.contains(&column) => "-".to_owned(),
            (None, _) => "?".to_owned(),
            (Some(cell), Expected::Leak(..)) if cell.verdict == Colour::Leak => "leak*".to_owned(),
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
                (Expected::Leak(why, _), Some(Colour::Leak)) => ("leak*", why),
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
                Finding::Better => "FAULT: better than the committed expectation: delete its entry",
                Finding::Gone => "FAULT: a documented leak is gone: delete its entry",
                Finding::Undocumented => "FAULT: a leak, or a flow of one, that is not documented",
                Finding::Different => "FAULT: in the VRF, but exit code or answers are not the reference's",
                Finding::Worse => "FAULT: worse than the committed expectation",
                Finding::ProvesNothing => "FAULT: sends nothing even without a mechanism, so the row proves nothing",
                Finding::Mute => "FAULT: did not say what it must",
                Finding::Able => "FAULT: said to be unable to run, and sent something: correct what its row needs",
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

    /// One line: how many of each, for all of ours and for those behind which every kind of program is held.
    pub fn sum(&self) -> String {
        let undocumented = self.measured().filter(|(.., finding)| *finding == Finding::Undocumented).count();
        format!(
            "{}: {} rows; judged cells: {} ({undocumented} undocumented); under bpf and the supervisor: {}\n",
            self.kernel,
            self.rows.len(),
            self.counts(Column::is_judged),
            self.counts(|column| column.purpose == Purpose::Full),
        )
    }

    fn counts(&self, wanted: impl Fn(Column) -> bool) -> Counts {
        let mut counts = Counts::default();
        for (_, _, expected, cell, _) in self.measured().filter(|(_, column, ..)| wanted(*column)) {
            counts.count(&expected, cell);
        }
        counts
    }
}

//! What is expected of each cell, and what is wrong with a matrix. Pure.
//!
//! A cell is expected to be `blue`, unless the committed files say `closed` (with a reason) or name a
//! documented leak (with a reason, and the flows that may escape). A cell worse than that is a fault, and so is a better
//! one: its entry has to be deleted, so that the cell can never be worse again without a fault.

use serde::Deserialize;

use super::cell::{Cell, Colour};
use super::column::{self, Column, Purpose};
use super::row::{NATIVE, Row};

const EXPECTATION: &str = include_str!("../../leaks/expectation.toml");
const DOCUMENTED: &str = include_str!("../../leaks/documented.toml");

/// One entry of a committed file: these rows, by these columns, on these kernels.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    rows: Vec<String>,
    /// `bpf/root`, or `bpf` for both users.
    columns: Vec<String>,
    /// All of them, where none is named.
    #[serde(default)]
    kernels: Vec<String>,
    /// But not these.
    #[serde(default)]
    except: Vec<String>,
    why: String,
    /// Of a documented leak: what may escape, as the cells have it; `*` stands for any word (`udp * 53`).
    #[serde(default)]
    flows: Vec<String>,
    /// Closed is what the program's wish deserves under any mechanism: to leave the VRF, or what no bound
    /// socket may.
    #[serde(default)]
    refusal: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expectation {
    closed: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Documented {
    leak: Vec<Entry>,
}

/// The committed files.
#[derive(Debug)]
pub struct Expectations {
    closed: Vec<Entry>,
    leaks: Vec<Entry>,
}

/// What is expected of a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// In the VRF.
    Blue,
    /// Nothing leaves, for this reason.
    Closed(String),
    /// Nothing may leave, for this reason: the program asks for what has to be refused.
    Refused(String),
    /// It leaks, as documented, for this reason and by these flows.
    Leak(String, Vec<String>),
    /// Nothing leaves, as the program sends nothing by itself, for this reason.
    Quiet(String),
    /// It is not run, for this reason.
    Absent(String),
    /// It must send something, or the row proves nothing.
    Sends,
    /// Anything: it is not ours.
    Anything,
}

/// What a cell is, measured against its expectation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// As expected, or not judged.
    Fine,
    /// Better than expected: the committed file is out of date.
    Better,
    /// A leak that is documented is gone: the committed file is out of date.
    Gone,
    /// A leak, or a flow of one, that no document names.
    Undocumented,
    /// It was in the VRF, and its exit code or its answers are not the reference's.
    Different,
    /// Closed, where it was blue.
    Worse,
    /// It did not say what it had to.
    Mute,
    /// The program sent nothing even without a mechanism, so its row proves nothing.
    ProvesNothing,
    /// It is said to be unable to run, and sent something.
    Able,
    /// It had to run and did not.
    Missing,
}

impl Finding {
    /// Whether the matrix fails by it.
    pub fn is_fault(&self) -> bool {
        *self != Self::Fine
    }
}

impl Entry {
    fn names(&self, row: &str, column: Column, kernel: &str) -> bool {
        let is_column = |name: &String| name == column.name || column.name.split('/').next() == Some(name.as_str());
        self.rows.iter().any(|name| name == row)
            && self.columns.iter().any(is_column)
            && !self.except.iter().any(|name| name == kernel)
            && (self.kernels.is_empty() || self.kernels.iter().any(|name| name == kernel))
    }
}

impl Expectations {
    /// Reads the committed files.
    ///
    /// # Panics
    /// When one is wrong.
    pub fn read() -> Self {
        let closed = toml::from_str::<Expectation>(EXPECTATION);
        let leaks = toml::from_str::<Documented>(DOCUMENTED);
        match (closed, leaks) {
            (Ok(closed), Ok(leaks)) => Self { closed: closed.closed, leaks: leaks.leak },
            (Err(error), _) => panic!("tests/leaks/expectation.toml: {error}"),
            (_, Err(error)) => panic!("tests/leaks/documented.toml: {error}"),
        }
    }

    /// What is expected of a cell.
    pub fn of(&self, row: &Row, column: Column, kernel: &str) -> Expected {
        let named = |entries: &[Entry]| entries.iter().find(|entry| entry.names(&row.name, column, kernel)).cloned();
        if let Some(why) = row.absent.get(kernel) {
            return Expected::Absent(why.clone());
        }
        if !row.has(column) {
            return Expected::Absent("makes no sense by this column".to_owned());
        }
        if column.purpose == Purpose::Comparison {
            return Expected::Anything;
        }
        if let Some(why) = row.quiet.get(column.user()) {
            return Expected::Quiet(why.clone());
        }
        if column.purpose == Purpose::Reference {
            return Expected::Sends;
        }
        if let Some(entry) = named(&self.leaks) {
            return Expected::Leak(entry.why, entry.flows);
        }
        match named(&self.closed) {
            Some(entry) if entry.refusal => Expected::Refused(entry.why),
            Some(entry) => Expected::Closed(entry.why),
            None => Expected::Blue,
        }
    }
}

/// Measures a cell, or its absence.
pub fn measure(expected: &Expected, cell: Option<&Cell>) -> Finding {
    let Some(found) = cell.map(|cell| cell.verdict) else {
        return if matches!(expected, Expected::Absent(_)) { Finding::Fine } else { Finding::Missing };
    };
    match (expected, found) {
        (Expected::Sends, Colour::Closed) => Finding::ProvesNothing,
        (Expected::Absent(_), Colour::Blue | Colour::Leak) => Finding::Able,
        (Expected::Sends | Expected::Anything | Expected::Absent(_), _) => Finding::Fine,
        (Expected::Leak(_, flows), Colour::Leak) if cell.is_some_and(|cell| are_named(&cell.escaped, flows)) => {
            Finding::Fine
        }
        (_, Colour::Leak) => Finding::Undocumented,
        (Expected::Blue, Colour::Closed) => Finding::Worse,
        (Expected::Closed(_) | Expected::Refused(_) | Expected::Quiet(_), Colour::Blue) => Finding::Better,
        (Expected::Leak(..), _) => Finding::Gone,
        _ => Finding::Fine,
    }
}

/// Whether each flow fits one of the patterns, word by word.
fn are_named(escaped: &[String], patterns: &[String]) -> bool {
    let fits = |flow: &str, pattern: &str| {
        let (flow, pattern): (Vec<&str>, Vec<&str>) = (flow.split(' ').collect(), pattern.split(' ').collect());
        flow.len() == pattern.len() && flow.iter().zip(pattern).all(|(word, wanted)| wanted == "*" || *word == wanted)
    };
    escaped.iter().all(|flow| patterns.iter().any(|pattern| fits(flow, pattern)))
}

/// Whether a cell in the VRF did what the program does without a mechanism: the same exit code, and an answer of blue's
/// for each answer. One packet to blue's nameserver is not yet a program that works.
pub fn works_as_without(row: &Row, cell: &Cell, reference: Option<&Cell>) -> bool {
    let Some(reference) = reference.filter(|_| cell.verdict == Colour::Blue && row.differs.is_none()) else {
        return true;
    };
    let answers: &[&str] = if reference.answers.is_empty() { &[] } else { &["blue"] };
    cell.code == reference.code && cell.answers == answers
}

/// Whether a cell of ours holds the words that its row must say.
pub fn says_its_words(row: &Row, column: Column, cell: &Cell) -> bool {
    let words = row.says.get(column.user()).filter(|_| column.is_judged());
    words.is_none_or(|words| cell.said.contains(words))
}

/// Names in the committed files that mean nothing: a misspelt row would excuse nothing, silently.
pub fn unknown_names(expectations: &Expectations, rows: &[Row], kernels: &[String]) -> Vec<String> {
    let is_column = |name: &str| {
        column::ALL.iter().any(|column| column.name == name || column.name.split('/').next() == Some(name))
    };
    let is_kernel = |name: &String| kernels.contains(name) || name == NATIVE;
    let entries = expectations.closed.iter().chain(&expectations.leaks);
    entries
        .flat_map(|entry| {
            let strange_rows = entry.rows.iter().filter(|name| !rows.iter().any(|row| row.name == **name));
            let strange_columns = entry.columns.iter().filter(|name| !is_column(name));
            let strange_kernels = entry.kernels.iter().chain(&entry.except).filter(|name| !is_kernel(name));
            strange_rows.chain(strange_columns).chain(strange_kernels).cloned()
        })
        .collect()
}

#[cfg(test)]
mod tests;

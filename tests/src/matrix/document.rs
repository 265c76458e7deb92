//! The measured part of docs/leak-matrix.md: one table for all kernels, and where they differ. Pure.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::cell::Cell;
use super::column::{self, Column};
use super::expect::Expectations;
use super::record::Record;
use super::row::Row;
use super::table::Matrix;

const BEGIN: &str = "<!-- measured: written by `make leaks` -->\n";
const END: &str = "<!-- end of what was measured -->\n";

/// The document with another measured part.
///
/// # Errors
/// When it does not say where that part is.
pub fn rewrite(document: &str, measured: &str) -> Result<String, String> {
    let missing = || format!("the document has no lines '{}' and '{}'", BEGIN.trim_end(), END.trim_end());
    let (before, rest) = document.split_once(BEGIN).ok_or_else(missing)?;
    let (_, after) = rest.split_once(END).ok_or_else(missing)?;
    Ok(format!("{before}{BEGIN}\n{measured}\n{END}{after}"))
}

/// What the records show: sums, the table, the differences between the kernels, the reasons.
pub fn measured(records: &[Record], rows: &[Row], expectations: &Expectations) -> String {
    let parts = |record| {
        let cells: Vec<Cell> = Record::plain_cells(record);
        (record, columns_of(&cells), cells)
    };
    let mut records: Vec<_> = records.iter().map(parts).collect();
    records.sort_by(|(one, ..), (other, ..)| one.kernel.cmp(&other.kernel));
    let mut matrices = Vec::new();
    for (record, columns, cells) in &records {
        let (kernel, release) = (record.kernel.as_str(), record.release.as_str());
        matrices.push(Matrix { kernel, release, rows, columns, cells, expectations });
    }
    let sums = matrices.iter().fold(String::new(), |mut text, matrix| {
        let _ = write!(text, "* Linux {}, {}", matrix.release, matrix.sum());
        text
    });
    format!("{sums}\n{}\n{}\n{}", table(&matrices, rows), differences(&matrices, rows), reasons(&matrices))
}

/// The columns that the machine was asked for.
fn columns_of(cells: &[Cell]) -> Vec<Column> {
    column::ALL.into_iter().filter(|column| cells.iter().any(|cell| cell.column == column.name)).collect()
}

/// A word for all kernels, or that they differ.
fn table(matrices: &[Matrix], rows: &[Row]) -> String {
    let mut text = String::from("| kind of program |");
    for column in column::ALL {
        let _ = write!(text, " {} |", column.name.replace('/', " "));
    }
    let _ = write!(text, "\n|---|{}", "---|".repeat(column::ALL.len()));
    for row in rows {
        let _ = write!(text, "\n| {} |", row.name);
        for column in column::ALL {
            let words = words(matrices, row, column);
            let _ = match words.keys().collect::<Vec<_>>()[..] {
                [word] => write!(text, " {word} |"),
                _ => write!(text, " *differs* |"),
            };
        }
    }
    text.push('\n');
    text
}

/// Each word of a cell with the kernels that say it. A row that a kernel cannot run is no difference.
fn words(matrices: &[Matrix], row: &Row, column: Column) -> BTreeMap<String, Vec<String>> {
    let mut words = BTreeMap::<String, Vec<String>>::new();
    for matrix in matrices {
        words.entry(matrix.word(row, column)).or_default().push(matrix.kernel.to_owned());
    }
    if words.len() > 1 {
        words.remove("-");
    }
    words
}

fn differences(matrices: &[Matrix], rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows {
        for column in column::ALL {
            let words = words(matrices, row, column);
            if words.len() > 1 {
                let sides = words.iter().map(|(word, kernels)| format!("{word} on {}", kernels.join(", ")));
                let _ = writeln!(text, "* {}, {}: {}", row.name, column.name, sides.collect::<Vec<_>>().join("; "));
            }
        }
    }
    if text.is_empty() {
        return "The kernels do not differ.\n".to_owned();
    }
    format!("Where the kernels differ:\n\n{text}")
}

fn reasons(matrices: &[Matrix]) -> String {
    let mut merged = BTreeMap::<(&str, String), Vec<String>>::new();
    for (key, names) in matrices.iter().flat_map(Matrix::reasons) {
        let known = merged.entry(key).or_default();
        known.extend(names.into_iter().filter(|name| !known.contains(name)).collect::<Vec<_>>());
    }
    let mut text = String::from("Why a cell is not blue:\n\n| | rows | because |\n|---|---|---|\n");
    for ((word, why), names) in merged {
        let _ = writeln!(text, "| {word} | {} | {why} |", names.join("; "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::row;

    const COMMITTED: &str = include_str!("../../../docs/leak-matrix.md");

    #[test]
    fn only_the_measured_part_is_replaced() {
        let document = format!("before\n{BEGIN}old\n{END}after\n");
        let rewritten = rewrite(&document, "new").expect("a document with marks");
        assert_eq!(rewritten, format!("before\n{BEGIN}\nnew\n{END}after\n"));
        assert_eq!(rewrite(&rewritten, "new").as_ref(), Ok(&rewritten));
        assert!(rewrite("nothing", "new").is_err());
    }

    /// The page says so of a row that is newer than the last whole run.
    const UNMEASURED: &str = "Not in the table below, as they are newer than the last whole run:";

    #[test]
    fn the_committed_document_has_each_row_of_the_list_and_no_other() {
        let (_, measured) = COMMITTED.split_once(BEGIN).expect("the mark");
        let table = measured.split("\n\n").find(|part| part.starts_with("| kind of program |")).expect("the table");
        let shown: Vec<&str> = table.lines().skip(2).filter_map(|line| line.split('|').nth(1)).map(str::trim).collect();
        let named = |row: &str| COMMITTED.lines().any(|line| line == format!("- {row}"));
        let (unmeasured, listed): (Vec<String>, Vec<String>) =
            row::all().into_iter().map(|row| row.name).partition(|row| named(row));
        assert_eq!(shown, listed, "docs/leak-matrix.md is older than tests/leaks/rows.toml: make leaks");
        assert!(unmeasured.is_empty() || COMMITTED.contains(UNMEASURED), "{unmeasured:?}");
    }

    #[test]
    fn the_committed_document_says_what_the_machine_that_builds_may_lack_and_what_has_no_trace() {
        let lacking = |row: Row| row.native.map(|need| (row.name, format!("`{}`", need.needs), need.why));
        let untraced = |row: Row| row.untraced.map(|why| (row.name, why));
        let mut lines = vec!["| row | runs where this succeeds | which need not be, because |".to_owned()];
        lines.extend(
            row::all().into_iter().filter_map(lacking).map(|(row, needs, why)| format!("| {row} | {needs} | {why} |")),
        );
        lines.push("| row | because |".to_owned());
        lines.extend(row::all().into_iter().filter_map(untraced).map(|(row, why)| format!("| {row} | {why} |")));
        let (_, section) = COMMITTED.split_once("\n## On the machine that builds\n").expect("the section");
        let (section, _) = section.split_once("\n## ").expect("its end");
        let shown: Vec<&str> = section.lines().filter(|line| line.starts_with("| ")).collect();
        assert_eq!(shown, lines, "the section should have\n{}", lines.join("\n"));
    }

    #[test]
    fn the_committed_document_shows_no_leak_that_is_not_documented() {
        let (_, measured) = COMMITTED.split_once(BEGIN).expect("the mark");
        for line in measured.lines().filter(|line| line.starts_with('|')) {
            // The fifth column and all after it are ours; before them stand the references.
            let ours = line.split('|').skip(5);
            assert!(!ours.map(str::trim).any(|word| ["LEAK", "?"].contains(&word)), "{line}");
        }
    }
}

//! The JSON document: what was measured on each kernel, and what was expected of it. Pure.

use serde::{Deserialize, Serialize};

use super::cell::Cell;
use super::expect::{Expected, Finding};
use super::table::Matrix;

/// A kernel's part of the document.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Record {
    /// Its name in the list.
    pub kernel: String,
    /// Its release, as uname(2) says it.
    pub release: String,
    /// What came back.
    pub cells: Vec<CellRecord>,
}

/// One cell, with what was expected of it when it was measured.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct CellRecord {
    /// The cell.
    #[serde(flatten)]
    pub cell: Cell,
    /// `blue`, `closed`, `leak`: what is committed. None where the column is not judged.
    expected: Option<String>,
    why: Option<String>,
    is_fault: bool,
}

impl Record {
    /// What a matrix holds.
    pub fn of(matrix: &Matrix) -> Self {
        let cells = matrix.measured().filter_map(|(_, column, expected, cell, finding)| {
            let (expected, why) = match expected {
                _ if !column.is_judged() => (None, None),
                Expected::Blue => (Some("blue"), None),
                Expected::Closed(why) | Expected::Refused(why) | Expected::Quiet(why) => (Some("closed"), Some(why)),
                Expected::Leak(why, _) => (Some("leak"), Some(why)),
                Expected::Absent(_) | Expected::Sends | Expected::Anything => (None, None),
            };
            let expected = expected.map(str::to_owned);
            Some(CellRecord { cell: cell?.clone(), expected, why, is_fault: Finding::is_fault(&finding) })
        });
        Self { kernel: matrix.kernel.to_owned(), release: matrix.release.to_owned(), cells: cells.collect() }
    }

    /// The cells alone.
    pub fn plain_cells(&self) -> Vec<Cell> {
        self.cells.iter().map(|record| record.cell.clone()).collect()
    }
}

/// Puts newer records in the place of older ones: a kernel's cells that were run again, and whole kernels.
pub fn merge(old: Vec<Record>, new: Vec<Record>) -> Vec<Record> {
    let mut merged = old;
    for mut record in new {
        match merged.iter_mut().find(|old| old.kernel == record.kernel) {
            Some(old) => {
                let place = |record: &CellRecord| (record.cell.row.clone(), record.cell.column.clone());
                old.cells.retain(|cell| !record.cells.iter().any(|newer| place(newer) == place(cell)));
                old.cells.append(&mut record.cells);
                old.release = record.release;
            }
            None => merged.push(record),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kernel: &str, rows: &[(&str, u64)]) -> Record {
        let cells = rows.iter().map(|(row, milliseconds)| {
            let text = format!(
                r#"{{"row":"{row}","column":"c","verdict":"blue","packets":[0,1,0],"escaped":[],"code":0,"said":"",
                    "milliseconds":{milliseconds},"expected":null,"why":null,"is_fault":false}}"#
            );
            serde_json::from_str(&text).expect("a cell's record")
        });
        Record { kernel: kernel.to_owned(), release: String::new(), cells: cells.collect() }
    }

    #[test]
    fn a_column_that_ran_again_leaves_the_others() {
        let mut newer = record("a", &[("x", 9)]);
        newer.cells[0].cell.column = "d".to_owned();
        let merged = merge(vec![record("a", &[("x", 1)])], vec![newer]);
        assert_eq!(merged[0].cells.len(), 2);
    }

    #[test]
    fn a_row_that_ran_again_replaces_its_older_cells_on_that_kernel_only() {
        let old = vec![record("a", &[("x", 1), ("y", 2)]), record("b", &[("x", 3)])];
        let merged = merge(old, vec![record("a", &[("x", 9)]), record("c", &[("x", 4)])]);
        let seen = |at: usize| -> Vec<(String, u64)> {
            merged[at].cells.iter().map(|cell| (cell.cell.row.clone(), cell.cell.milliseconds)).collect()
        };
        assert_eq!(seen(0), [("y".to_owned(), 2), ("x".to_owned(), 9)]);
        assert_eq!(seen(1), [("x".to_owned(), 3)]);
        assert_eq!(merged[2].kernel, "c");
    }
}

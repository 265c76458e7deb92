//! Boots one kernel after the other, runs the rows there, prints the tables and writes the JSON.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::cell::Cell;
use super::column;
use super::expect::{Expectations, Expected, Finding, unknown_names};
use super::row::{self, Row};
use super::table::Matrix;
use crate::kernels::{self, Kernel};
use crate::vm::plan::{FOLDER, Plan};
use crate::vm::report::Event;
use crate::vm::run::{Runner, drive};

/// What is to be run.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Names of kernels; all, where there are none.
    pub kernels: Vec<String>,
    /// Names of rows; all, where there are none.
    pub rows: Vec<String>,
    /// Where the JSON goes.
    pub json: Option<PathBuf>,
}

/// A kernel's part of the JSON document.
#[derive(Debug, Serialize)]
struct Record {
    kernel: String,
    release: String,
    cells: Vec<CellRecord>,
}

#[derive(Debug, Serialize)]
struct CellRecord {
    #[serde(flatten)]
    cell: Cell,
    /// `blue`, `closed`, `leak`: what is committed. None where the column is not judged.
    expected: Option<&'static str>,
    why: Option<String>,
    is_fault: bool,
}

/// Runs it all and prints; whether no cell is a fault.
///
/// # Errors
/// When a name means nothing, a machine could not be booted or the JSON not be written.
pub fn main(request: &Request, runner: &Runner) -> Result<bool, String> {
    let kernels = chosen(kernels::all(), &request.kernels, |kernel| &kernel.name)?;
    let rows = chosen(row::all(), &request.rows, |row| &row.name)?;
    let expectations = Expectations::read();
    let names: Vec<String> = kernels::all().into_iter().map(|kernel| kernel.name).collect();
    let strange = unknown_names(&expectations, &row::all(), &names);
    if !strange.is_empty() {
        return Err(format!("the committed files speak of {strange:?}, which do not exist"));
    }
    let (mut records, mut sums, mut is_good) = (Vec::new(), String::new(), true);
    for kernel in &kernels {
        let (release, cells) = measure(kernel, &rows, runner)?;
        let (kernel, release) = (kernel.name.as_str(), release.as_str());
        let matrix = Matrix { kernel, release, rows: &rows, cells: &cells, expectations: &expectations };
        println!("{}", matrix.print());
        sums.push_str(&matrix.sum());
        is_good &= !matrix.has_faults();
        records.push(record(&matrix));
    }
    if let Some(path) = &request.json {
        let text = serde_json::to_vec_pretty(&records).map_err(|error| error.to_string())?;
        std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    print!("{sums}");
    Ok(is_good)
}

fn chosen<T>(all: Vec<T>, names: &[String], name: impl Fn(&T) -> &String) -> Result<Vec<T>, String> {
    if let Some(strange) = names.iter().find(|wanted| !all.iter().any(|one| name(one) == *wanted)) {
        return Err(format!("there is no '{strange}'"));
    }
    Ok(all.into_iter().filter(|one| names.is_empty() || names.contains(name(one))).collect())
}

/// Boots the kernel and collects its cells.
fn measure(kernel: &Kernel, rows: &[Row], runner: &Runner) -> Result<(String, Vec<Cell>), String> {
    let present = rows.iter().filter(|row| !row.absent.contains_key(&kernel.name));
    let mut words = vec![format!("{FOLDER}/vrfguest"), "leaks".to_owned()];
    words.extend(present.map(|row| row.name.clone()));
    let (mut release, mut cells) = (String::new(), Vec::<Cell>::new());
    // The slowest row's preparation and its first cell, in an emulated machine.
    let silence = Duration::from_secs(180);
    let ended = drive(kernel, runner, &Plan::Run(words), silence, |event| match event {
        Event::Ready { release: said } => release.clone_from(said),
        Event::Say { text } => match serde_json::from_str::<Cell>(text) {
            Ok(cell) => {
                eprintln!("{} {} {}: {}", kernel.name, cell.row, cell.column, cell.verdict.name());
                cells.push(cell);
            }
            Err(_) => eprintln!("{text}"),
        },
        _ => {}
    });
    // What was measured before a machine died is shown; the rest counts as missing.
    if let Err(error) = ended {
        eprintln!("{error}");
    }
    Ok((release, cells))
}

fn record(matrix: &Matrix) -> Record {
    let cells = matrix.measured().filter_map(|(_, column, expected, cell, finding)| {
        let (expected, why) = match expected {
            _ if !column.is_judged() => (None, None),
            Expected::Blue => (Some("blue"), None),
            Expected::Closed(why) | Expected::Quiet(why) => (Some("closed"), Some(why)),
            Expected::Leak(why) => (Some("leak"), Some(why)),
            Expected::Absent(_) | Expected::Sends | Expected::Anything => (None, None),
        };
        Some(CellRecord { cell: cell?.clone(), expected, why, is_fault: Finding::is_fault(&finding) })
    });
    Record { kernel: matrix.kernel.to_owned(), release: matrix.release.to_owned(), cells: cells.collect() }
}

/// Whether each word is a column's name; for the one who runs a single row by hand.
pub fn are_columns(words: &[String]) -> bool {
    words.iter().all(|word| column::named(word).is_some())
}

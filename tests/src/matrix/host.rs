//! Boots the kernels, runs the rows there, prints the tables, writes the JSON and the document.

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::cell::Cell;
use super::column::{self, Column};
use super::document;
use super::expect::{Expectations, unknown_names};
use super::record::{Record, merge};
use super::row::{self, Row};
use super::table::Matrix;
use crate::harness::kernels::{self, Arch, Kernel};
use crate::harness::vm::plan::{DIRECTORY, Plan};
use crate::harness::vm::report::Event;
use crate::harness::vm::run::{Runner, drive};

/// What is to be run.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Names of kernels; all, where there are none.
    pub kernels: Vec<String>,
    /// Names of columns; all, where there are none. Their references are measured with them.
    pub columns: Vec<String>,
    /// Names of rows; all, where there are none.
    pub rows: Vec<String>,
    /// How many machines at a time; as many as there are processors, where it is not said.
    pub jobs: Option<usize>,
    /// Where the JSON goes. A part of the matrix is put into what is there already.
    pub json: Option<PathBuf>,
    /// The document whose measured part is written again, from all that the JSON holds.
    pub document: Option<PathBuf>,
    /// The JSON is there already; nothing is run.
    pub is_written: bool,
}

impl Request {
    fn is_whole(&self) -> bool {
        self.kernels.is_empty() && self.columns.is_empty() && self.rows.is_empty() && !self.is_written
    }

    fn columns(&self) -> Vec<Column> {
        let is_named = |column: Column| self.columns.iter().any(|name| name == column.name);
        let is_needed = |column: &Column| {
            let is_reference = |other: &Column| is_named(*other) && column::reference_of(*other) == *column;
            self.columns.is_empty() || is_named(*column) || column::ALL.iter().any(is_reference)
        };
        column::ALL.into_iter().filter(is_needed).collect()
    }
}

/// Runs it all and prints; whether no cell is a fault.
///
/// # Errors
/// When a name means nothing or a file could not be written.
pub fn main(request: &Request, runner: &Runner) -> Result<bool, String> {
    let kernels = chosen(kernels::of(Arch::default()), &request.kernels, |kernel| &kernel.name)?;
    let rows = chosen(row::all(), &request.rows, |row| &row.name)?;
    let expectations = Expectations::read();
    let names: Vec<String> = kernels::all().into_iter().map(|kernel| kernel.name).collect();
    let strange = unknown_names(&expectations, &row::all(), &names);
    if !strange.is_empty() {
        return Err(format!("the committed files speak of {strange:?}, which do not exist"));
    }
    let columns = request.columns();
    let (mut records, mut sums, mut is_good) = (Vec::new(), String::new(), true);
    for (kernel, measured) in kernels.iter().zip(side_by_side(request, &kernels, &rows, runner)) {
        let columns = &columns;
        let (kernel, release) = (kernel.name.as_str(), measured.release.as_str());
        let matrix =
            Matrix { kernel, release, rows: &rows, columns, cells: &measured.cells, expectations: &expectations };
        println!("{}", matrix.print());
        sums.push_str(&matrix.sum());
        is_good &= !matrix.has_faults();
        println!("{kernel}: {} s", measured.took.as_secs());
        records.push(Record::of(&matrix));
    }
    write(request, records)?;
    print!("{sums}");
    Ok(is_good)
}

fn chosen<T>(all: Vec<T>, names: &[String], name: impl Fn(&T) -> &String) -> Result<Vec<T>, String> {
    if let Some(strange) = names.iter().find(|wanted| !all.iter().any(|one| name(one) == *wanted)) {
        return Err(format!("there is no '{strange}'"));
    }
    Ok(all.into_iter().filter(|one| names.is_empty() || names.contains(name(one))).collect())
}

/// What one machine gave.
#[derive(Debug, Default)]
struct Measured {
    release: String,
    cells: Vec<Cell>,
    took: Duration,
}

/// Measures the kernels, in their order, a few at a time.
fn side_by_side(request: &Request, kernels: &[Kernel], rows: &[Row], runner: &Runner) -> Vec<Measured> {
    let jobs = request.jobs.or_else(|| std::thread::available_parallelism().ok().map(usize::from)).unwrap_or(1);
    let results: Vec<Mutex<Measured>> = kernels.iter().map(|_| Mutex::default()).collect();
    let waiting = Mutex::new(kernels.iter().zip(&results));
    let columns = request.columns();
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, kernels.len()) {
            scope.spawn(|| {
                loop {
                    // The lock must not be held while the machine runs.
                    let next = waiting.lock().map(|mut waiting| waiting.next());
                    let Ok(Some((kernel, result))) = next else { return };
                    if let Ok(mut result) = result.lock() {
                        *result = measure(kernel, &columns, rows, runner);
                    }
                }
            });
        }
    });
    results.into_iter().map(|result| result.into_inner().unwrap_or_default()).collect()
}

/// Boots the kernel and collects its cells. What was measured before a machine died is shown; the rest counts as
/// missing.
fn measure(kernel: &Kernel, columns: &[Column], rows: &[Row], runner: &Runner) -> Measured {
    let present = rows.iter().filter(|row| !row.absent.contains_key(&kernel.name));
    let mut words = vec![format!("{DIRECTORY}/vrfguest"), "leaks".to_owned()];
    words.extend(columns.iter().map(|column| column.name.to_owned()));
    words.extend(present.map(|row| row.name.clone()));
    let (start, mut measured) = (Instant::now(), Measured::default());
    // The slowest row's preparation and its first cell, in an emulated machine.
    let silence = Duration::from_secs(180);
    let ended = drive(kernel, runner, &Plan::Run(words), silence, |event| match event {
        Event::Ready { release, .. } => measured.release.clone_from(release),
        Event::Say { text } => match serde_json::from_str::<Cell>(text) {
            Ok(cell) => {
                let Cell { row, column, verdict, milliseconds, .. } = &cell;
                eprintln!("{} {row} {column}: {} ({milliseconds} ms)", kernel.name, verdict.name());
                measured.cells.push(cell);
            }
            Err(_) => eprintln!("{text}"),
        },
        _ => {}
    });
    if let Err(error) = ended {
        eprintln!("{error}");
    }
    measured.took = start.elapsed();
    measured
}

/// Writes the JSON and the document, where they are asked for.
///
/// # Errors
/// When one cannot be read or written.
pub fn write(request: &Request, records: Vec<Record>) -> Result<(), String> {
    let Some(path) = &request.json else { return Ok(()) };
    let complain = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let old = match std::fs::read(path) {
        Ok(text) if !request.is_whole() => serde_json::from_slice(&text).map_err(|error| complain(&error))?,
        _ => Vec::new(),
    };
    let records = merge(old, records);
    let text = serde_json::to_vec_pretty(&records).map_err(|error| complain(&error))?;
    std::fs::write(path, text).map_err(|error| complain(&error))?;
    if let Some(document) = &request.document {
        let text = std::fs::read_to_string(document).map_err(|error| format!("{}: {error}", document.display()))?;
        let text = document::rewrite(&text, &document::measured(&records, &row::all(), &Expectations::read()))?;
        std::fs::write(document, text).map_err(|error| format!("{}: {error}", document.display()))?;
    }
    Ok(())
}

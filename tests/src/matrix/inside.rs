//! The cells of one row, in a world that is there already.

use std::time::{Duration, Instant};

use super::cell::Cell;
use super::column::{self, Column, Purpose};
use super::row::Row;
use crate::harness::judge::{self, Order, Verdict};
use crate::harness::world::peers::Tally;
use crate::harness::world::{Kind, World};

/// No packet for this long: what came before has come to rest.
const REST: Duration = Duration::from_millis(40);
/// Beyond a cell's own limit: for timeout(1) to kill, and for an emulated machine to do it.
const GRACE: u64 = 5;

/// Runs a row by those of its columns that are wanted.
///
/// # Panics
/// When a command cannot be judged.
pub fn cells<'a>(
    world: &'a mut World,
    row: &'a Row,
    wanted: impl Fn(Column) -> bool + 'a,
) -> impl Iterator<Item = Cell> + 'a {
    if let Err(complaint) = prepare(world, row) {
        panic!("{complaint}");
    }
    let columns = column::ALL.into_iter().filter(|column| row.has(*column)).filter(move |column| wanted(*column));
    columns.map(move |column| cell(world, row, column))
}

/// Prepares a row, where it needs that.
///
/// # Errors
/// What was run and what it said.
pub fn prepare(world: &mut World, row: &Row) -> Result<(), String> {
    row.prepare.as_ref().map_or(Ok(()), |line| succeeds(world, line, true))
}

/// The cells of the reference columns, for a row that this machine is said to be unable to run; none, where its preparation
/// fails.
///
/// # Panics
/// When a command cannot be judged.
pub fn references(world: &mut World, row: &Row) -> Vec<Cell> {
    if prepare(world, row).is_err() {
        return Vec::new();
    }
    let columns = column::ALL.into_iter().filter(|column| column.purpose == Purpose::Reference && row.has(*column));
    columns.map(|column| cell(world, row, column)).collect()
}

fn cell(world: &mut World, row: &Row, column: Column) -> Cell {
    let start = Instant::now();
    begin(world, row, column);
    let line = |line: &str| format!("set -e; {}", line.replace("{uid}", &column.uid().to_string()));
    if let Some(setting) = column.setting {
        shell(world, &line(setting.begin), !setting.is_users || column.is_root);
    }
    // The last acknowledgements of one cell must not be counted in the next.
    rest(world);
    let verdict = world.judge(&order(world, row, column, &[], &[]));
    let mut cell = Cell::new(&row.name, column.name, &verdict, &rest(world));
    if let Some(setting) = column.setting {
        shell(world, &line(setting.end), true);
    }
    if let Some(line) = &row.after {
        shell(world, line, column.is_root);
    }
    cell.milliseconds = start.elapsed().as_millis() as u64;
    cell
}

fn begin(world: &mut World, row: &Row, column: Column) {
    for (line, as_root) in [(&row.before_as_root, true), (&row.before, column.is_root)] {
        if let Some(line) = line {
            shell(world, line, as_root);
        }
    }
}

/// Runs a row once more, with more options of vrfrun's and with these words before the program. Its packets are not judged.
///
/// # Panics
/// When a command cannot be judged.
pub fn once_more(world: &mut World, row: &Row, column: Column, options: &[&str], before: &[&str]) -> Verdict {
    begin(world, row, column);
    let verdict = world.judge(&order(world, row, column, options, before));
    if let Some(line) = &row.after {
        shell(world, line, column.is_root);
    }
    verdict
}

/// Waits until no packet comes any more; returns what came meanwhile.
fn rest(world: &mut World) -> Vec<[Tally; 3]> {
    let mut late = Vec::new();
    loop {
        std::thread::sleep(REST);
        let tallies = world.take().unwrap_or_else(|error| panic!("packets could not be counted: {error}"));
        if tallies.iter().all(|tally| tally.flows.is_empty()) {
            return late;
        }
        late.push(tallies);
    }
}

fn order(world: &World, row: &Row, column: Column, options: &[&str], before: &[&str]) -> Order {
    let limit = row.limit.to_string();
    // timeout(1) outside, so that vrfrun sees the program itself and not a helper of ours.
    let mut words: Vec<String> = ["timeout", "-k", "2", &limit].map(String::from).into();
    words.extend(row.outer.iter().cloned());
    let options: Vec<String> =
        row.options.iter().cloned().chain(options.iter().map(|word| (*word).to_owned())).collect();
    words.extend(column.words(&options, world.kind() != Kind::Links));
    words.extend(before.iter().map(|word| (*word).to_owned()));
    words.extend(row.run.iter().cloned());
    let bin = world.bin().to_string_lossy();
    let words = words.iter().map(|word| word.replace("{bin}", &bin));
    let order = if column.is_started_by_root() { judge::root(words) } else { judge::user(words) };
    order.within(Duration::from_secs(row.limit + GRACE))
}

/// Runs a line of preparation in the world. What it leaves running stays for the cell.
fn shell(world: &mut World, line: &str, as_root: bool) {
    if let Err(complaint) = succeeds(world, line, as_root) {
        panic!("{complaint}");
    }
}

/// Whether a shell's line ends well.
///
/// # Errors
/// What was run and what it said.
pub fn succeeds(world: &mut World, line: &str, as_root: bool) -> Result<(), String> {
    let words = ["sh", "-c", &line.replace("{bin}", &world.bin().to_string_lossy())];
    let verdict = world.judge(&if as_root { judge::root(words) } else { judge::user(words) });
    if verdict.code == 0 { Ok(()) } else { Err(format!("{line}\n{verdict}")) }
}

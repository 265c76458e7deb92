//! Runs rows on the kernel that this process runs on, and writes each cell as a line on stdout.

use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::cell::Cell;
use super::column::{self, Column};
use super::row::{self, Row};
use crate::guest::init::remove_groups;
use crate::judge::{self, Order};
use crate::world::peers::Tally;
use crate::world::{Kind, World};
use crate::{demo, programs};

/// No packet for this long: what came before has come to rest.
const REST: Duration = Duration::from_millis(40);
/// Beyond a cell's own limit: for timeout(1) to kill, and for an emulated machine to do it.
const GRACE: u64 = 5;

/// Runs each row in a process of its own, so that one that hangs or dies takes no other with it.
///
/// # Errors
/// When a process cannot be started or waited for.
pub fn all(names: &[String]) -> io::Result<()> {
    // Daemons that a row leaves come here to be buried.
    nix::sys::prctl::set_child_subreaper(true)?;
    for name in names {
        let child = Command::new("/proc/self/exe").args(["leak", name]).stdin(Stdio::null()).spawn()?;
        let cells = column::ALL.len() as u64;
        let limit = row::named(name).map_or(0, |row| (row.limit + GRACE) * cells);
        wait(child.id(), Duration::from_secs(60 + limit))?;
        if programs::in_guest() {
            bury_all()?;
        }
    }
    Ok(())
}

/// Builds a world and runs one row in it, by the columns of that name or by all that make sense.
///
/// # Errors
/// When there is no such row or the world cannot be built.
///
/// # Panics
/// When a command cannot be judged.
pub fn one(name: &str, only: &[String]) -> io::Result<()> {
    let row = row::named(name).ok_or_else(|| io::Error::other(format!("there is no row '{name}'")))?;
    // Preparations change a machine for good: files in /etc, passwords.
    if row.prepare.is_some() && !programs::in_guest() {
        return Err(io::Error::other(format!("'{name}' is prepared in guests only")));
    }
    let mut world = if programs::in_guest() { World::of_machine(Kind::Vrfs) } else { World::new(demo::kind()) }?;
    for cell in cells(&mut world, &row, |column| only.is_empty() || only.iter().any(|name| name == column.name)) {
        let mut line = serde_json::to_vec(&cell)?;
        line.push(b'\n');
        io::stdout().lock().write_all(&line)?;
    }
    Ok(())
}

/// Runs a row by those of its columns that are wanted.
///
/// # Panics
/// When a command cannot be judged.
pub fn cells<'a>(
    world: &'a mut World,
    row: &'a Row,
    wanted: impl Fn(Column) -> bool + 'a,
) -> impl Iterator<Item = Cell> + 'a {
    if let Some(line) = &row.prepare {
        shell(world, line, true);
    }
    let makes_sense = |column: &Column| row.only.is_empty() || row.only.iter().any(|name| name == column.name);
    let columns = column::ALL.into_iter().filter(makes_sense).filter(move |column| wanted(*column));
    columns.map(move |column| cell(world, row, column))
}

fn cell(world: &mut World, row: &Row, column: Column) -> Cell {
    for (line, as_root) in [(&row.before_as_root, true), (&row.before, column.is_root)] {
        if let Some(line) = line {
            shell(world, line, as_root);
        }
    }
    // The last acknowledgements of one cell must not be counted in the next.
    rest(world);
    let verdict = world.judge(&order(world, row, column));
    let cell = Cell::new(&row.name, column.name, &verdict, &rest(world));
    if let Some(line) = &row.after {
        shell(world, line, column.is_root);
    }
    cell
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

fn order(world: &World, row: &Row, column: Column) -> Order {
    let limit = row.limit.to_string();
    // timeout(1) outside, so that vrfrun sees the program itself and not a helper of ours.
    let mut words: Vec<String> = ["timeout", "-k", "2", &limit].map(String::from).into();
    words.extend(row.outer.iter().cloned());
    words.extend(column.words(&row.options, world.kind() == Kind::Vrfs));
    words.extend(row.run.iter().cloned());
    let bin = world.bin().to_string_lossy();
    let words = words.iter().map(|word| word.replace("{bin}", &bin));
    let order = if column.is_root { judge::root(words) } else { judge::user(words) };
    order.within(Duration::from_secs(row.limit + GRACE))
}

/// Runs a line of preparation in the world. What it leaves running stays for the cell.
fn shell(world: &mut World, line: &str, as_root: bool) {
    let words = ["sh", "-c", &line.replace("{bin}", &world.bin().to_string_lossy())];
    let verdict = world.judge(&if as_root { judge::root(words) } else { judge::user(words) });
    assert_eq!(verdict.code, 0, "{line}\n{verdict}");
}

fn wait(pid: u32, limit: Duration) -> io::Result<()> {
    let (pid, deadline) = (Pid::from_raw(pid as i32), Instant::now() + limit);
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG))? {
            WaitStatus::Exited(ended, _) | WaitStatus::Signaled(ended, ..) if ended == pid => return Ok(()),
            WaitStatus::StillAlive if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(10)),
            WaitStatus::StillAlive => {
                kill(pid, Signal::SIGKILL)?;
            }
            _ => {}
        }
    }
}

/// Ends whatever the row left. In a guest, kill(-1) reaches all but process 1 and this one.
fn bury_all() -> io::Result<()> {
    let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
    // ECHILD: nobody is left.
    while waitpid(None, None).is_ok() {}
    remove_groups(Path::new("/sys/fs/cgroup"));
    Ok(())
}

//! The matrix on the machine that builds, whatever its kernel: in VRFs that vrfsetup emulates, without a virtual machine.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::{Barrier, Mutex};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::cell::Cell;
use super::column::{self, Column, Purpose};
use super::inside;
use super::row::{self, NATIVE, Row};
use super::traced;
use crate::harness::judge::USER;
use crate::harness::programs::Set;
use crate::harness::world::{Kind, World};

/// Worlds side by side: a row waits more than it works.
const WORLDS: usize = 3;

/// How many sockets and connections a column's trace and strace(1) both have shown, or what was not the same.
pub type Traced = (Column, Result<usize, String>);

/// Does this with each row, in worlds of its own. What came of it, in the order of the rows.
///
/// # Panics
/// When a world cannot be built, and when the work does.
pub fn each_row<T: Send>(work: impl Fn(&mut World, &mut Row) -> T + Sync) -> Vec<(Row, T)> {
    let done = Mutex::new(Vec::new());
    // While a world copies its programs nobody forks: whoever did would hold them open, and they could not be run.
    let (building, built) = (Mutex::new(()), Barrier::new(WORLDS));
    let build = || {
        let _alone = building.lock();
        build()
    };
    // Each world has its own rows, and so the same ones before each of them whatever the others do.
    let run = |first: usize| {
        let world = build();
        built.wait();
        let mut world = world.unwrap_or_else(|error| panic!("{error}"));
        for (place, mut row) in row::all().into_iter().enumerate().skip(first).step_by(WORLDS) {
            let result = work(&mut world, &mut row);
            bury();
            if let Ok(mut done) = done.lock() {
                done.push((place, row, result));
            }
        }
    };
    std::thread::scope(|scope| {
        for first in 0..WORLDS {
            scope.spawn(move || run(first));
        }
    });
    let mut done = done.into_inner().unwrap_or_default();
    done.sort_by_key(|(place, ..)| *place);
    done.into_iter().map(|(_, row, result)| (row, result)).collect()
}

fn build() -> io::Result<World> {
    let mut world = World::with(Kind::Emulated, Set::All)?;
    world.keep_apart(USER)?;
    Ok(world)
}

/// The columns that make sense there: the machine's users, logins and containers are its own, and `ip vrf exec` knows no
/// emulated VRF.
pub fn columns() -> Vec<Column> {
    let is_native = |column: &Column| column.setting.is_none() && column.purpose != Purpose::Comparison;
    column::ALL.into_iter().filter(is_native).collect()
}

/// Runs a row by these columns. What this machine lacks makes it absent; it is then run without a mechanism all the same,
/// and whatever that sends is a fault.
///
/// # Panics
/// When a command cannot be judged.
pub fn cells(world: &mut World, row: &mut Row) -> Vec<Cell> {
    if is_lacking(world, row) {
        let why = row.native.iter().map(|need| need.why.clone());
        row.absent.extend(why.map(|why| (NATIVE.to_owned(), why)));
        return inside::references(world, row);
    }
    let columns = columns();
    inside::cells(world, row, |column| columns.contains(&column)).collect()
}

fn is_lacking(world: &mut World, row: &Row) -> bool {
    row.native.as_ref().is_some_and(|need| inside::succeeds(world, &need.needs, true).is_err())
}

/// Runs a row by each mechanism with `--trace`, below which strace(1) watches the program; not where this machine lacks what
/// the row needs.
///
/// # Panics
/// When a command cannot be judged.
pub fn traces(world: &mut World, row: &Row) -> Vec<Traced> {
    if is_lacking(world, row) {
        return Vec::new();
    }
    inside::prepare(world, row).unwrap_or_else(|complaint| panic!("{complaint}"));
    let is_traced = |column: &Column| column.purpose == Purpose::Full && row.has(*column);
    columns().into_iter().filter(is_traced).map(|column| (column, trace(world, row, column))).collect()
}

fn trace(world: &mut World, row: &Row, column: Column) -> Result<usize, String> {
    let log = world.directory().join("strace");
    let name = log.to_string_lossy().into_owned();
    let ready = fs::write(&log, "").and_then(|()| fs::set_permissions(&log, fs::Permissions::from_mode(0o666)));
    ready.unwrap_or_else(|error| panic!("{name}: {error}"));
    let before: Vec<&str> = traced::STRACE.iter().copied().chain(["-o", &name]).collect();
    let verdict = inside::once_more(world, row, column, &["--trace=json"], &before);
    let log = fs::read_to_string(&log).unwrap_or_else(|error| panic!("{name}: {error}"));
    // Where vrfrun starts nothing, the matrix tells whether that is right.
    if log.is_empty() && verdict.code != 125 {
        return Err(format!("strace shows no program: {verdict}"));
    }
    traced::compare(&verdict.error_text(), &log).map_err(|complaint| format!("{complaint}{log}{verdict}"))
}

/// Ends what a row has left running in this thread's network namespace.
fn bury() {
    loop {
        let left = left_behind();
        if left.is_empty() {
            return;
        }
        for pid in left {
            // It may have ended meanwhile.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Processes in the network namespace of this thread, but its own. The dead have no program.
fn left_behind() -> Vec<i32> {
    let namespace =
        |process: &str| fs::metadata(format!("/proc/{process}/ns/net")).ok().map(|file| (file.dev(), file.ino()));
    let ours = namespace("thread-self");
    // Who cannot be told from the machine's own is left alone.
    assert!(ours.is_some() && ours != namespace("1"), "this thread is in the machine's own network namespace");
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let own = std::process::id() as i32;
    let is_left = |pid: &i32| {
        let name = pid.to_string();
        *pid != own && namespace(&name) == ours && fs::read_link(format!("/proc/{name}/exe")).is_ok()
    };
    numbers.filter(is_left).collect()
}

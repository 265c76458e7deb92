//! Runs rows on the kernel that this process runs on, and writes each cell as a line on stdout.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::column::{self, Column};
use super::inside;
use super::row::{self, Row};
use crate::demo;
use crate::harness::process::remove_groups;
use crate::harness::programs;
use crate::harness::world::{Kind, World};

/// Runs these rows one after the other, in one world, by the columns among the names or by all. A row that breaks it ends
/// its process; the rows after it get a new one.
///
/// # Errors
/// When a process cannot be started.
pub fn all(names: &[String]) -> io::Result<()> {
    // Daemons that a row leaves come here to be buried.
    nix::sys::prctl::set_child_subreaper(true)?;
    let (columns, rows) = split(names);
    let mut rest = &rows[..];
    while !rest.is_empty() {
        let begun = tempfile::NamedTempFile::new()?;
        let mut part = Command::new("/proc/self/exe");
        part.arg("leaks-until-one-breaks").arg(begun.path()).args(&columns).args(rest).stdin(Stdio::null());
        let status = part.status()?;
        bury_all(&[]);
        if status.success() {
            break;
        }
        // Each row that was begun left a byte. What the broken one said is on stderr; its missing cells are a fault.
        rest = &rest[rest.len().min(begun.path().metadata()?.len().max(1) as usize)..];
    }
    Ok(())
}

/// Runs these rows in one world, and adds a byte to the file as each begins.
///
/// # Errors
/// When there is no such row, or no world can be built.
///
/// # Panics
/// When a row's preparation fails or a command cannot be judged.
pub fn until_one_breaks(begun: &str, names: &[String]) -> io::Result<()> {
    nix::sys::prctl::set_child_subreaper(true)?;
    let mut begun = File::options().append(true).open(begun)?;
    let mut world = build()?;
    let (columns, rows) = split(names);
    for name in &rows {
        begun.write_all(b".")?;
        write_cells(&mut world, &known(name)?, &columns)?;
        bury_all(&world.peers());
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
    let row = known(name)?;
    // Preparations change a machine for good: files in /etc, passwords.
    if row.prepare.is_some() && !programs::in_guest() {
        return Err(io::Error::other(format!("'{name}' is prepared in guests only")));
    }
    write_cells(&mut build()?, &row, only)
}

/// The columns among these names, and the rows.
fn split(names: &[String]) -> (Vec<String>, Vec<String>) {
    names.iter().cloned().partition(|name| column::named(name).is_some())
}

fn known(name: &str) -> io::Result<Row> {
    row::named(name).ok_or_else(|| io::Error::other(format!("there is no row '{name}'")))
}

fn build() -> io::Result<World> {
    if programs::in_guest() { World::of_machine(Kind::Vrfs) } else { World::new(demo::kind()) }
}

/// By all columns, where none is named. Off a machine of its own nobody makes a login or a container for it.
fn write_cells(world: &mut World, row: &Row, only: &[String]) -> io::Result<()> {
    let is_named = |column: Column| only.is_empty() || only.iter().any(|name| name == column.name);
    let wanted = |column: Column| is_named(column) && (column.setting.is_none() || programs::in_guest());
    for cell in inside::cells(world, row, wanted) {
        let mut line = serde_json::to_vec(&cell)?;
        line.push(b'\n');
        io::stdout().lock().write_all(&line)?;
    }
    Ok(())
}

/// Ends whatever the row left, in a guest: every process but the world's.
fn bury_all(peers: &[u32]) {
    if !programs::in_guest() {
        return;
    }
    // The parent is the process that starts the next one where a row breaks this one.
    let mut ours = vec![1, std::process::id(), nix::unistd::getppid().as_raw() as u32];
    ours.extend(peers);
    loop {
        let left = strangers(&ours);
        if left.is_empty() {
            break;
        }
        for pid in left {
            // It may have ended meanwhile.
            let _ = kill(Pid::from_raw(pid as i32), Signal::SIGKILL);
        }
        while waitpid(None, Some(WaitPidFlag::WNOHANG)).is_ok_and(|ended| ended != WaitStatus::StillAlive) {}
        std::thread::sleep(Duration::from_millis(5));
    }
    remove_groups(Path::new("/sys/fs/cgroup"));
}

/// Processes that run and are none of `ours`. The kernel's own threads, and the dead, have no program.
fn strangers(ours: &[u32]) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter(|pid| !ours.contains(pid) && std::fs::read_link(format!("/proc/{pid}/exe")).is_ok()).collect()
}

/// Whether each word is a column's name; for the one who runs a single row by hand.
pub fn are_columns(words: &[String]) -> bool {
    words.iter().all(|word| column::named(word).is_some())
}

//! nft(8), by which the kernel is told of the nftables tables that are vrfsetup's.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use nix::fcntl::{Flock, FlockArg};

use crate::model::nft::Table;
use crate::sys::netlink::{KernelError, errno_text};
use crate::sys::run_dir;

/// The table as nft lists it, with numbers for priorities (their names differ between its releases); None if there is
/// none.
///
/// # Errors
/// nft(8) is not installed, or what it was refused.
pub fn list(Table { families, name, .. }: Table) -> Result<Option<String>, KernelError> {
    let mut listed = String::new();
    for family in families {
        let tables = run(&["list", "tables", family], Stdio::null())?;
        if tables.lines().any(|line| line.trim() == format!("table {family} {name}")) {
            listed += &run(&["-y", "list", "table", family, name], Stdio::null())?;
        }
    }
    Ok(Some(listed).filter(|listed| !listed.is_empty()))
}

/// Puts this text in the place of the table; None removes it.
///
/// # Errors
/// As [`list`]; then it is as it was.
pub fn replace(table: Table, text: Option<&str>) -> Result<(), KernelError> {
    let path = run_dir::path("nft")?;
    let mut file = open_alone(&path)?;
    let name = path.to_string_lossy();
    let written = file.set_len(0).and_then(|()| file.write_all(table.script(text).as_bytes()));
    let made = written.and_then(|()| file.try_clone()).map_err(KernelError::from);
    let made = made.and_then(|copy| run(&["-f", &name], copy.into()).map(drop));
    // On a full disk, too.
    let _ = fs::remove_file(&path);
    made
}

/// The script's file. nft holds its lock along with us, as standard input: where we are killed meanwhile, who undoes the
/// change waits for the end of that nft.
fn open_alone(path: &Path) -> Result<Flock<File>, KernelError> {
    run_dir::make_directory()?;
    let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    Flock::lock(open, FlockArg::LockExclusive).map_err(|(_, errno)| errno.into())
}

fn run(arguments: &[&str], stdin: Stdio) -> Result<String, KernelError> {
    let output = Command::new("nft").args(arguments).env("LC_ALL", "C").stdin(stdin).output();
    match output {
        Ok(output) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        Ok(output) => Err(refusal(&output)),
        Err(error) => Err(not_run(&error)),
    }
}

fn not_run(error: &io::Error) -> KernelError {
    KernelError { text: Some("cannot run nft".to_owned()), ..KernelError::from_io(error) }
}

/// The first line that nft wrote, which ends with the kernel's answer where that is what it is about.
fn refusal(output: &Output) -> KernelError {
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().next().unwrap_or("nft failed").trim();
    match line.rsplit_once(": ").and_then(|(what, words)| Some((what, errno_of(words)?))) {
        Some((what, errno)) => KernelError { errno, text: Some(format!("nft: {}", what_failed(what))) },
        None => KernelError { errno: libc::EINVAL, text: Some(format!("nft: {line}")) },
    }
}

/// Without the place in the script, which is no file of the user's.
fn what_failed(line: &str) -> &str {
    line.split_once("Error: ").map_or(line, |(_, what)| what)
}

fn errno_of(words: &str) -> Option<i32> {
    let words = words.split(" (").next().unwrap_or(words);
    (1..=libc::EHWPOISON).find(|errno| errno_text(*errno) == words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    fn refused(stderr: &str) -> String {
        let output = Output { status: ExitStatus::from_raw(256), stdout: Vec::new(), stderr: stderr.into() };
        refusal(&output).to_string()
    }

    #[test]
    fn the_kernels_answer_is_read_from_what_nft_says() {
        let said = "/run/x.nft:3:1-5: Error: Could not process rule: Operation not supported\nadd\n^^^\n";
        assert_eq!(refused(said), "nft: Could not process rule: Operation not supported");
        assert_eq!(
            refused("Operation not permitted (you must be root)\n"),
            "nft: Operation not permitted (you must be root): Invalid argument"
        );
        assert_eq!(refused(""), "nft: nft failed: Invalid argument");
    }
}

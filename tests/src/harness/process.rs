//! Process 1's duties in a guest: a test is run for so long, orphans are buried, all others ended, cgroups removed.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::vm::report::Event;

/// Runs one test by this command, for this long at most.
pub fn run_test(name: &str, command: &mut Command, limit: Duration) -> io::Result<Event> {
    let output = tempfile::NamedTempFile::new()?;
    let start = Instant::now();
    let child = command.stdin(Stdio::null()).stdout(output.reopen()?).stderr(output.reopen()?).spawn()?;
    let passed = wait_for(child.id(), start + limit)?;
    let mut text = String::from_utf8_lossy(&std::fs::read(output.path())?).into_owned();
    if passed == Some(true) {
        text.clear();
    } else if passed.is_none() {
        text.push_str("\nthe test did not end in time");
    }
    Ok(Event::Test {
        name: name.to_owned(),
        passed: passed == Some(true),
        milliseconds: start.elapsed().as_millis() as u64,
        output: text,
    })
}

/// Waits for one process, burying orphans meanwhile: that is process 1's duty. None: out of time.
fn wait_for(pid: u32, deadline: Instant) -> io::Result<Option<bool>> {
    let pid = Pid::from_raw(pid as i32);
    while Instant::now() < deadline {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(ended, code)) if ended == pid => return Ok(Some(code == 0)),
            Ok(WaitStatus::Signaled(ended, ..)) if ended == pid => return Ok(Some(false)),
            Ok(WaitStatus::StillAlive) => std::thread::sleep(Duration::from_millis(5)),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

/// Ends every process but this one: as process 1, kill(-1) reaches all others.
pub fn end_all() -> io::Result<()> {
    let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
    loop {
        match waitpid(None, None) {
            Err(Errno::ECHILD) => return Ok(()),
            Err(error) if error != Errno::EINTR => return Err(error.into()),
            _ => {}
        }
    }
}

/// Removes all cgroups below `directory`; each is empty, now that no process is left.
pub fn remove_groups(directory: &Path) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_groups(&entry.path());
            // The kernel may still hold a group whose last process has just ended; it is harmless.
            let _ = std::fs::remove_dir(entry.path());
        }
    }
}

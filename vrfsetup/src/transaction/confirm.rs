//! The process that undoes a change unless `vrfsetup confirm` comes in time.
//!
//! It must outlive the login over which the change was typed: systemd runs it as a unit of its own; elsewhere, and in
//! a network namespace that systemd could not find again, it is a grandchild in a session of its own that leaves the
//! caller's cgroup.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::sys::netlink::Kernel;
use crate::sys::run_dir;
use crate::transaction::journal;
use crate::transaction::{lock, rollback};

const PAUSE: Duration = Duration::from_millis(200);
/// The hidden verbs by which this program calls itself.
pub const DETACH: &str = "__detach";
/// The other one.
pub const ROLL_BACK: &str = "__roll-back";

/// Starts the process that rolls a journal back.
///
/// # Errors
/// No process can be started; then nothing may be changed.
pub fn start(journal: &Path, seconds: u64, netns: Option<&str>) -> io::Result<()> {
    let can_be_found_again = netns.is_some() || run_dir::is_first_netns();
    if can_be_found_again && Path::new("/run/systemd/system").exists() && as_unit(journal, seconds, netns)? {
        return Ok(());
    }
    let mut child = Command::new("/proc/self/exe");
    child.arg(DETACH).arg(journal).arg(seconds.to_string());
    let status = child.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other("the rollback cannot be started")) }
}

/// False where systemd-run is missing or refuses.
fn as_unit(journal: &Path, seconds: u64, netns: Option<&str>) -> io::Result<bool> {
    let unit = format!("--unit=vrfsetup-rollback-{}-{}", run_dir::netns()?, std::process::id());
    let mut run = Command::new("systemd-run");
    run.args(["--quiet", "--collect", "--no-ask-password", &unit, "--description=vrfsetup: undo unless confirmed"]);
    run.arg("--").arg(std::env::current_exe()?);
    if let Some(name) = netns {
        run.args(["-n", name]);
    }
    run.arg(ROLL_BACK).arg(journal).arg(seconds.to_string());
    run.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(run.status().is_ok_and(|status| status.success()))
}

/// The child: leaves the session and has a child of its own, which nobody waits for.
///
/// # Errors
/// Those of setsid(2) and fork(2).
pub fn detach(journal: &Path, seconds: u64) -> io::Result<()> {
    nix::unistd::setsid()?;
    leave_cgroup();
    let mut child = Command::new("/proc/self/exe");
    child.arg(ROLL_BACK).arg(journal).arg(seconds.to_string()).current_dir("/");
    child.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().map(drop)
}

/// Moves to the top of every hierarchy by which a login is ended; where that is refused, nobody ends logins so.
fn leave_cgroup() {
    for top in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"] {
        let _ = fs::write(Path::new(top).join("cgroup.procs"), "0");
    }
}

/// The process itself: waits, and undoes everything unless the journal is gone by then.
///
/// # Errors
/// A step cannot be undone.
pub fn wait_and_roll_back(kernel: &Kernel, journal: &Path, seconds: u64) -> Result<(), Error> {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < deadline {
        if !journal.exists() {
            return Ok(());
        }
        sleep(PAUSE);
    }
    // The change itself may still be going on.
    let _lock = lock::lock();
    match journal::claim(journal) {
        Ok(Some(steps)) => rollback::undo(kernel, steps),
        Ok(None) => Ok(()),
        Err(source) => Err(Error::file(journal, &source)),
    }
}

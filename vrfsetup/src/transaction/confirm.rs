//! The process that undoes a change unless `vrfsetup confirm` comes in time: the watcher.
//!
//! It must outlive the login over which the change was typed: systemd runs it as a unit of its own; elsewhere, and in
//! a network namespace that systemd could not find again, it is a grandchild in a session of its own that leaves the
//! caller's cgroup. While it lives it holds a lock on the journal, by which others know that it does.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};

use crate::error::Error;
use crate::sys::netlink::Kernel;
use crate::sys::run_dir;
use crate::sys::signals::{self, Signals};
use crate::sys::systemd;
use crate::transaction::journal::{Journal, State};
use crate::transaction::{lock, rollback};

const PAUSE: Duration = Duration::from_millis(200);
/// How long the watcher may take to come up.
const START: Duration = Duration::from_secs(8);
/// How often it is looked for meanwhile.
const LOOK: Duration = Duration::from_millis(5);
/// The hidden verbs by which this program calls itself.
pub const DETACH: &str = "__detach";
/// The other one.
pub const ROLL_BACK: &str = "__roll-back";

/// Starts the watcher of a journal, and sees that it watches.
///
/// # Errors
/// No process can be started; then nothing may be changed.
pub fn start(journal: &Path, seconds: u64, netns: Option<&str>) -> io::Result<()> {
    let can_be_found_again = netns.is_some() || run_dir::is_first_netns();
    // What a path like /proc/self/ns/net means to systemd is something else: then nobody watches this journal.
    if can_be_found_again && systemd::is_running() && as_unit(journal, seconds, netns)? && comes_up(journal) {
        return Ok(());
    }
    let mut child = Command::new("/proc/self/exe");
    child.arg(DETACH).arg(journal).arg(seconds.to_string());
    let status = child.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    let is_up = status.success() && comes_up(journal);
    if is_up { Ok(()) } else { Err(io::Error::other("the rollback cannot be started")) }
}

/// False where systemd-run is missing or refuses.
fn as_unit(journal: &Path, seconds: u64, netns: Option<&str>) -> io::Result<bool> {
    let unit = format!("--unit=vrfsetup-rollback-{}-{}", run_dir::netns()?, std::process::id());
    let mut run = Command::new("systemd-run");
    run.args(["--quiet", "--collect", "--no-ask-password", &unit, "--description=vrfsetup: undo unless confirmed"]);
    run.arg("--").arg(std::env::current_exe()?);
    if let Some(name) = netns {
        run.arg("-n").arg(as_seen_from_anywhere(name)?);
    }
    run.arg(ROLL_BACK).arg(journal).arg(seconds.to_string());
    run.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(run.status().is_ok_and(|status| status.success()))
}

/// A name of `ip netns` stays one; a path is taken from our working directory.
fn as_seen_from_anywhere(netns: &str) -> io::Result<PathBuf> {
    if netns.contains('/') { std::path::absolute(netns) } else { Ok(netns.into()) }
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
        // Where this is no hierarchy there is no such file, and none is made.
        let members = File::options().write(true).open(Path::new(top).join("cgroup.procs"));
        let _ = members.and_then(|mut members| members.write_all(b"0"));
    }
}

fn comes_up(journal: &Path) -> bool {
    let deadline = Instant::now() + START;
    while !is_watched(journal) {
        if Instant::now() > deadline {
            return false;
        }
        sleep(LOOK);
    }
    true
}

/// Whether a process lives that would undo the change of this journal.
pub fn is_watched(journal: &Path) -> bool {
    let lock = File::open(journal).map(|file| Flock::lock(file, FlockArg::LockExclusiveNonblock));
    matches!(lock, Ok(Err(_)))
}

/// The process itself: waits, and undoes everything unless the change is confirmed or undone by then.
///
/// # Errors
/// The journal is of another network namespace, or a step cannot be undone.
pub fn wait_and_roll_back(kernel: &Kernel, journal: &Path, seconds: u64) -> Result<(), Error> {
    let unusable = |error: io::Error| Error::file(journal, &error);
    signals::take().map_err(unusable)?;
    if State::Begun.path().map_err(unusable)? != journal {
        return Err(Error::Usage(format!("'{}' is of another network namespace", journal.display())));
    }
    let watched = File::open(journal).map_err(unusable)?;
    let inode = watched.metadata().map_err(unusable)?.ino();
    let _watch = Flock::lock(watched, FlockArg::LockShared).map_err(|(_, errno)| unusable(errno.into()))?;
    let deadline = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < deadline {
        if state(inode).is_none() {
            return Ok(());
        }
        sleep(PAUSE);
    }
    let _signals = Signals::hold().map_err(unusable)?;
    // The change itself may still be going on.
    let _lock = lock::lock(|| false).map_err(unusable)?;
    let Some(state) = state(inode) else { return Ok(()) };
    let journal = Journal::open(state).map_err(unusable)?;
    let left = journal.map_or(Ok(Vec::new()), |journal| rollback::roll_back(kernel, journal))?;
    if left.is_empty() { Ok(()) } else { Err(Error::Left(left)) }
}

/// What has become of the change whose journal has this inode; None if it is confirmed or undone. The number is given
/// to no other file while this one is open.
fn state(inode: u64) -> Option<State> {
    let is_it = |path: PathBuf| fs::metadata(path).is_ok_and(|metadata| metadata.ino() == inode);
    [State::Begun, State::Unconfirmed].into_iter().find(|state| state.path().is_ok_and(is_it))
}

//! One changing run at a time in each network namespace, from before it reads what is there until its end.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};
use std::{fs, process};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::sys::run_dir;

const PAUSE: Duration = Duration::from_millis(20);

/// Holds off every other changing run of this namespace while it lives.
pub struct Lock {
    _file: Flock<File>,
    /// Whether this is the first run in this namespace.
    pub is_new: bool,
}

/// Waits for the other runs to end; None if `gives_up` says so first.
///
/// # Errors
/// The file cannot be made: a read-only /run, or not root.
pub fn lock(mut gives_up: impl FnMut() -> bool) -> io::Result<Option<Lock>> {
    while !gives_up() {
        match Flock::lock(run_dir::open_lock()?, FlockArg::LockExclusiveNonblock) {
            Ok(mut lock) if is_current(&lock, &run_dir::path("lock")?)? => {
                let is_new = sign(&mut lock)?;
                return Ok(Some(Lock { _file: lock, is_new }));
            }
            // Its file was swept between the opening and the lock.
            Ok(_) => {}
            Err((_, Errno::EWOULDBLOCK)) => sleep(PAUSE),
            Err((_, errno)) => return Err(errno.into()),
        }
    }
    Ok(None)
}

/// Calls `look` while no run changes anything: changes wait meanwhile. None while one is going on.
pub fn look<T>(look: impl FnOnce() -> Option<T>) -> Option<T> {
    // Without its file nobody has changed anything since the machine came up; where it may not be read, neither may the
    // journals.
    let Ok(file) = run_dir::path("lock").and_then(File::open) else { return look() };
    let _no_change = Flock::lock(file, FlockArg::LockSharedNonblock).ok()?;
    let _turn = turn();
    look()
}

/// One look after the other: whoever asks whether a journal is watched holds it for a moment, as a watcher does. No change
/// waits for this lock while it holds its own. Who looks for longer than this, perhaps because it was stopped, is not waited
/// for.
fn turn() -> Option<Flock<File>> {
    let mut directory = run_dir::open_directory().ok()?;
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(5) {
        match Flock::lock(directory, FlockArg::LockExclusiveNonblock) {
            Ok(turn) => return Some(turn),
            Err((file, _)) => directory = file,
        }
        sleep(PAUSE);
    }
    None
}

/// The lock of another namespace, if nobody holds it and it was last held by a process that saw the processes that
/// this one sees (see `sweep`).
pub fn try_foreign(path: &Path) -> Option<Lock> {
    let file = File::options().read(true).write(true).open(path).ok()?;
    let mut lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).ok()?;
    let is_ours = is_current(&lock, path).ok()? && signature(&mut lock).ok()? == pid_namespace().ok()?;
    is_ours.then_some(Lock { _file: lock, is_new: false })
}

fn is_current(file: &File, path: &Path) -> io::Result<bool> {
    match fs::metadata(path) {
        Ok(current) => Ok(current.ino() == file.metadata()?.ino()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Writes down which PID namespace the holder is in; false if that stands there.
fn sign(file: &mut File) -> io::Result<bool> {
    let own = pid_namespace()?;
    let is_signed = signature(file)? == own;
    if !is_signed {
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(own.as_bytes())?;
    }
    Ok(!is_signed)
}

fn signature(file: &mut File) -> io::Result<String> {
    let mut text = String::new();
    file.rewind()?;
    file.read_to_string(&mut text)?;
    Ok(text)
}

/// `pid:[4026531836]`.
fn pid_namespace() -> io::Result<String> {
    let link = fs::read_link(format!("/proc/{}/ns/pid", process::id()))?;
    Ok(format!("{}\n", link.display()))
}

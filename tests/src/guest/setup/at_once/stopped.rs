//! A command that stops where another one may come between: strace(1) sends it SIGSTOP at one of its own system calls. What
//! comes then depends on nobody's speed.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempPath;

use crate::harness::vm::plan;
use crate::harness::wait::PATIENCE;

const DIRECTORY: &str = "/run/vrfsetup";

/// vrfsetup with these words, behind those of another program that runs it.
pub fn vrfsetup(before: &[&str], words: &str) -> Command {
    let program = format!("{}/vrfsetup", plan::DIRECTORY);
    let mut line = before.iter().copied().chain([program.as_str()]).chain(words.split(' '));
    let mut command = Command::new(line.next().expect("a program"));
    command.args(line).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// A command that ends with this value at the latest: one that is stopped would outlive a test that fails, with its lock.
struct Running(Child);

impl Running {
    fn start(mut command: Command) -> Self {
        Self(command.spawn().expect("a command"))
    }

    fn has_ended(&mut self) -> bool {
        self.0.try_wait().expect("its end").is_some()
    }

    fn end(mut self) -> Option<i32> {
        self.0.wait().expect("its end").code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Where it stops.
#[derive(Clone, Debug)]
pub enum At {
    /// Before it asks for the lock.
    Lock,
    /// When it has the lock and has read what is there, and before it changes any of that: at its journal.
    Journal,
    /// The same of one that has no journal: when it has opened this file.
    File(String),
}

/// One that has come there.
pub struct Stopped {
    command: Running,
    _log: TempPath,
}

impl Stopped {
    /// Starts it, and waits until it is there. `command` makes it, behind the words of the program that stops it.
    #[track_caller]
    pub fn start(at: &At, command: impl FnOnce(&[&str]) -> Command) -> Self {
        let log = tempfile::NamedTempFile::new().expect("a file").into_temp_path();
        // For the lock and for the journal it makes sure first that there is the directory.
        let (call, path, when) = match at {
            At::Lock => ("mkdir", DIRECTORY, 1),
            At::Journal => ("mkdir", DIRECTORY, 2),
            At::File(path) => ("openat", path.as_str(), 1),
        };
        let (log_path, trace) = (log.display().to_string(), format!("trace={call}"));
        let inject = format!("inject={call}:signal=SIGSTOP:when={when}");
        // -D: what is started is the command.
        let strace = ["strace", "-D", "-qq", "-o", &log_path, "-P", path, "-e", &trace, "-e", &inject];
        let mut command = Running::start(command(&strace));
        let said = || fs::read_to_string(&log).unwrap_or_default();
        let is_stopped = || said().contains("stopped by SIGSTOP");
        let is_there = wait_for(is_stopped, || command.has_ended());
        assert!(is_there, "it ended before it came to {at:?}: {}", said());
        Self { command, _log: log }
    }

    /// Lets it go on to its end.
    pub fn go_on(self) -> Option<i32> {
        kill(Pid::from_raw(self.command.0.id() as i32), Signal::SIGCONT).expect("a signal");
        self.command.end()
    }
}

/// A command that is started while another one holds the lock, and waits for that.
pub struct Waiting {
    command: Running,
    /// Whether it does wait: else it has ended.
    pub waits: bool,
}

impl Waiting {
    /// Starts it. Who is refused the lock opens its file again.
    pub fn start(command: Command) -> Self {
        let netns = fs::metadata("/proc/thread-self/ns/net").expect("the network namespace").ino();
        let watch = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).expect("inotify");
        watch.add_watch(DIRECTORY, AddWatchFlags::IN_OPEN).expect("a watch");
        let mut command = Running::start(command);
        let is_lock = |event: &InotifyEvent| {
            let name = event.name.as_ref().map(PathBuf::from).unwrap_or_default().display().to_string();
            name.starts_with(&format!("netns-{netns}-")) && name.ends_with(".lock")
        };
        let mut opened = 0;
        let is_refused = || {
            match watch.read_events() {
                Ok(events) => opened += events.iter().filter(|event| is_lock(event)).count(),
                Err(errno) => assert_eq!(errno, Errno::EAGAIN),
            }
            opened > 1
        };
        let waits = wait_for(is_refused, || command.has_ended());
        Self { command, waits }
    }

    /// Waits for its end.
    pub fn end(self) -> Option<i32> {
        self.command.end()
    }
}

/// Until the one thing or the other; whether it was the first.
#[track_caller]
fn wait_for(mut one: impl FnMut() -> bool, mut other: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + PATIENCE;
    loop {
        // In this order: who has ended has done before all that it does.
        let is_other = other();
        if one() {
            return true;
        }
        if is_other {
            return false;
        }
        assert!(Instant::now() < deadline, "neither came");
        sleep(Duration::from_millis(5));
    }
}

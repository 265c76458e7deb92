//! The command in one VRF: a child in a session of its own, and the two pipes of its output.

use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags};
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, dup2_stderr, dup2_stdin, dup2_stdout, pipe2, read, setsid};

use crate::each::signals::Signals;
use crate::error::{EXIT_OWN, Error};
use crate::sys::kernel::open_null;
use crate::sys::pidfd::Pidfd;
use crate::sys::process;

/// What a pipe holds at most, unless root has raised it.
const PIPE: usize = 1 << 20;
/// How many descriptors of a job are waited for.
pub const SOURCES: usize = 3;

/// A running command.
pub struct Job {
    /// Where it runs.
    pub vrf: OsString,
    /// What it has said and nobody has seen yet.
    pub stdout: Stream,
    /// The same of its standard error.
    pub stderr: Stream,
    child: Pid,
    ended: Pidfd,
    since: Instant,
}

/// How it ended.
pub struct End {
    /// Its exit status, or 128 and the signal that ended it, as a shell says it.
    pub status: i32,
    /// How long it ran.
    pub took: Duration,
}

impl Job {
    /// Starts it: `start` becomes the command, or returns the exit status.
    pub fn start(vrf: OsString, signals: &Signals, start: impl FnOnce(&OsString) -> i32) -> Result<Self, Error> {
        let pipe = || pipe2(OFlag::O_CLOEXEC).map_err(Error::kernel("make a pipe"));
        let ((stdout, out), (stderr, err)) = (pipe()?, pipe()?);
        let (stdout, stderr) = (Stream::new(stdout)?, Stream::new(stderr)?);
        let since = Instant::now();
        match process::fork().map_err(Error::kernel("fork"))? {
            ForkResult::Child => process::exit(match prepare(signals, &out, &err) {
                Ok(()) => start(&vrf),
                Err(error) => error.report(),
            }),
            ForkResult::Parent { child } => match Pidfd::of_process(child) {
                Ok(ended) => Ok(Self { vrf, stdout, stderr, child, ended, since }),
                Err(errno) => {
                    let _ = kill(child, Signal::SIGKILL);
                    let _ = waitpid(child, None);
                    Err(Error::Kernel { tried: "watch a process".into(), errno })
                }
            },
        }
    }

    /// What is waited for; always as many.
    pub fn sources(&self) -> [PollFd<'_>; SOURCES] {
        let end = self.ended.as_fd();
        [PollFd::new(end, PollFlags::POLLIN), self.stdout.source(end), self.stderr.source(end)]
    }

    /// Passes a signal on to it and all that it has started in its session's first process group.
    pub fn signal(&self, signal: Signal) {
        // Before it has a session, it is alone.
        if killpg(self.child, signal).is_err() {
            let _ = kill(self.child, signal);
        }
    }

    /// After it has ended: reads what is still in its pipes. Does not wait for what it has left running.
    pub fn finish(&mut self) -> End {
        let took = self.since.elapsed();
        let status = match waitpid(self.child, None) {
            Ok(WaitStatus::Exited(_, status)) => status,
            Ok(WaitStatus::Signaled(_, signal, _)) => 128 + signal as i32,
            _ => EXIT_OWN,
        };
        self.stdout.read_rest();
        self.stderr.read_rest();
        End { status, took }
    }
}

/// In the child: no terminal that it could read from or be stopped by, nothing on standard input, and the pipes.
fn prepare(signals: &Signals, out: &OwnedFd, err: &OwnedFd) -> Result<(), Error> {
    let give = || {
        dup2_stderr(err)?;
        dup2_stdout(out)?;
        dup2_stdin(open_null()?)?;
        setsid()?;
        signals.restore()
    };
    give().map_err(Error::kernel("prepare a process"))
}

/// The reading end of a pipe, and what was read.
pub struct Stream {
    /// None after its end.
    pipe: Option<OwnedFd>,
    /// What nobody has taken yet.
    pub bytes: Vec<u8>,
}

impl Stream {
    fn new(pipe: OwnedFd) -> Result<Self, Error> {
        // This end alone: the command's own waits for its reader, as usual.
        fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(Error::kernel("make a pipe"))?;
        Ok(Self { pipe: Some(pipe), bytes: Vec::new() })
    }

    /// Another descriptor, of which nothing is asked, stands for it after its end.
    fn source<'a>(&'a self, other: BorrowedFd<'a>) -> PollFd<'a> {
        self.pipe
            .as_ref()
            .map_or(PollFd::new(other, PollFlags::empty()), |pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLIN))
    }

    /// Reads what is there, at most a buffer full; whether there was anything.
    pub fn read(&mut self) -> bool {
        let Some(pipe) = &self.pipe else { return false };
        let length = self.bytes.len();
        self.bytes.resize(length + 64 * 1024, 0);
        let got = read(pipe, &mut self.bytes[length..]);
        self.bytes.truncate(length + got.unwrap_or(0));
        if !matches!(got, Ok(1..) | Err(Errno::EAGAIN | Errno::EINTR)) {
            self.pipe = None;
        }
        matches!(got, Ok(1..))
    }

    /// What was written before now; somebody may go on writing for ever.
    fn read_rest(&mut self) {
        let end = self.bytes.len() + PIPE;
        while self.bytes.len() < end && self.read() {}
    }
}

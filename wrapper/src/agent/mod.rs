//! `vrfrun oci-agent`: the seccomp agent of OCI runtimes (crun, runc). A container that shares the host's network has a filter
//! which hands its calls of socket(2) over; its runtime presents the filter's listener here, and a supervisor of its own makes
//! and binds the sockets.
//!
//! Holds where it listens (`place`), one container's process (`session`), what a runtime says of it (`state`) and the profile
//! with the filter (`profile`). Uses the supervisor of `bind::seccomp`. When the agent ends, however it does, all of these
//! supervisors end, and their containers' calls fail.
#![forbid(unsafe_code)]

mod place;
mod profile;
mod session;
mod state;

use std::fs;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, getpid};

use crate::error::{EXIT_OWN, Error, note, text};
use crate::options::{OciAgent, Options};
use crate::sys::kernel::errno_of;
use crate::sys::pidfd::Pidfd;
use crate::sys::process;
use place::Place;

/// Where podman looks for its profile, in this order.
const PODMANS: [&str; 2] = ["/etc/containers/seccomp.json", "/usr/share/containers/seccomp.json"];

/// After a failure.
const PAUSE: Duration = Duration::from_millis(200);

/// Does what is asked for; returns the exit status.
pub fn run(options: &Options, task: &OciAgent) -> Result<i32, Error> {
    match task {
        OciAgent::Profile { base, socket } => print_profile(base.as_deref(), socket.as_deref()),
        OciAgent::Serve { socket } => {
            let place = Place::open(socket.as_deref())?;
            let signals = hold_signals().map_err(Error::kernel("hold signals back"))?;
            note(&format_args!("oci-agent: listens at {place}"));
            let outcome = listen(&place, &signals, options).map_err(Error::kernel("wait for containers"));
            place.close();
            outcome.map(|()| 0)
        }
    }
}

fn print_profile(base: Option<&Path>, socket: Option<&Path>) -> Result<i32, Error> {
    let found = || PODMANS.iter().find(|path| Path::new(path).exists()).map(PathBuf::from);
    let base = base.map(Path::to_owned).or_else(found);
    let base =
        base.ok_or_else(|| Error::Usage("--profile needs BASE: podman's own profile is not installed".into()))?;
    let name = text(base.as_os_str());
    let bytes =
        fs::read(&base).map_err(|error| Error::Kernel { tried: format!("read '{name}'"), errno: errno_of(&error) })?;
    let socket = place::path(socket)?;
    let socket = socket.to_str().ok_or_else(|| Error::Usage("--socket PATH is not UTF-8, as JSON is".into()))?;
    let merged = serde_json::from_slice(&bytes).map_err(|error| error.to_string());
    let merged = merged.and_then(|base| profile::merge(&base, socket));
    let merged = merged.map_err(|why| Error::Usage(format!("cannot make a profile of '{name}': {why}")))?;
    let text = format!("{merged:#}\n");
    Ok(std::io::stdout().write_all(text.as_bytes()).map_or(EXIT_OWN, |()| 0))
}

fn hold_signals() -> nix::Result<SignalFd> {
    let signals: SigSet = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGCHLD].into_iter().collect();
    signals.thread_block()?;
    SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
}

/// Until a signal ends it.
fn listen(place: &Place, signals: &SignalFd, options: &Options) -> nix::Result<()> {
    // By this its children see its end.
    let own = Pidfd::of_process(getpid())?;
    loop {
        let mut wanted = [place.listener().as_fd(), signals.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        match poll(&mut wanted, PollTimeout::NONE) {
            Err(Errno::EINTR) => continue,
            outcome => outcome?,
        };
        while let Some(signal) = signals.read_signal()? {
            if signal.ssi_signo != Signal::SIGCHLD as u32 {
                return Ok(());
            }
        }
        reap();
        if wanted[0].any().unwrap_or(false) {
            match place.listener().accept() {
                Ok((connection, _)) => start(connection, &own, options),
                Err(error) => {
                    note(&format_args!("cannot accept a connection: {error}"));
                    // It still waits; what is short now may not be then.
                    sleep(PAUSE);
                }
            }
        }
    }
}

/// One signal may stand for several children.
fn reap() {
    let any = Pid::from_raw(-1);
    while matches!(waitpid(any, Some(WaitPidFlag::WNOHANG)), Ok(status) if status != WaitStatus::StillAlive) {}
}

/// A process for it. Where there can be none, the runtime's connection ends, and its container's calls fail.
fn start(connection: UnixStream, own: &Pidfd, options: &Options) {
    match process::fork() {
        Ok(ForkResult::Parent { .. }) => {}
        Ok(ForkResult::Child) => process::exit(match session::serve(connection, own.as_fd(), options) {
            Ok(()) => 0,
            Err(why) => {
                note(&format_args!("a container is not served: {why}"));
                EXIT_OWN
            }
        }),
        Err(errno) => note(&format_args!("cannot fork for a container: {}", errno.desc())),
    }
}

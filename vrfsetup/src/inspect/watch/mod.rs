//! `vrfsetup watch`: changes of VRFs, ports, seals and rules as they happen.
//!
//! What the kernel reports says only when to look: the state is read again after each burst of reports and compared with
//! what it was. So a report that the kernel drops, or does not make at all, hides nothing that lasts.

mod event;
mod state;

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::error::Error;
use crate::sys::netlink::monitor::{Heard, Monitor};
use crate::sys::netlink::{Kernel, KernelError};
use crate::sys::signals::Signals;

pub use event::Event;
use state::State;

/// One command makes many reports. It has paused when there was none for this long (milliseconds).
const PAUSE: u8 = 5;
/// What never pauses is looked at this often.
const LONGEST: Duration = Duration::from_millis(100);
/// When to look again where changes interrupted the look (milliseconds).
const AGAIN: u8 = 20;

/// Tells each change until a signal comes or nobody reads `out` any more; with `is_initial` first what is there, as if
/// it had just come.
///
/// # Errors
/// The kernel will not say, or `tell` failed.
pub fn watch(
    kernel: &Kernel,
    is_initial: bool,
    out: &impl AsFd,
    tell: impl FnMut(&Event) -> io::Result<()>,
) -> Result<(), Error> {
    match follow(kernel, is_initial, out, tell) {
        Err(Error::File { refusal, .. }) if [libc::EPIPE, libc::EINTR].contains(&refusal.errno) => Ok(()),
        other => other,
    }
}

fn follow(
    kernel: &Kernel,
    is_initial: bool,
    out: &impl AsFd,
    mut tell: impl FnMut(&Event) -> io::Result<()>,
) -> Result<(), Error> {
    let signals = Signals::hold().map_err(Error::unreadable("signals"))?;
    let mut tell = |event: &Event| {
        let told = writable(&signals, out).and_then(|()| tell(event));
        told.map_err(|source| Error::file("standard output".as_ref(), &source))
    };
    let mut monitor = Monitor::open().map_err(unreadable)?;
    let mut known = is_initial.then(State::default);
    let mut is_due = true;
    loop {
        if is_due {
            if let Some(now) = State::read(kernel)? {
                known.iter().flat_map(|known| known.changes(&now)).try_for_each(|event| tell(&event))?;
                (known, is_due) = (Some(now), false);
            }
        }
        if !waits(&signals, &monitor, out, is_due).map_err(unreadable)? {
            return Ok(());
        }
        let heard = burst(&mut monitor).map_err(unreadable)?;
        if heard.is_overflow && known.is_some() {
            tell(&Event::Overflow)?;
        }
        is_due |= heard.is_relevant || heard.is_overflow;
    }
}

fn unreadable(source: impl Into<KernelError>) -> Error {
    Error::unreadable("what the kernel reports")(source)
}

/// Waits for reports; false when it is time to end.
fn waits(signals: &Signals, monitor: &Monitor, out: &impl AsFd, is_due: bool) -> io::Result<bool> {
    let mut all = [
        PollFd::new(signals.as_fd(), PollFlags::POLLIN),
        PollFd::new(monitor.as_fd(), PollFlags::POLLIN),
        // Asked for nothing, it tells when the other end is closed.
        PollFd::new(out.as_fd(), PollFlags::empty()),
    ];
    poll_all(&mut all, if is_due { PollTimeout::from(AGAIN) } else { PollTimeout::NONE })?;
    Ok([0, 2].iter().all(|&at| all[at].revents().is_none_or(|events| events.is_empty())))
}

/// Waits until a line can be written. A signal ends that as well: a pipe that nobody reads is not waited for with signals
/// held back.
fn writable(signals: &Signals, out: &impl AsFd) -> io::Result<()> {
    let mut both = [PollFd::new(signals.as_fd(), PollFlags::POLLIN), PollFd::new(out.as_fd(), PollFlags::POLLOUT)];
    poll_all(&mut both, PollTimeout::NONE)?;
    match both[0].any() {
        Some(true) => Err(Errno::EINTR.into()),
        _ => Ok(()),
    }
}

/// Reads reports until they pause.
fn burst(monitor: &mut Monitor) -> io::Result<Heard> {
    let (begin, mut all) = (Instant::now(), Heard::default());
    loop {
        let heard = monitor.drain()?;
        all.is_relevant |= heard.is_relevant;
        all.is_overflow |= heard.is_overflow;
        let mut more = [PollFd::new(monitor.as_fd(), PollFlags::POLLIN)];
        if begin.elapsed() > LONGEST || poll_all(&mut more, PollTimeout::from(PAUSE))? == 0 {
            return Ok(all);
        }
    }
}

fn poll_all(all: &mut [PollFd], timeout: PollTimeout) -> io::Result<i32> {
    loop {
        match poll(all, timeout) {
            Err(Errno::EINTR) => {}
            answer => return Ok(answer?),
        }
    }
}

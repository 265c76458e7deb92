//! Connections that wait in the queue of an inherited listener: they came in before it was bound, and stay outside the
//! VRF. The program would talk to them there, so they are closed. With socket activation that is at least the one that
//! started the service; to refuse instead would let anybody outside keep the service from starting.

use std::os::fd::{AsFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{setsockopt, sockopt};

use crate::error::{text, warn};
use crate::sys::process::descriptor;
use crate::sys::socket;
use crate::vrf::device::Device;

/// No queue is longer by default (net.core.somaxconn); for protocols that do not say how many wait.
const MANY: u32 = 4096;

/// Closes what waits at this listener, and says so. Nothing for any other socket.
pub fn close_waiting(fd: RawFd, device: &Device) -> nix::Result<()> {
    let listener = descriptor(fd);
    if !socket::is_listening(&listener) {
        return Ok(());
    }
    // What comes in from now on is of the VRF: not one more than wait now. One that came since the bind, a moment ago, is
    // closed with them: only accept() tells which it is, and nothing puts it back.
    let closed = match socket::waiting(&listener).unwrap_or(MANY) {
        0 => 0,
        count => without_blocking(&listener, || reset(&listener, count))?,
    };
    if closed > 0 {
        let (device, what) = (text(&device.name), if closed == 1 { "connection" } else { "connections" });
        warn(
            &format!("closed {closed} {what} that waited at descriptor {fd} when it was bound to '{device}'"),
            &format!("vrfsetup unit {device} NAME.socket binds a listener of systemd before it listens"),
        );
    }
    Ok(())
}

/// Accepts and resets at most so many. The peers learn at once that nobody will answer.
fn reset(listener: &impl AsFd, count: u32) -> nix::Result<u32> {
    let mut closed = 0;
    while closed < count {
        match socket::accept(listener) {
            Ok(connection) => {
                let at_once = libc::linger { l_onoff: 1, l_linger: 0 };
                setsockopt(&connection, sockopt::Linger, &at_once)?;
                closed += 1;
            }
            Err(Errno::EAGAIN) => break,
            // A peer that has gone meanwhile, or a signal.
            Err(Errno::ECONNABORTED | Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(closed)
}

/// Does the work with O_NONBLOCK, which whoever shares the listener finds as it was.
fn without_blocking<T>(listener: &impl AsFd, work: impl FnOnce() -> nix::Result<T>) -> nix::Result<T> {
    let flags = OFlag::from_bits_retain(fcntl(listener, FcntlArg::F_GETFL)?);
    if flags.contains(OFlag::O_NONBLOCK) {
        return work();
    }
    fcntl(listener, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    let outcome = work();
    fcntl(listener, FcntlArg::F_SETFL(flags))?;
    outcome
}

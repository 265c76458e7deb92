//! One container's process: who presents it, in which VRF its sockets are to be, and the supervisor for them. A process of
//! its own, which ends with the last of those that the filter is on, or with the agent.
//!
//! Where the sockets cannot be bound, they are refused: a listener that nobody reads lets its callers wait.

use std::fmt::Display;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::{dup2_stdin, dup2_stdout, geteuid};

use crate::agent::state::{self, State};
use crate::bind::seccomp::callers::Callers;
use crate::bind::seccomp::identity::Acting;
use crate::bind::seccomp::notify::{self, Service};
use crate::bind::seccomp::process::Proc;
use crate::bind::seccomp::supervisor;
use crate::error::{Error, note, text};
use crate::options::Options;
use crate::sys::capability::Kept;
use crate::sys::seccomp::Listener;
use crate::sys::socket::receive_with_descriptor;
use crate::sys::{kernel, syscall};
use crate::vrf::device::Device;
use crate::vrf::netlink::Netlink;
use crate::vrf::seal;

/// A runtime sends at once what it has to say.
const PATIENCE: Duration = Duration::from_secs(10);
/// More is no container's state.
const LONGEST: usize = 1 << 20;

/// Serves what is presented by this connection, as long as the agent (a pidfd) lives.
pub fn serve(connection: UnixStream, agent: BorrowedFd, options: &Options) -> Result<(), String> {
    keep_only([connection.as_fd(), agent]).map_err(|errno| errno.desc())?;
    is_one_of_us(&connection)?;
    let (state, listener) = receive(&connection)?;
    drop(connection);
    if !Listener(&listener).knows_add_descriptor() {
        return Err("what came is no listener of a filter, or the kernel is older than 5.9".into());
    }
    let name = text(state.container.as_ref());
    match prepare(&state, options) {
        Ok((device, callers)) => {
            let process = state.pid.map_or_else(|| "a process".into(), |pid| format!("process {pid}"));
            say(&format_args!("container '{name}': {process} is in VRF '{}'", text(device.vrf())));
            let service = Service { device: Some(&device), trace: None, master: Some(agent) };
            notify::serve(&listener, &callers, &service).map_err(|errno| errno.desc().into())
        }
        Err(why) => {
            say(&format_args!("container '{name}': its inet sockets fail: {why}"));
            notify::refuse(&listener, agent).map_err(|errno| errno.desc().into())
        }
    }
}

/// Where standard error takes it at once: nobody's sockets wait for who does not read.
fn say(line: &dyn Display) {
    let stderr = std::io::stderr();
    let is_ready = poll(&mut [PollFd::new(stderr.as_fd(), PollFlags::POLLOUT)], PollTimeout::ZERO);
    if is_ready.is_ok_and(|ready| ready > 0) {
        note(line);
    }
}

/// The same user; the mode of the socket's file says it already.
fn is_one_of_us(connection: &UnixStream) -> Result<(), String> {
    let peer = getsockopt(connection, PeerCredentials).map_err(|errno| errno.desc().to_owned())?;
    let is_same = peer.uid() == geteuid().as_raw();
    is_same.then_some(()).ok_or_else(|| format!("user {} may not present containers here", peer.uid()))
}

/// The listener comes with the first piece.
fn receive(connection: &UnixStream) -> Result<(State, OwnedFd), String> {
    connection.set_read_timeout(Some(PATIENCE)).map_err(|error| error.to_string())?;
    let (mut said, mut piece, mut listener) = (Vec::new(), vec![0; 64 * 1024], None);
    loop {
        let received = receive_with_descriptor(connection, &mut piece);
        let (length, descriptor) = received.map_err(|errno| format!("cannot receive its state: {}", errno.desc()))?;
        said.extend_from_slice(&piece[..length]);
        listener = listener.or(descriptor);
        if let Some(state) = state::parse(&said) {
            return listener.map(|listener| (state, listener)).ok_or_else(|| "it came without a listener".into());
        }
        if length == 0 || said.len() > LONGEST {
            return Err("what came is no state of a container".into());
        }
    }
}

/// Which device, and all that a supervisor needs.
fn prepare(state: &State, options: &Options) -> Result<(Device, Callers), String> {
    let said = |error: Error| error.to_string();
    let kernel = |errno: nix::errno::Errno| errno.desc().to_owned();
    supervisor::allow_descriptors().and(supervisor::detach()).map_err(kernel)?;
    let vrf = state.vrf.as_ref().ok_or("no annotation io.vrfrun.vrf names a VRF")?;
    let options = Options { vrf: vrf.into(), ..options.clone() };
    let mut netlink = Netlink::open().map_err(said)?;
    let device = Device::resolve(&mut netlink, &options).map_err(said)?.ok_or("'default' is no VRF")?;
    seal::check(netlink, &device, false).map_err(said)?;
    let kept = Kept::drop_rest().map_err(kernel)?;
    let acting = if kept.is_empty() { Acting::AsItself } else { Acting::AsCaller };
    let (proc, own) = Proc::of_own_namespace().ok_or("/proc is of another pid namespace than the agent")?;
    let callers = Callers::new(proc, own, kept, state.pid, acting).map_err(|errno| match errno {
        nix::errno::Errno::EXDEV => "it has a network namespace of its own".into(),
        errno => format!("cannot see its process in /proc: {}", errno.desc()),
    })?;
    Ok((device, callers))
}

/// Lets go of all else that the agent has open, but for standard error: its place is free as soon as it has ended.
fn keep_only(mut kept: [BorrowedFd; 2]) -> nix::Result<()> {
    let null = kernel::open_null()?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    kept.sort_unstable_by_key(AsRawFd::as_raw_fd);
    let mut first = 3;
    for fd in kept.map(|fd| fd.as_raw_fd()) {
        if first < fd {
            syscall::close_range(first, fd - 1)?;
        }
        first = fd + 1;
    }
    // It is among what is closed here.
    std::mem::forget(null);
    syscall::close_range(first, i32::MAX)
}

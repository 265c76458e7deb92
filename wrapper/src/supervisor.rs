//! The supervisor: a process beside the program that makes, binds and hands over the sockets which the shim did not.
//!
//! It is no child that the program could find (a double fork), has no capability in effect, holds nothing of the
//! program's open, cannot be stopped by its terminal, and leaves when its last client does. If it dies, its clients'
//! calls fail with ENOSYS: closed.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::cmsg_space;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, sendmsg, socketpair,
};
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{ForkResult, chdir, dup2_stderr, dup2_stdin, dup2_stdout, fork, setsid};

use crate::capability;
use crate::device::Device;
use crate::filter::{self, Policy};
use crate::notify;
use crate::refusal::Refusal;
use crate::seccomp;
use crate::user::Account;

/// Why there is no supervisor.
pub enum Failure {
    /// A filter above this process has one already (EBUSY), or the kernel is older than 5.9: the gate can stand in.
    NoListener(String),
    /// Anything else.
    Refused(Refusal),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Failure::Refused(refusal)
    }
}

/// Installs the filter on this process with a supervisor behind it, which becomes `account` if there is one.
pub fn engage(device: &Device, policy: &Policy, account: Option<&Account>) -> Result<(), Failure> {
    if crate::kernel::release() < (5, 9) {
        return Err(Failure::NoListener("a supervisor needs Linux 5.9".into()));
    }
    let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
        .map_err(Refusal::kernel("make a socket pair"))?;
    // Before the filter: the supervisor's own sockets must not be filtered.
    start(device, &ours, theirs, account)?;
    let listener = match install(policy) {
        Ok(listener) => listener,
        // Dropping `ours` lets the supervisor go.
        Err(Errno::EBUSY) => return Err(Failure::NoListener("another supervisor is above this process".into())),
        Err(errno) => return Err(Refusal::kernel("install the seccomp filter")(errno).into()),
    };
    hand_over(&ours, &listener).map_err(Refusal::kernel("hand the listener to the supervisor"))?;
    Ok(())
}

/// Calls that wait for the supervisor are interrupted by fatal signals only, where the kernel can (5.19).
fn install(policy: &Policy) -> nix::Result<OwnedFd> {
    let filter = filter::assemble(policy);
    match seccomp::install_with_listener(&filter, libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) {
        Err(Errno::EINVAL) => seccomp::install_with_listener(&filter, 0),
        outcome => outcome,
    }
}

/// Forks twice: the supervisor is nobody's child but init's.
fn start(device: &Device, ours: &OwnedFd, theirs: OwnedFd, account: Option<&Account>) -> Result<(), Refusal> {
    let _orphans = OrphansGoUp::new();
    let failed = || Refusal::kernel("fork the supervisor");
    // SAFETY: vrfrun has one thread, so the child may do whatever the parent may.
    match unsafe { fork() }.map_err(failed())? {
        ForkResult::Parent { child } => {
            // ECHILD where the caller ignores SIGCHLD.
            let _ = waitpid(child, Some(WaitPidFlag::__WALL));
            Ok(())
        }
        ForkResult::Child => {
            // SAFETY: as above; and `_exit` runs no handler of the parent's.
            unsafe {
                if !matches!(fork(), Ok(ForkResult::Child)) {
                    libc::_exit(0);
                }
                let _ = nix::unistd::close(ours.as_raw_fd());
                let outcome = serve(device, theirs, account);
                libc::_exit(i32::from(outcome.is_err()));
            }
        }
    }
}

/// A subreaper (PR_SET_CHILD_SUBREAPER, kept by exec) would find the supervisor among its children: not while this
/// lives.
struct OrphansGoUp(bool);

impl OrphansGoUp {
    fn new() -> Self {
        let was_reaper = nix::sys::prctl::get_child_subreaper().unwrap_or(false);
        if was_reaper {
            let _ = nix::sys::prctl::set_child_subreaper(false);
        }
        Self(was_reaper)
    }
}

impl Drop for OrphansGoUp {
    fn drop(&mut self) {
        if self.0 {
            let _ = nix::sys::prctl::set_child_subreaper(true);
        }
    }
}

/// The supervisor's life.
fn serve(device: &Device, theirs: OwnedFd, account: Option<&Account>) -> nix::Result<()> {
    setsid()?;
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None)?;
    let _ = nix::sys::prctl::set_name(c"vrfrun: sockets");
    chdir("/")?;
    let listener = receive(&theirs)?;
    keep_only(&theirs, &listener)?;
    if let Some(account) = account {
        account.assume().map_err(|_| Errno::EPERM)?;
    }
    capability::lay_down()?;
    let own_netns = notify::netns_of_self()?;
    // The program may start: from here on its calls are answered.
    sendmsg::<()>(theirs.as_raw_fd(), &[IoSlice::new(b"+")], &[], MsgFlags::MSG_NOSIGNAL, None)?;
    drop(theirs);
    notify::serve(&listener, device, own_netns)
}

/// Lets go of all that was inherited: a pipe held open here would keep `| head` from ending.
fn keep_only(theirs: &OwnedFd, listener: &OwnedFd) -> nix::Result<()> {
    let null = open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    dup2_stderr(&null)?;
    let mut kept = [theirs.as_raw_fd(), listener.as_raw_fd()];
    kept.sort_unstable();
    let mut first: RawFd = 3;
    for fd in kept {
        close_range(first, fd - 1)?;
        first = fd + 1;
    }
    // `null` is among what is closed here.
    std::mem::forget(null);
    close_range(first, RawFd::MAX)
}

/// close_range(2), as old as the listener that this file is about (5.9).
fn close_range(first: RawFd, last: RawFd) -> nix::Result<()> {
    if first > last {
        return Ok(());
    }
    // SAFETY: numbers only; whoever owned these descriptors does not use them any more in this process.
    Errno::result(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) }).map(drop)
}

/// Sends the listener over and waits until the supervisor says that it is ready.
fn hand_over(ours: &OwnedFd, listener: &OwnedFd) -> nix::Result<()> {
    let fds = [listener.as_raw_fd()];
    let rights = [ControlMessage::ScmRights(&fds)];
    sendmsg::<()>(ours.as_raw_fd(), &[IoSlice::new(b"l")], &rights, MsgFlags::MSG_NOSIGNAL, None)?;
    let mut answer = [0; 1];
    let mut parts = [IoSliceMut::new(&mut answer)];
    let bytes = recvmsg::<()>(ours.as_raw_fd(), &mut parts, None, MsgFlags::empty())?.bytes;
    if bytes == 1 { Ok(()) } else { Err(Errno::ECONNRESET) }
}

fn receive(theirs: &OwnedFd) -> nix::Result<OwnedFd> {
    let mut byte = [0; 1];
    let mut parts = [IoSliceMut::new(&mut byte)];
    let mut space = cmsg_space!(RawFd);
    let message = recvmsg::<()>(theirs.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC)?;
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(fds) = control {
            if let Some(&fd) = fds.first() {
                // SAFETY: the kernel just put this descriptor here, nobody else has it.
                return Ok(unsafe { OwnedFd::from_raw_fd(fd) });
            }
        }
    }
    Err(Errno::ECONNRESET)
}

//! The supervisor: a process beside the program that makes, binds and hands over the sockets which the shim did not.
//!
//! It is no child that the program could find, has no capability in effect but for a moment, holds nothing of the
//! program's open, cannot be stopped by its terminal, and leaves when its last client does. If it dies, its clients'
//! calls fail with ENOSYS: closed.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, getsockopt, recvmsg, sendmsg, socketpair,
    sockopt::PeerCredentials,
};
use nix::unistd::{ForkResult, chdir, dup2_stderr, dup2_stdin, dup2_stdout, getpid, setsid};

use crate::bind::seccomp::callers::{Callers, FEWEST};
use crate::bind::seccomp::filter::{self, Policy};
use crate::bind::seccomp::identity::Acting;
use crate::bind::seccomp::install;
use crate::bind::seccomp::notify::{self, Service};
use crate::bind::seccomp::process::Proc;
use crate::bind::seccomp::trace::{About, Trace};
use crate::error::unavailable::Unavailable;
use crate::sys::capability::Kept;
use crate::sys::feature::Feature;
use crate::sys::orphan::fork_orphan;
use crate::sys::seccomp::Listener;
use crate::sys::socket::receive_descriptor;
use crate::sys::{kernel, process, syscall};
use crate::vrf::device::Device;

/// The supervisor's report, unless it is an errno: calls will be answered.
const READY: u8 = 253;
/// It cannot put a socket into its clients.
const MUTE: u8 = 252;
/// It cannot learn of its clients what it must know.
const BLIND: u8 = 254;
/// /proc shows another pid namespace.
const FOREIGN: u8 = 255;

/// How two sandboxes are told to show their own processes.
const OWN_PROC: &str = "unshare --mount-proc …, or bwrap --proc /proc …";

/// Why there is no supervisor.
pub enum Failure {
    /// A filter above this process has one already (EBUSY), or the kernel is older than 5.9: the gate can stand in.
    NoListener(Unavailable),
    /// Anything else.
    Refused(Unavailable),
}

impl From<Unavailable> for Failure {
    fn from(reason: Unavailable) -> Self {
        Failure::Refused(reason)
    }
}

/// What the supervisor has to do.
pub struct Order<'a> {
    /// Binds sockets to this device; None: makes none, and lets every call go on.
    pub device: Option<&'a Device>,
    /// Writes down what it sees.
    pub trace: Option<About<'a>>,
}

/// Installs the filter on this process with a supervisor behind it.
pub fn supervise(order: &Order, policy: &Policy) -> Result<(), Failure> {
    if let Some(missing) = [Feature::Listener, Feature::CloseRange].into_iter().find(|feature| !feature.probe()) {
        return Err(no_listener(missing));
    }
    if !Proc::seems_own() {
        let why = "/proc is of another pid namespace";
        return Err(Failure::NoListener(Unavailable::new(why).hint(OWN_PROC)));
    }
    let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
        .map_err(Unavailable::kernel("make a socket pair"))?;
    // Before the filter: the supervisor's own sockets must not be filtered.
    start(order, &ours, theirs)?;
    let listener = match install(policy) {
        Ok(listener) => listener,
        // Dropping `ours` lets the supervisor go.
        Err(Errno::EBUSY) => {
            let why = Unavailable::new("another supervisor is above this process");
            return Err(Failure::NoListener(why.hint(install::AS_ROOT)));
        }
        // It knows the verdict, and the flag it does not.
        Err(Errno::EINVAL) => return Err(no_listener(Feature::Listener)),
        Err(errno) => return Err(install::refused(errno).into()),
    };
    match hand_over(&ours, &listener).map_err(lost)? {
        READY => {
            if order.trace.is_some() {
                std::mem::forget(ours); // exec closes it, and the trace begins
            }
            Ok(())
        }
        FOREIGN => {
            let why = "/proc is of another pid namespace than the supervisor";
            Err(Unavailable::new(why).hint(OWN_PROC).into())
        }
        BLIND => {
            let why = "the supervisor cannot see this process in /proc (mounted with hidepid)";
            Err(Unavailable::new(why).hint("mount -o remount,hidepid=0 /proc").into())
        }
        MUTE => Err(Unavailable::new(Feature::AddDescriptor.missing()).hint("vrfrun --no-supervisor …").into()),
        errno => Err(Unavailable::kernel("start the supervisor")(Errno::from_raw(errno.into())).into()),
    }
}

/// Why the supervisor does not answer.
fn lost(errno: Errno) -> Unavailable {
    if Proc::shows_children_elsewhere() {
        // Whom it was forked by was the first there, and ended with all others.
        return Unavailable::new("the supervisor would be in another pid namespace").hint("unshare --pid --fork …");
    }
    Unavailable::kernel("hand the listener to the supervisor")(errno)
}

/// The gate can stand in.
fn no_listener(missing: Feature) -> Failure {
    Failure::NoListener(install::missing(missing))
}

/// Calls that wait for the supervisor are interrupted by fatal signals only, where the kernel can (5.19).
fn install(policy: &Policy) -> nix::Result<OwnedFd> {
    let filter = filter::assemble(policy);
    match install::install_with_listener(&filter, libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) {
        Err(Errno::EINVAL) => install::install_with_listener(&filter, 0),
        outcome => outcome,
    }
}

/// Forks in a way that leaves the program no child to find.
fn start(order: &Order, ours: &OwnedFd, theirs: OwnedFd) -> Result<(), Unavailable> {
    let live = || {
        // `ours` is the parent's; this process has a copy, and does not use it.
        let _ = nix::unistd::close(ours.as_raw_fd());
        i32::from(serve(order, theirs).is_err())
    };
    let forked = if getpid().as_raw() == 1 { fork_once(live) } else { fork_twice(live) };
    forked.map_err(Unavailable::kernel("fork the supervisor"))
}

/// The supervisor is nobody's child but init's. What forks it leaves no signal to a program that has SIGCHLD blocked.
fn fork_twice(live: impl FnOnce() -> i32) -> nix::Result<()> {
    let _orphans = OrphansGoUp::new();
    if fork_orphan()? { process::exit(live()) } else { Ok(()) }
}

/// Process 1 of a container inherits every orphan, and a program that waits for all its children would wait for its
/// own supervisor, which waits for it. An unseen child process 1 may have, as it never becomes an orphan.
fn fork_once(live: impl FnOnce() -> i32) -> nix::Result<()> {
    match process::fork_unseen()? {
        ForkResult::Parent { .. } => Ok(()),
        ForkResult::Child => process::exit(live()),
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
fn serve(order: &Order, theirs: OwnedFd) -> nix::Result<()> {
    let (listener, callers) = match prepare(&theirs, order.trace.is_some()) {
        Ok(prepared) => prepared,
        Err(reason) => return report(&theirs, reason),
    };
    // The program may start: from here on its calls are answered.
    report(&theirs, READY)?;
    let trace = order.trace.as_ref().map(|about| Trace::new(about, theirs));
    notify::serve(&listener, &callers, &Service { device: order.device, trace, master: None })
}

/// All that the supervisor needs, or the report that says why not.
fn prepare(theirs: &OwnedFd, keeps_stderr: bool) -> Result<(OwnedFd, Callers), u8> {
    let failed = |errno: Errno| errno as u8;
    let outcome = allow_descriptors().and(detach());
    // Whatever was not received would reset the connection, and the report with it.
    let listener = receive_descriptor(theirs).map_err(failed)?;
    outcome.map_err(failed)?;
    if !Listener(&listener).knows_add_descriptor() {
        return Err(MUTE);
    }
    keep_only(theirs, &listener, keeps_stderr).map_err(failed)?;
    let kept = Kept::drop_rest().map_err(failed)?;
    // The socket pair's other end is vrfrun, the first client; 0 where it is not in our pid namespace.
    let client = getsockopt(theirs, PeerCredentials).map_err(failed)?.pid() as u32;
    let (proc, own) = Proc::of_own_namespace().filter(|_| client != 0).ok_or(FOREIGN)?;
    let callers = Callers::new(proc, own, kept, Some(client), Acting::AsCaller).map_err(|_| BLIND)?;
    Ok((listener, callers))
}

/// Out of the program's session, with no signal but the fatal ones.
pub fn detach() -> nix::Result<()> {
    setsid()?;
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None)?;
    let _ = nix::sys::prctl::set_name(c"vrfrun: sockets");
    chdir("/")
}

/// As many as this process may have, whatever the program is content with.
pub fn allow_descriptors() -> nix::Result<()> {
    let (now, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    // Refused, what it has already may do.
    let has = setrlimit(Resource::RLIMIT_NOFILE, most, most).map_or(now, |()| most);
    if has < FEWEST { Err(Errno::EMFILE) } else { Ok(()) }
}

fn report(theirs: &OwnedFd, report: u8) -> nix::Result<()> {
    sendmsg::<()>(theirs.as_raw_fd(), &[IoSlice::new(&[report])], &[], MsgFlags::MSG_NOSIGNAL, None).map(drop)
}

/// Lets go of all that was inherited: a pipe held open here would keep `| head` from ending.
fn keep_only(theirs: &OwnedFd, listener: &OwnedFd, keeps_stderr: bool) -> nix::Result<()> {
    let null = kernel::open_null()?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    if !keeps_stderr {
        dup2_stderr(&null)?;
    }
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
    syscall::close_range(first, last)
}

/// Sends the listener over and waits for the supervisor's report.
fn hand_over(ours: &OwnedFd, listener: &OwnedFd) -> nix::Result<u8> {
    let fds = [listener.as_raw_fd()];
    let rights = [ControlMessage::ScmRights(&fds)];
    // What was not sent the supervisor would wait for, and this process for it.
    if sendmsg::<()>(ours.as_raw_fd(), &[IoSlice::new(b"l")], &rights, MsgFlags::MSG_NOSIGNAL, None)? != 1 {
        return Err(Errno::EIO);
    }
    let mut answer = [0; 1];
    let mut parts = [IoSliceMut::new(&mut answer)];
    let bytes = recvmsg::<()>(ours.as_raw_fd(), &mut parts, None, MsgFlags::empty())?.bytes;
    if bytes == 1 { Ok(answer[0]) } else { Err(Errno::ECONNRESET) }
}

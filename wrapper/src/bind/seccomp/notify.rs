//! What the supervisor does with one call after the other: makes the socket, binds it, puts it into the caller.
//!
//! A call of socket never goes on (SECCOMP_USER_NOTIF_FLAG_CONTINUE) unless the caller is in another network
//! namespace, or somebody else binds it: a socket that is bound after the fact has been used before it. Other calls are only
//! looked at.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use libc::{seccomp_notif, seccomp_notif_addfd, seccomp_notif_resp};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::bind::seccomp::callers::{Callers, Place};
use crate::bind::seccomp::create::{self, Wanted};
use crate::bind::seccomp::filter::asked::{Asked, Connect, Cookie, asked};
use crate::bind::seccomp::rebind;
use crate::bind::seccomp::trace::{Caller, Made, Trace};
use crate::bind::verify::DENIED;
use crate::sys::process;
use crate::sys::seccomp::Listener;
use crate::sys::socket;
use crate::vrf::device::Device;

/// What a supervisor does.
pub struct Service<'a> {
    /// Binds sockets to this device; None: makes none, and lets every call go on.
    pub device: Option<&'a Device>,
    /// Writes down what it sees.
    pub trace: Option<Trace<'a>>,
    /// A pidfd, with whose process it ends.
    pub master: Option<BorrowedFd<'a>>,
}

/// Answers calls until the last client is gone, or the master has ended.
pub fn serve(listener: &OwnedFd, callers: &Callers, service: &Service) -> nix::Result<()> {
    let calls = Calls { listener: Listener(listener), master: service.master };
    calls.listener.wake_on_this_cpu();
    let supervisor = Supervisor { calls, service, callers };
    while supervisor.calls.go_on()? {
        if let Some(call) = supervisor.calls.receive()? {
            supervisor.answer(&call)?;
        }
    }
    process::go_last(); // who waits for the last client goes on before this process tidies up
    Ok(())
}

/// Lets all calls fail, as long.
pub fn refuse(listener: &OwnedFd, master: BorrowedFd) -> nix::Result<()> {
    let calls = Calls { listener: Listener(listener), master: Some(master) };
    while calls.go_on()? {
        if let Some(call) = calls.receive()? {
            calls.send(&call, 0, -(DENIED as i32), 0)?;
        }
    }
    Ok(())
}

/// How a call ends.
enum Outcome {
    /// The caller gets this socket; whether exec closes it.
    Made(OwnedFd, bool),
    /// The caller gets this errno.
    Failed(Errno),
    /// The caller has what it asks for.
    Done,
    /// The kernel does what was asked.
    Continued,
}

/// The calls that a filter hands over.
struct Calls<'a> {
    listener: Listener<'a>,
    master: Option<BorrowedFd<'a>>,
}

impl Calls<'_> {
    /// Waits for a call; false when no client is left, or no master. From 6.11 on RECV itself says the first, and nothing but
    /// the last client's end shows whether this kernel's does: to ask is right everywhere.
    fn go_on(&self) -> nix::Result<bool> {
        let mut wanted = vec![PollFd::new(self.listener.as_fd(), PollFlags::POLLIN)];
        wanted.extend(self.master.map(|master| PollFd::new(master, PollFlags::POLLIN)));
        loop {
            match poll(&mut wanted, PollTimeout::NONE) {
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
                Ok(_) => {
                    let has_clients = !wanted[0].revents().is_some_and(|seen| seen.contains(PollFlags::POLLHUP));
                    return Ok(has_clients && !wanted[1..].iter().any(|master| master.any().unwrap_or(true)));
                }
            }
        }
    }

    /// The next call. None: it was withdrawn, for its caller got a signal.
    fn receive(&self) -> nix::Result<Option<seccomp_notif>> {
        match self.listener.receive() {
            Ok(call) => Ok(Some(call)),
            Err(Errno::ENOENT | Errno::EINTR) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    fn is_valid(&self, call: &seccomp_notif) -> bool {
        self.listener.is_valid(call.id)
    }

    fn send(&self, call: &seccomp_notif, val: i64, error: i32, flags: u32) -> nix::Result<()> {
        let response = seccomp_notif_resp { id: call.id, val, error, flags };
        match self.listener.send(&response) {
            // The caller is gone, and so is its call.
            Err(Errno::ENOENT) => Ok(()),
            outcome => outcome,
        }
    }
}

struct Supervisor<'a> {
    calls: Calls<'a>,
    service: &'a Service<'a>,
    callers: &'a Callers,
}

impl Supervisor<'_> {
    /// Err: a caller could not be answered, and would wait for ever. A supervisor that ends lets all calls fail.
    fn answer(&self, call: &seccomp_notif) -> nix::Result<()> {
        match self.outcome(call) {
            Outcome::Made(socket, is_cloexec) => self.hand_over(call, &socket, is_cloexec),
            Outcome::Failed(errno) => self.calls.send(call, 0, -(errno as i32), 0),
            Outcome::Done => self.calls.send(call, 0, 0, 0),
            Outcome::Continued => self.calls.send(call, 0, 0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32),
        }
    }

    fn outcome(&self, call: &seccomp_notif) -> Outcome {
        match asked(&call.data) {
            Asked::Socket { wanted, cookie } => self.socket(call, Ok(wanted), Some(cookie)),
            Asked::Socketcall { address } => self.socket(call, self.words(call.pid, address).map(Wanted::from), None),
            Asked::Connect(connect) => self.connect(call, connect),
            Asked::SocketcallConnect { address } => match self.words(call.pid, address) {
                Ok(words) => self.connect(call, Connect::from(words)),
                Err(_) => Outcome::Continued,
            },
            Asked::Binding => self.binding(call),
            Asked::Namespace => {
                self.callers.unsettle();
                Outcome::Continued
            }
            Asked::Unknown => Outcome::Failed(Errno::ENOSYS),
        }
    }

    fn socket(&self, call: &seccomp_notif, wanted: nix::Result<Wanted>, cookie: Option<Cookie>) -> Outcome {
        let trace = self.service.trace.as_ref();
        let is_shims = trace.is_some_and(|trace| trace.is_shims(cookie));
        let outcome = match self.service.device {
            Some(device) if !is_shims => self.decide(call, wanted, device),
            _ => Outcome::Continued,
        };
        if let (Some(trace), Ok(wanted)) = (trace, wanted) {
            let made = match &outcome {
                Outcome::Failed(errno) => Made::Failed(*errno),
                Outcome::Continued if self.service.device.is_none() || is_shims => Made::ByOther,
                Outcome::Continued => Made::Elsewhere,
                Outcome::Made(..) | Outcome::Done => Made::BySupervisor,
            };
            trace.socket(&self.caller(call, &|| self.calls.is_valid(call)), wanted, made);
        }
        outcome
    }

    fn decide(&self, call: &seccomp_notif, wanted: nix::Result<Wanted>, device: &Device) -> Outcome {
        let asks_for_rights = wanted.is_ok_and(|wanted| wanted.asks_for_rights());
        // What was read belongs to the caller, and not to a later owner of its number, only if it still waits.
        match (self.callers.meet(call.pid, asks_for_rights, || self.calls.is_valid(call)), wanted) {
            (Ok(Place::Elsewhere), _) => Outcome::Continued,
            (Err(errno), _) | (_, Err(errno)) => Outcome::Failed(errno),
            (Ok(Place::Ours { is_raw }), Ok(wanted)) => self.make(device, wanted, is_raw),
        }
    }

    /// Whatever is written down of it, the kernel connects.
    fn connect(&self, call: &seccomp_notif, connect: Connect) -> Outcome {
        if let Some(trace) = &self.service.trace {
            trace.connect(&self.caller(call, &|| self.calls.is_valid(call)), connect);
        }
        Outcome::Continued
    }

    fn caller<'a>(&'a self, call: &seccomp_notif, is_valid: &'a dyn Fn() -> bool) -> Caller<'a> {
        Caller { callers: self.callers, pid: call.pid, is_valid, listener: self.calls.listener.as_fd() }
    }

    fn binding(&self, call: &seccomp_notif) -> Outcome {
        let is_so = || rebind::is_so(self.callers, call.pid, &call.data.args);
        match self.service.device.map_or(Ok(false), |_| is_so()) {
            Ok(true) if self.calls.is_valid(call) => Outcome::Done,
            _ => Outcome::Continued,
        }
    }

    /// The words that socketcall hides behind a pointer, read once: what the program writes there later has no effect on a
    /// socket that is made here.
    fn words(&self, pid: u32, address: u64) -> nix::Result<[u32; 3]> {
        let mut words = [0; 12];
        self.callers.memory(pid, address, &mut words).map_err(|_| Errno::EACCES)?;
        let word = |at: usize| u32::from_le_bytes([words[at], words[at + 1], words[at + 2], words[at + 3]]);
        Ok([word(0), word(4), word(8)])
    }

    /// As the caller, who may have a raw socket or not.
    fn make(&self, device: &Device, wanted: Wanted, is_raw: bool) -> Outcome {
        let open = |Wanted { domain, kind, protocol }| {
            let open = || socket::open(domain, kind, protocol);
            if is_raw { self.callers.with_raw(open) } else { open() }
        };
        match create::make(device, wanted, open) {
            Ok(socket) => Outcome::Made(socket, wanted.kind & libc::SOCK_CLOEXEC != 0),
            Err(errno) => Outcome::Failed(errno),
        }
    }

    /// Puts the socket into the caller, then ends its call with the socket's number. In one step (SECCOMP_ADDFD_FLAG_SEND,
    /// 5.14) the kernel marks the call as answered before the caller has the socket: were this process killed between the
    /// two, the call would return 0, as if standard input were the new socket. In two the call fails with ENOSYS. No signal
    /// can come between them where the caller waits killable (5.19); before, EINTR leaves the bound socket in the caller.
    fn hand_over(&self, call: &seccomp_notif, socket: &OwnedFd, is_cloexec: bool) -> nix::Result<()> {
        let newfd_flags = if is_cloexec { libc::O_CLOEXEC as u32 } else { 0 };
        let srcfd = socket.as_raw_fd() as u32;
        let request = seccomp_notif_addfd { id: call.id, flags: 0, srcfd, newfd: 0, newfd_flags };
        match self.calls.listener.add_descriptor(&request) {
            Ok(number) => self.calls.send(call, i64::from(number), 0, 0),
            Err(errno) => self.calls.send(call, 0, -(errno as i32), 0),
        }
    }
}

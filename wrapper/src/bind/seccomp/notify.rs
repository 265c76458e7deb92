//! What the supervisor does with one call after the other: makes the socket, binds it, puts it into the caller.
//!
//! The call itself never goes on (SECCOMP_USER_NOTIF_FLAG_CONTINUE) unless the caller is in another network
//! namespace: a socket that is bound after the fact has been used before it.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;

use libc::{seccomp_notif, seccomp_notif_addfd, seccomp_notif_resp};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::stat;

use crate::bind::seccomp::filter::{COMPAT_ARCH, COMPAT_SOCKETCALL};
use crate::sys::capability;
use crate::sys::seccomp::Listener;
use crate::sys::socket::{self, AF_SMC};
use crate::vrf::device::Device;

const ADDFD_FLAG_SEND: u32 = 2;
/// What `/proc/PID/net/dev` shows of a network namespace: unlike `ns/net`, it can be asked of a process of any user.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Netns(u64);

/// The supervisor's own network namespace.
pub fn netns_of_self() -> nix::Result<Netns> {
    Ok(Netns(stat("/proc/self/net/dev")?.st_ino))
}

/// A process's network namespace.
pub fn netns_of(pid: u32) -> nix::Result<Netns> {
    Ok(Netns(stat(format!("/proc/{pid}/net/dev").as_str())?.st_ino))
}

/// Answers calls until the last client is gone.
pub fn serve(listener: &OwnedFd, device: &Device, own_netns: Netns) -> nix::Result<()> {
    let supervisor = Supervisor { listener: Listener(listener), device, own_netns };
    supervisor.listener.wake_on_this_cpu();
    while supervisor.wait()? {
        if let Some(call) = supervisor.receive()? {
            supervisor.answer(&call)?;
        }
    }
    Ok(())
}

/// The arguments of socket(2).
#[derive(Clone, Copy)]
struct Wanted {
    domain: i32,
    kind: i32,
    protocol: i32,
}

/// How a call ends.
enum Outcome {
    /// The caller gets this socket.
    Made(OwnedFd, Wanted),
    /// The caller gets this errno.
    Failed(Errno),
    /// The kernel makes the socket in the caller's own network namespace, where the device means nothing.
    NotOurs,
}

struct Supervisor<'a> {
    listener: Listener<'a>,
    device: &'a Device,
    own_netns: Netns,
}

impl Supervisor<'_> {
    /// Waits for a call; false when no client is left. RECV itself would never say so.
    fn wait(&self) -> nix::Result<bool> {
        loop {
            let mut wanted = [PollFd::new(self.listener.as_fd(), PollFlags::POLLIN)];
            match poll(&mut wanted, PollTimeout::NONE) {
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
                Ok(_) => return Ok(!wanted[0].revents().is_some_and(|seen| seen.contains(PollFlags::POLLHUP))),
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

    /// Err: a caller could not be answered, and would wait for ever. A supervisor that ends lets all calls fail.
    fn answer(&self, call: &seccomp_notif) -> nix::Result<()> {
        match self.outcome(call) {
            Outcome::Made(socket, wanted) => self.hand_over(call, &socket, wanted),
            Outcome::Failed(errno) => self.send(call, 0, -(errno as i32), 0),
            Outcome::NotOurs => self.send(call, 0, 0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32),
        }
    }

    fn outcome(&self, call: &seccomp_notif) -> Outcome {
        let netns = netns_of(call.pid);
        let wanted = self.arguments(call);
        // Only now is it known that what was read belongs to the caller, and not to a later owner of its pid. To a caller
        // that is gone the answer gets nowhere.
        if !self.listener.is_valid(call.id) {
            return Outcome::Failed(Errno::EACCES);
        }
        match (netns, wanted) {
            (Err(_), _) => Outcome::Failed(Errno::EACCES),
            (Ok(netns), _) if netns != self.own_netns => Outcome::NotOurs,
            (Ok(_), Err(errno)) => Outcome::Failed(errno),
            (Ok(_), Ok(wanted)) => match self.make(wanted) {
                Ok(socket) => Outcome::Made(socket, wanted),
                Err(errno) => Outcome::Failed(errno),
            },
        }
    }

    /// The caller's three words. Those of `socketcall` are in its memory, and are read once.
    fn arguments(&self, call: &seccomp_notif) -> nix::Result<Wanted> {
        let data = &call.data;
        if (data.arch, data.nr as u32) != (COMPAT_ARCH, COMPAT_SOCKETCALL) {
            let [domain, kind, protocol, ..] = data.args.map(|word| word as i32);
            return Ok(Wanted { domain, kind, protocol });
        }
        let memory = capability::with_ptrace(|| File::open(format!("/proc/{}/mem", call.pid)));
        let mut words = [0; 12];
        let address = u64::from(data.args[1] as u32);
        memory.and_then(|memory| memory.read_exact_at(&mut words, address)).map_err(|_| Errno::EACCES)?;
        let word = |at: usize| i32::from_le_bytes([words[at], words[at + 1], words[at + 2], words[at + 3]]);
        Ok(Wanted { domain: word(0), kind: word(4), protocol: word(8) })
    }

    /// The caller's own rights do not count here, nor do the supervisor's: it has none. So SOCK_RAW is EPERM.
    fn make(&self, wanted: Wanted) -> nix::Result<OwnedFd> {
        let socket = socket::open(wanted.domain, wanted.kind, wanted.protocol)?;
        if matches!(wanted.domain, libc::AF_INET | libc::AF_INET6 | AF_SMC) {
            socket::bind_to_device(&socket, self.device.name_bytes())?;
        }
        Ok(socket)
    }

    /// Puts the socket into the caller and ends its call in one step (5.14), so that a signal cannot come between;
    /// in two steps before.
    fn hand_over(&self, call: &seccomp_notif, socket: &OwnedFd, wanted: Wanted) -> nix::Result<()> {
        let cloexec = if wanted.kind & libc::SOCK_CLOEXEC != 0 { libc::O_CLOEXEC as u32 } else { 0 };
        let add = |flags| {
            let request = seccomp_notif_addfd {
                id: call.id,
                flags,
                srcfd: socket.as_raw_fd() as u32,
                newfd: 0,
                newfd_flags: cloexec,
            };
            self.listener.add_descriptor(&request)
        };
        match add(ADDFD_FLAG_SEND) {
            Ok(_) | Err(Errno::ENOENT) => Ok(()),
            Err(Errno::EINVAL) => match add(0) {
                Ok(fd) => self.send(call, i64::from(fd), 0, 0),
                Err(errno) => self.send(call, 0, -(errno as i32), 0),
            },
            Err(errno) => self.send(call, 0, -(errno as i32), 0),
        }
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

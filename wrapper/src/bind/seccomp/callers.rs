//! Who calls: whether in our network namespace, and as whom. /proc answers that, slowly; so what it said of a process is
//! believed again where the process cannot have changed it meanwhile.
//!
//! A number that its first owner still holds is no other process's (`sys::pidfd`). Into another network or user namespace
//! it gets by unshare or setns, which the filter shows the supervisor before they happen: from then on /proc is asked each
//! time. Into another network namespace it also gets when one of its threads, made there by clone(2), calls exec; so /proc is
//! asked for the namespace of those who can do that. Other credentials it gets in many ways, none of which the filter may
//! touch: these are asked of the kernel each time (6.13; of /proc before, by a file that stays open), except of those who
//! can have no others without another user namespace.

use std::cell::{Cell, RefCell};

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit};

use crate::bind::seccomp::identity::{Acting, Identity};
use crate::bind::seccomp::process::{Netns, Network, Proc, StatusFile, Userns};
use crate::bind::seccomp::status::{Credentials, Status};
use crate::bind::verify::DENIED;
use crate::sys::capability::{CAP_NET_RAW, Kept, bit};
use crate::sys::pidfd::{Ids, Pidfd};
use crate::sys::socket;

/// How many processes are remembered at most: each takes two descriptors.
const MOST: u64 = 256;

/// Where a caller is.
pub enum Place {
    /// In our network namespace. May it have raw sockets?
    Ours {
        /// It has CAP_NET_RAW in our user namespace.
        is_raw: bool,
    },
    /// In another one, where the device means nothing.
    Elsewhere,
}

/// All that may call.
pub struct Callers {
    proc: Proc,
    kept: Kept,
    netns: Netns,
    userns: Option<Userns>,
    /// Who the supervisor is, if it has no rights that a caller might not have.
    powerless: Option<Credentials>,
    identity: RefCell<Identity>,
    remembered: RefCell<Vec<Remembered>>,
    room: usize,
    is_settled: Cell<bool>,
    /// Somebody has been in our network namespace.
    is_met: Cell<bool>,
}

/// A process that was in our network namespace when it was looked at.
struct Remembered {
    pid: u32,
    witness: Witness,
    /// None of who is the supervisor's own powerless user, and cannot be another.
    credentials: Option<Credentials>,
    /// Of those that may get into another network namespace unseen: a thread that clone(2) made there becomes the process
    /// when it calls exec. That takes CAP_SYS_ADMIN.
    network: Option<Network>,
}

/// What knows a process, whoever has its number.
enum Witness {
    /// From Linux 6.13 on it says as whom the process acts.
    Pidfd(Pidfd),
    /// Says the same, slowly.
    Status(StatusFile),
}

impl Witness {
    /// Both of the process that had the number while it still waited. Whoever stays who it is need only be alive.
    fn of(pidfd: Option<Pidfd>, status: StatusFile, is_powerless: bool) -> Self {
        let serves = |pidfd: &Pidfd| is_powerless || pidfd.ids().is_ok();
        pidfd.filter(serves).map_or(Self::Status(status), Self::Pidfd)
    }

    fn is_alive(&self) -> bool {
        match self {
            Self::Pidfd(pidfd) => pidfd.is_alive(),
            Self::Status(file) => file.ids().is_ok(),
        }
    }

    fn acts_as(&self, ids: Ids) -> bool {
        match self {
            Self::Pidfd(pidfd) => pidfd.ids() == Ok(ids),
            Self::Status(file) => file.ids() == Ok(ids),
        }
    }
}

impl Callers {
    /// Looks at itself and at its first client, which it remembers; where that is not known, at the first caller, later.
    /// Err: the client cannot be seen, or is not where the supervisor is.
    pub fn new(proc: Proc, own_status: Status, kept: Kept, client: Option<u32>, acting: Acting) -> nix::Result<Self> {
        let own = std::process::id();
        let netns = proc.netns(own)?;
        let userns = kept.looking(|| proc.userns(own)).ok();
        let powerless = (kept.is_empty() && !has_raw_sockets()).then(|| own_status.credentials.clone());
        let identity = RefCell::new(Identity::new(own_status.credentials, acting));
        let remembered = RefCell::new(Vec::new());
        let (room, is_settled, is_met) = (room(), Cell::new(true), Cell::new(client.is_some()));
        let callers = Self { proc, kept, netns, userns, powerless, identity, remembered, room, is_settled, is_met };
        // It waits for what the supervisor says of it: its number is its own.
        match client.map(|client| callers.look(client, || true)).transpose()? {
            Some(Place::Elsewhere) => Err(Errno::EXDEV),
            _ => Ok(callers),
        }
    }

    /// Some caller is about to change its network or user namespace: nothing that is remembered counts any more, nor will.
    pub fn unsettle(&self) {
        self.is_settled.set(false);
        self.remembered.borrow_mut().clear();
    }

    /// Finds out where the caller is and acts as the caller from now on. `is_valid` says whether it still waits: only then
    /// does its number stand for it. Err: it cannot be known, or the very first is elsewhere.
    pub fn meet(&self, pid: u32, asks_for_rights: bool, is_valid: impl Fn() -> bool) -> nix::Result<Place> {
        if pid == 0 {
            return Err(Errno::EACCES); // not in our pid namespace
        }
        if self.is_known(pid, asks_for_rights)? {
            return Ok(Place::Ours { is_raw: false });
        }
        match self.look(pid, is_valid)? {
            Place::Elsewhere if !self.is_met.get() => Err(DENIED),
            place => {
                self.is_met.set(true);
                Ok(place)
            }
        }
    }

    /// Whether the process is remembered, and what is remembered holds. Groups and capabilities count only for sockets
    /// that not everybody may have, and are looked up for these.
    fn is_known(&self, pid: u32, asks_for_rights: bool) -> nix::Result<bool> {
        let remembered = self.remembered.borrow();
        let Some(process) = remembered.iter().find(|process| process.pid == pid) else { return Ok(false) };
        let is_here = || process.network.as_ref().is_none_or(|network| network.netns() == Ok(self.netns));
        match &process.credentials {
            None => Ok(process.witness.is_alive()),
            Some(credentials) if !asks_for_rights && is_here() && process.witness.acts_as(credentials.ids) => {
                self.identity.borrow_mut().take(credentials, &self.kept).map(|()| true)
            }
            Some(_) => Ok(false),
        }
    }

    fn look(&self, pid: u32, is_valid: impl Fn() -> bool) -> nix::Result<Place> {
        let pidfd = if self.is_settled.get() { Pidfd::open(pid).ok() } else { None };
        let (network, file, userns) =
            self.kept.looking(|| (self.proc.network(pid), self.proc.status_file(pid), self.proc.userns(pid).ok()));
        let netns = network.as_ref().map_err(|errno| *errno).and_then(Network::netns);
        let network = network.ok();
        let status = file.and_then(|file| file.read().map(|status| (file, status)));
        if !is_valid() {
            return Err(Errno::EACCES);
        }
        if netns.map_err(|_| Errno::EACCES)? != self.netns {
            return Ok(Place::Elsewhere);
        }
        let (file, status) = status.map_err(|_| Errno::EACCES)?;
        self.identity.borrow_mut().take(&status.credentials, &self.kept)?;
        let is_raw = status.effective & bit(CAP_NET_RAW) != 0 && userns.is_some() && userns == self.userns;
        if self.is_settled.get() {
            let is_powerless = status.is_final() && self.powerless.as_ref() == Some(&status.credentials);
            let witness = Witness::of(pidfd, file, is_powerless);
            let network = network.filter(|_| !status.is_final());
            let credentials = (!is_powerless).then_some(status.credentials);
            self.remember(Remembered { pid, witness, credentials, network });
        }
        Ok(Place::Ours { is_raw })
    }

    /// The oldest makes room for the newest.
    fn remember(&self, process: Remembered) {
        if self.room == 0 {
            return;
        }
        let mut remembered = self.remembered.borrow_mut();
        remembered.retain(|other| other.pid != process.pid);
        if remembered.len() >= self.room {
            remembered.remove(0);
        }
        remembered.push(process);
    }

    /// Does the work with the right to raw sockets.
    pub fn with_raw<T>(&self, work: impl FnOnce() -> T) -> T {
        self.kept.with(bit(CAP_NET_RAW), work)
    }

    /// Reads a caller's memory.
    pub fn memory(&self, pid: u32, address: u64, buffer: &mut [u8]) -> nix::Result<()> {
        self.kept.looking(|| self.proc.memory(pid, address, buffer))
    }

    /// The process that a caller is of, and the program that it runs.
    pub fn process(&self, pid: u32) -> nix::Result<(u32, String)> {
        self.kept.looking(|| self.proc.process(pid))
    }

    /// Whether a caller is in another network namespace.
    pub fn is_elsewhere(&self, pid: u32) -> bool {
        self.kept.looking(|| self.proc.netns(pid)).is_ok_and(|netns| netns != self.netns)
    }

    /// A copy of a caller's descriptor, for a look.
    pub fn descriptor(&self, pid: u32, number: i32) -> nix::Result<std::os::fd::OwnedFd> {
        self.kept.looking(|| {
            // Before 6.9 a thread cannot be had; its process has the same descriptors, unless it made them its own.
            let pidfd = Pidfd::open(pid).or_else(|_| Pidfd::open(self.proc.process(pid)?.0))?;
            pidfd.descriptor(number)
        })
    }
}

/// Who owns the user namespace that the network belongs to has raw sockets without a capability.
fn has_raw_sockets() -> bool {
    socket::open(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP).is_ok()
}

/// How many descriptors the supervisor needs: it holds half as many, looks at a caller by three, and makes a socket.
pub const FEWEST: u64 = 12;

/// For how many processes there are descriptors, of which each takes two.
fn room() -> usize {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(limit, _)| MOST.min(limit.saturating_sub(FEWEST) / 2) as usize)
}

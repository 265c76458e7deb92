//! The sockets of processes: each is looked at once in a round, whoever has it, and what became of it is kept.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;

use nix::errno::Errno;

use super::connection::Connections;
use super::found::{Found, Thread};
use super::judge::{Decision, Target};
use super::listed::{Listed, open};
use super::port::{self, Others};
use super::round::Round;
use super::socket::{self, Seen};
use super::verdict::{Description, Fate, State, Subject, Verdict};
use super::{Request, domain_name};
use crate::error::Error;
use crate::inspect::processes;
use crate::sys::netlink::errno_text;
use crate::sys::pidfd::{self, Process};

/// All that was seen.
#[derive(Default)]
pub struct Scan {
    /// By their inodes.
    sockets: BTreeMap<u64, State>,
    /// Which process has which socket by which descriptor.
    descriptors: BTreeMap<(u32, i32), u64>,
    /// What is no socket, or cannot be reached, and may matter.
    others: BTreeMap<(u32, i32), State>,
    /// The sockets of this round.
    seen: BTreeSet<u64>,
    connections: Connections,
    /// All sockets of the processes that are moved, once somebody asks.
    ours: Option<BTreeSet<u64>>,
}

impl Scan {
    /// Begins a round.
    ///
    /// # Errors
    /// The kernel does not list sockets.
    pub fn begin(&mut self) -> Result<(), Error> {
        self.seen.clear();
        self.others.clear();
        self.ours = None;
        let sockets = &self.sockets;
        let is_done =
            |inode: &u64| sockets.get(inode).is_some_and(|socket| matches!(socket.fate, Fate::Moved | Fate::Closed));
        self.descriptors.retain(|_, inode| is_done(inode));
        self.connections.read()
    }

    /// All sockets of a process; whether anything was changed.
    pub fn process(&mut self, found: Found, round: &Round) -> bool {
        // What has ended meanwhile has no sockets.
        let Some(thread) = found.thread() else { return false };
        let opened = open(thread);
        // Opened first: one that is still listed below its process was not another one's before.
        let Some(listed) = Listed::of(thread) else { return found.thread().is_some() };
        match opened {
            // Another process may have the number by now.
            _ if !found.is_same() => false,
            Ok(process) => self.sockets(&process, &listed, round),
            Err(Errno::EINVAL) => self.unreachable(&listed),
            // Another of its threads has them as well, which the next round sees.
            Err(_) => found.thread().is_some(),
        }
    }

    fn sockets(&mut self, process: &Process, listed: &Listed, round: &Round) -> bool {
        let (mut has_changed, pid) = (false, listed.pid);
        for (fd, inode) in &listed.descriptors {
            let Some(inode) = inode else {
                let why = "sockets in its list of files cannot be seen".to_owned();
                self.other(pid, *fd, "io_uring", Fate::Stays, why);
                continue;
            };
            self.descriptors.insert((pid, *fd), *inode);
            if self.seen.insert(*inode) {
                match self.socket(process, *fd, *inode, round) {
                    Ok(changed) => has_changed |= changed,
                    // Closed, or the process has ended: another one may still have it.
                    Err(Errno::EBADF | Errno::ESRCH) => {
                        self.descriptors.remove(&(pid, *fd));
                        self.seen.remove(inode);
                        has_changed = true;
                    }
                    Err(errno) => self.other(pid, *fd, "socket", Fate::Failed, errno_text(errno as i32)),
                }
            }
        }
        self.threads(listed);
        has_changed
    }

    /// An older kernel has copies of the main thread's descriptors only.
    fn unreachable(&mut self, listed: &Listed) -> bool {
        for (fd, _) in &listed.descriptors {
            let why = "its main thread has ended, and the kernel has no pidfd of another one (Linux 6.9)".to_owned();
            self.other(listed.pid, *fd, "socket", Fate::Stays, why);
        }
        false
    }

    /// Closes connections, or names them, also those that wait at listeners; whether anything was changed.
    pub fn connections(&mut self, target: &Target, request: &Request) -> bool {
        self.connections.settle(&mut self.sockets, &self.seen, target, request)
    }

    fn socket(&mut self, process: &Process, fd: i32, inode: u64, round: &Round) -> nix::Result<bool> {
        let copy = process.descriptor(fd)?;
        // The number may have been given to another file meanwhile, which the next round sees.
        if pidfd::inode(&copy)? != inode {
            return Ok(true);
        }
        let Some(Seen { kind, device, mut description }) = socket::look(&copy, round.netns)? else {
            self.sockets.remove(&inode);
            return Ok(false);
        };
        description.from = domain_name(round.target.links, device);
        let decision = match round.target.decide(&kind, device) {
            Decision::Rebind if round.places.holds(device, self.connections.cgroup_of(inode)) => {
                Decision::Stay("it was made in a cgroup of that VRF that other processes are in".to_owned())
            }
            Decision::Rebind => {
                let why = self.why_shared(inode, device, round);
                let are_there = |others| self.have_its_port(inode, others, round);
                why.or_else(|| port::why_it_stays(&copy, &kind, device, round.target, are_there))
                    .map_or(Decision::Rebind, Decision::Stay)
            }
            decision => decision,
        };
        let (fate, why) = round.carry_out(decision, &copy);
        self.keep(inode, State { description, fate, why });
        Ok(fate == Fate::Moved)
    }

    /// Of a listener whose port is shared by one that is not moved: another process's, or one that cannot be. Apart, each would
    /// be handed the other's connections.
    fn why_shared(&mut self, inode: u64, device: u32, round: &Round) -> Option<String> {
        let mut others = self.connections.sharing(inode).peekable();
        others.peek()?;
        let ours = self.ours.get_or_insert_with(|| sockets_of(round.moved));
        let stays = |other: u64| round.places.holds(device, self.connections.cgroup_of(other));
        let strange = others.find(|other| !ours.contains(other) || stays(*other))?;
        let owner = processes::socket_owners().remove(&strange).and_then(|pids| pids.first().copied());
        let owner = owner.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
        Some(format!("it shares its port by SO_REUSEPORT with {owner}, which is not moved"))
    }

    /// Whether there are others that have the port of this one in the target.
    fn have_its_port(&mut self, inode: u64, which: Others, round: &Round) -> bool {
        // Of one that has begun to listen since the list was read, nobody can tell.
        if which == Others::All && !self.connections.lists_listener(inode) {
            return true;
        }
        let ours = self.ours.get_or_insert_with(|| sockets_of(round.moved));
        let (links, to) = (round.target.links, round.target.vrf.as_ref().map_or(0, |vrf| vrf.ifindex));
        let is_there = |device| links.tcp_list_of(device) == to;
        let mut others = self.connections.of_the_same_port(inode, is_there);
        others.any(|(other, listens)| which == Others::All || listens && !ours.contains(&other))
    }

    /// What an earlier round has done counts more than that it is done.
    fn keep(&mut self, inode: u64, state: State) {
        let known = self.sockets.get(&inode).map(|known| known.fate);
        let is_settled = match known {
            Some(Fate::Closed) => state.fate != Fate::Failed,
            Some(Fate::Moved) => state.fate == Fate::Unchanged,
            _ => false,
        };
        if !is_settled {
            self.sockets.insert(inode, state);
        }
    }

    /// A thread may have descriptors of its own (CLONE_FILES), of which no copy can be had.
    fn threads(&mut self, Listed { pid, thread: main, descriptors: found }: &Listed) {
        for entry in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
            let Some(thread) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
            // A descriptor that only one of two lists has may have been opened between them: the kernel tells tables apart.
            let shares = if thread == *main { Ok(true) } else { pidfd::shares_descriptors(*main, thread) };
            if shares == Ok(true) {
                continue;
            }
            let own = Listed::of(Thread { process: *pid, number: thread });
            for (fd, inode) in own.into_iter().flat_map(|own| own.descriptors) {
                // In a table of its own a number is another socket's.
                let is_it = |known: &(i32, Option<u64>)| known.0 == fd && (shares.is_err() || known.1 == inode);
                if !found.iter().any(is_it) {
                    let why = format!("thread {thread} has it in a table of its own, which cannot be reached");
                    self.other(*pid, fd, "socket", Fate::Stays, why);
                }
            }
        }
    }

    fn other(&mut self, pid: u32, fd: i32, what: &str, fate: Fate, why: String) {
        let description = Description { protocol: what.to_owned(), ..Description::default() };
        self.others.insert((pid, fd), State { description, fate, why: Some(why) });
    }

    /// Of each descriptor of these processes, by their names.
    pub fn verdicts(self, moved: &BTreeSet<u32>, commands: &HashMap<u32, String>) -> Vec<Verdict> {
        let owners = processes::socket_owners();
        let shared = |inode: &u64| {
            let mut others = owners.get(inode).cloned().unwrap_or_default();
            others.retain(|pid| !moved.contains(pid) && *pid != std::process::id());
            others
        };
        let verdict = |pid: u32, fd: i32, state: &State, shared: Vec<u32>| Verdict {
            pid,
            command: commands.get(&pid).cloned().unwrap_or_default(),
            subject: Subject::Descriptor { fd, socket: state.description.clone(), shared },
            fate: state.fate,
            why: state.why.clone(),
        };
        let mut all = Vec::new();
        for ((pid, fd), inode) in &self.descriptors {
            let Some(state) = self.sockets.get(inode) else { continue };
            all.push(verdict(*pid, *fd, state, if state.fate == Fate::Unchanged { Vec::new() } else { shared(inode) }));
            all.extend(self.connections.waiting_at(*inode).map(|state| verdict(*pid, *fd, state, Vec::new())));
        }
        all.extend(self.others.iter().map(|((pid, fd), state)| verdict(*pid, *fd, state, Vec::new())));
        all
    }
}

/// Of those whose sockets can be reached.
fn sockets_of(processes: &[Found]) -> BTreeSet<u64> {
    let reached = |found: &Found| found.thread().filter(|thread| open(*thread).is_ok());
    let listed = processes.iter().filter_map(|found| Listed::of(reached(found)?));
    listed.flat_map(|listed| listed.descriptors).filter_map(|(_, inode)| inode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_was_closed_or_moved_stays_so_in_later_rounds() {
        let mut scan = Scan::default();
        let state = |fate| State { description: Description::default(), fate, why: None };
        for (inode, rounds, expected) in [
            (1, [Fate::Moved, Fate::Unchanged], Fate::Moved),
            (2, [Fate::Closed, Fate::Moved], Fate::Closed),
            (3, [Fate::Stays, Fate::Unchanged], Fate::Unchanged),
            (4, [Fate::Moved, Fate::Failed], Fate::Failed),
        ] {
            rounds.into_iter().for_each(|fate| scan.keep(inode, state(fate)));
            assert_eq!(scan.sockets[&inode].fate, expected, "{inode}");
        }
    }
}

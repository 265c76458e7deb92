//! Connections, which cannot move: named or closed. Also those that wait at a listener: no process has them yet, and they are
//! of the domain that the listener was in when they came.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

use super::judge::{Kind, Target};
use super::verdict::{Description, Fate, State};
use super::{Request, domain_name};
use crate::error::Error;
use crate::model::family::Family;
use crate::sys::netlink::{KernelError, errno_text};
use crate::sys::sock_diag::{self, Connection};

const LISTEN: u8 = 10;
/// ESTABLISHED, SYN_RECV and CLOSE_WAIT: what a listener may have in its queues.
const WAITING: [u8; 3] = [1, 3, 8];
const HINT: &str = "a connection cannot move (--close-connections closes it)";

/// The sockets of this network namespace, as the kernel lists them.
#[derive(Default)]
pub struct Connections {
    all: Vec<Connection>,
    by_inode: HashMap<u64, usize>,
    /// With the inode of their listener.
    waiting: Vec<(u64, State)>,
}

impl Connections {
    /// Reads them.
    ///
    /// # Errors
    /// The kernel's own.
    pub fn read(&mut self) -> Result<(), Error> {
        self.all = sock_diag::everything().map_err(Error::unreadable("the sockets"))?;
        let owned = self.all.iter().enumerate().filter(|(_, socket)| socket.inode != 0);
        self.by_inode = owned.map(|(at, socket)| (u64::from(socket.inode), at)).collect();
        Ok(())
    }

    /// The number of the cgroup that a socket was made in, where the kernel tells.
    pub fn cgroup_of(&self, inode: u64) -> Option<u64> {
        self.of(inode)?.cgroup()
    }

    /// The other listeners of the port of this one, which all share it by SO_REUSEPORT: the kernel hands a connection to any of
    /// them, also when one is bound to another device by then.
    pub fn sharing(&self, inode: u64) -> impl Iterator<Item = u64> {
        let own = self.of(inode).filter(|own| is_listener(own));
        let is_other = move |other: &&Connection| {
            let is_alike = |own: &Connection| (own.local, own.bound) == (other.local, other.bound);
            is_listener(other) && other.inode != 0 && u64::from(other.inode) != inode && own.is_some_and(is_alike)
        };
        self.all.iter().filter(is_other).map(|other| u64::from(other.inode))
    }

    /// Whether the kernel has listed this socket as a listener: not one that has begun to listen since.
    pub fn lists_listener(&self, inode: u64) -> bool {
        self.of(inode).is_some_and(is_listener)
    }

    /// The other TCP sockets that have the port of this listener, whatever their addresses, and are bound to such a device:
    /// with their inodes, and whether they listen.
    pub fn of_the_same_port(&self, inode: u64, is_there: impl Fn(u32) -> bool) -> impl Iterator<Item = (u64, bool)> {
        let own = self.of(inode).filter(|own| is_listener(own));
        let is_other = move |other: &&Connection| {
            let is_its_port = own.is_some_and(|own| (own.protocol, own.local.1) == (other.protocol, other.local.1));
            is_its_port && u64::from(other.inode) != inode && is_there(other.bound)
        };
        self.all.iter().filter(is_other).map(|other| (u64::from(other.inode), is_listener(other)))
    }

    /// What became of those that waited at the listener of this inode.
    pub fn waiting_at(&self, listener: u64) -> impl Iterator<Item = &State> {
        self.waiting.iter().filter(move |(of, _)| *of == listener).map(|(_, state)| state)
    }

    /// Names or closes those of this round; whether anything was changed.
    pub fn settle(
        &mut self,
        sockets: &mut BTreeMap<u64, State>,
        seen: &BTreeSet<u64>,
        target: &Target,
        request: &Request,
    ) -> bool {
        let mut has_changed = false;
        for inode in seen {
            let Some(state) = sockets.get_mut(inode).filter(|state| is_open(state)) else { continue };
            has_changed |= self.close(*inode, state, request);
        }
        has_changed | self.settle_waiting(sockets, seen, target, request)
    }

    /// One that a process has. Of what has come since the list was read the next round knows.
    fn close(&self, inode: u64, state: &mut State, request: &Request) -> bool {
        let is_listed = state.description.protocol != "ping" && state.description.protocol != "udplite";
        match self.of(inode) {
            _ if !request.closes => state.why = Some(HINT.to_owned()),
            _ if !is_listed => state.why = Some("the kernel cannot close such a socket".to_owned()),
            None => return !request.is_dry,
            Some(_) if request.is_dry => state.fate = Fate::Closes,
            Some(socket) => return destroy(socket, state),
        }
        false
    }

    fn settle_waiting(
        &mut self,
        sockets: &BTreeMap<u64, State>,
        seen: &BTreeSet<u64>,
        target: &Target,
        request: &Request,
    ) -> bool {
        let (mut has_changed, mut waiting_now) = (false, Vec::new());
        for (listener, socket) in self.found_waiting(sockets, seen, target) {
            let mut state = waiting(socket, domain_name(target.links, socket.bound));
            match (request.closes, request.is_dry) {
                (true, true) => state.fate = Fate::Closes,
                (true, false) => has_changed |= destroy(socket, &mut state),
                (false, _) => state.why = Some(HINT.to_owned()),
            }
            waiting_now.push((listener, state));
        }
        self.waiting.retain(|(_, state)| state.fate == Fate::Closed);
        self.waiting.extend(waiting_now);
        has_changed
    }

    /// With the listener of ours that each waits at. Where a stranger listens at the same port nobody can tell whose it is.
    fn found_waiting<'a>(
        &'a self,
        sockets: &BTreeMap<u64, State>,
        seen: &BTreeSet<u64>,
        target: &Target,
    ) -> Vec<(u64, &'a Connection)> {
        let listeners: Vec<&Connection> = self.all.iter().filter(|socket| is_listener(socket)).collect();
        let is_ours = |socket: &Connection| {
            let inode = u64::from(socket.inode);
            let is_in_place = |state: &State| matches!(state.fate, Fate::Moved | Fate::Moves | Fate::Unchanged);
            seen.contains(&inode) && sockets.get(&inode).is_some_and(is_in_place)
        };
        let strange: HashSet<u16> =
            listeners.iter().filter(|socket| !is_ours(socket)).map(|socket| socket.local.1).collect();
        let outside = |socket: &&Connection| {
            let is_waiting = WAITING.contains(&socket.state) && i32::from(socket.protocol) == libc::IPPROTO_TCP;
            socket.inode == 0
                && is_waiting
                && !strange.contains(&socket.local.1)
                && target.decide(&Kind::Connection, socket.bound) == super::judge::Decision::Close
        };
        let at = |socket: &Connection| {
            let listener = listeners.iter().find(|listener| is_ours(listener) && is_at(socket, listener));
            listener.map(|listener| u64::from(listener.inode))
        };
        self.all.iter().filter(outside).filter_map(|socket| Some((at(socket)?, socket))).collect()
    }

    fn of(&self, inode: u64) -> Option<&Connection> {
        self.by_inode.get(&inode).map(|at| &self.all[*at])
    }
}

/// Whether it is a connection that is yet to be named or closed.
fn is_open(state: &State) -> bool {
    state.fate == Fate::Stays && state.why.is_none()
}

fn is_listener(socket: &Connection) -> bool {
    socket.state == LISTEN && i32::from(socket.protocol) == libc::IPPROTO_TCP
}

/// A listener of IPv6 without an address of its own takes IPv4 as well.
fn is_at(socket: &Connection, listener: &Connection) -> bool {
    let (ours, of) = (listener.local.0, socket.local.0);
    let is_family = |address: IpAddr| if address.is_ipv4() { Family::V4 } else { Family::V6 };
    let takes = ours == of || ours.is_unspecified() && (ours.is_ipv6() || is_family(ours) == is_family(of));
    takes && listener.local.1 == socket.local.1
}

fn waiting(socket: &Connection, from: String) -> State {
    let text = |(address, port)| SocketAddr::new(address, port).to_string();
    let description = Description {
        protocol: "tcp".to_owned(),
        state: socket.state_name().to_owned(),
        local: text(socket.local),
        peer: text(socket.peer),
        from,
    };
    State { description, fate: Fate::Stays, why: None }
}

/// Whether it is closed now.
fn destroy(socket: &Connection, state: &mut State) -> bool {
    let why = match sock_diag::destroy(socket) {
        Ok(()) => {
            (state.fate, state.why) = (Fate::Closed, None);
            return true;
        }
        Err(KernelError { errno: libc::ENOENT, .. }) => return true, // it has ended by itself
        Err(KernelError { errno: libc::EOPNOTSUPP, .. }) => {
            "this kernel cannot close it (CONFIG_INET_DIAG_DESTROY)".to_owned()
        }
        Err(error) => errno_text(error.errno),
    };
    (state.fate, state.why) = (Fate::Failed, Some(why));
    false
}

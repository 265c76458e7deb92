//! The cgroups: which one a process is to be in, made and proved when the first process comes, and those that were left.
//!
//! They are those of `vrfrun -m bpf`, of the same name at the same place with the same programs, so that both can use what
//! the other has made.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::UdpSocket;

use nix::sys::socket::{getsockopt, sockopt};
use nix::sys::stat::fstat;
use vrfabi::cgroup::{Cgroup as Name, Tail};
use vrfbpf::set::{self, Device, Record};

use super::found::{Found, Thread};
use super::ours::{binds, is_at_or_below, ours};
use crate::change::cgroup::Cgroup;
use crate::change::unit;
use crate::inspect::processes;
use crate::model::link::Link;
use crate::sys::netlink::{Kernel, KernelError};
use crate::sys::{cgroup, pidfd};

/// A concurrent run may remove an empty cgroup before anybody is in it; more often than this it is something else.
const TRIES: usize = 8;

/// How a process got into its cgroup.
pub enum Entered {
    /// It was there.
    Already,
    /// It is in this one now.
    Moved(String),
    /// It has ended.
    Gone,
    /// It is where it was; why.
    Refused(String),
}

/// All cgroups of one run.
pub struct Places<'a> {
    kernel: &'a Kernel,
    vrf: Option<Link>,
    netns: u64,
    is_dry: bool,
    /// Below which cgroups processes were found: the cgroup for them, or why there is none.
    wanted: HashMap<String, Result<String, String>>,
    /// Cgroups that processes have left.
    left: BTreeSet<String>,
    /// Of those that others are still in: the VRF, and the number of the cgroup.
    held: Vec<(u32, u64)>,
}

impl<'a> Places<'a> {
    /// None is made yet. `netns`: the network namespace of the VRF.
    pub fn new(kernel: &'a Kernel, vrf: Option<Link>, netns: u64, is_dry: bool) -> Self {
        Self { kernel, vrf, netns, is_dry, wanted: HashMap::new(), left: BTreeSet::new(), held: Vec::new() }
    }

    /// The index of the VRF whose cgroup of vrfrun's a thread is in.
    pub fn vrf_of(&self, thread: Thread) -> Option<u32> {
        let ours = ours(&cgroup::path_of(&thread.directory()).ok()?)?;
        ours.tail.filter(|tail| tail.netns == self.netns).map(|tail| tail.ifindex)
    }

    /// Moves a process into its cgroup, or finds it there.
    pub fn enter(&mut self, process: Found) -> Entered {
        let pid = process.pid;
        if let Some(vrf) = processes::held_by_a_filter(pid) {
            let is_it = self.vrf.as_ref().is_some_and(|wanted| wanted.name == vrf);
            let why = format!("vrfrun holds it in '{vrf}' by a filter or a library that stay as long as it runs");
            return if is_it { Entered::Already } else { Entered::Refused(why) };
        }
        if let Some(place) = self.vrf.is_none().then(|| processes::held_by_its_user(pid)).flatten() {
            return Entered::Refused(format!("'vrfsetup user' holds its user in {place}"));
        }
        for _ in 0..TRIES {
            match self.try_to_enter(process) {
                Err(error) if is_gone(&error) && process.thread().is_some() => self.wanted.clear(),
                Err(error) if is_gone(&error) => return Entered::Gone,
                Err(error) => return Entered::Refused(format!("cannot join its cgroup: {}", text(&error))),
                Ok(entered) => return entered,
            }
        }
        Entered::Refused("another process keeps removing the cgroup".to_owned())
    }

    fn try_to_enter(&mut self, process: Found) -> io::Result<Entered> {
        let Some(thread) = process.thread() else { return Ok(Entered::Gone) };
        let path = cgroup::path_of(&thread.directory())?;
        if path.starts_with("/..") {
            return Ok(Entered::Refused("its cgroup is outside this cgroup namespace".to_owned()));
        }
        let left = ours(&path);
        let parent = left.as_ref().map_or(&path, |ours| &ours.parent).clone();
        let tail = left.as_ref().and_then(|ours| ours.tail);
        // A strict one is as good as another, and must not be left.
        let is_strict = tail.is_some_and(|tail| tail.is_strict && self.is_wanted(tail));
        let wanted = match self.wanted(&parent) {
            _ if is_strict => return Ok(Entered::Already),
            Ok(wanted) => wanted,
            Err(why) => return Ok(Entered::Refused(why)),
        };
        let is_inside = if self.vrf.is_some() { is_at_or_below(&path, &wanted) } else { left.is_none() };
        if is_inside {
            return Ok(Entered::Already);
        }
        if !self.is_dry {
            if let Some(why) = put(&wanted, process)? {
                return Ok(Entered::Refused(why));
            }
            self.left.extend(left.map(|ours| ours.path));
        }
        Ok(Entered::Moved(wanted))
    }

    fn is_wanted(&self, tail: Tail) -> bool {
        tail.netns == self.netns && self.vrf.as_ref().is_some_and(|vrf| vrf.ifindex == tail.ifindex)
    }

    /// The cgroup for processes of this one; made and tried once.
    fn wanted(&mut self, parent: &str) -> Result<String, String> {
        if let Some(known) = self.wanted.get(parent) {
            return known.clone();
        }
        let made = match &self.vrf {
            None => self.try_default(parent),
            Some(vrf) => {
                let device = Device { name: vrf.name.as_bytes(), ifindex: vrf.ifindex, netns: self.netns };
                let name = device.cgroup_name(false).to_string_lossy().into_owned();
                let path = format!("{}/{name}", parent.trim_end_matches('/'));
                if self.is_dry { Ok(path) } else { self.make(path, &vrf.name) }
            }
        };
        self.wanted.insert(parent.to_owned(), made.clone());
        made
    }

    /// In the cgroup that is left to, sockets must be unbound.
    fn try_default(&self, parent: &str) -> Result<String, String> {
        if !self.is_dry {
            let tried = visit(parent, || match device_here() {
                Ok(None) => Ok(()),
                Ok(Some(device)) => Err(format!("something else than a cgroup of vrfrun binds it to '{device}'")),
                Err(error) => Err(format!("cannot try a socket: {}", text(&error))),
            });
            tried.map_err(|error| unusable(parent, &error))??;
        }
        Ok(parent.to_owned())
    }

    fn make(&self, path: String, vrf: &str) -> Result<String, String> {
        for _ in 0..TRIES {
            let is_new = cgroup::make(&path).map_err(|error| unusable(&path, &error))?;
            match visit(&path, || self.prove(&path, vrf, is_new)) {
                Err(error) if is_gone(&error) => {}
                proved => {
                    let proved = proved.unwrap_or_else(|error| Err(unusable(&path, &error)));
                    return proved.map(|()| path.clone()).inspect_err(|_| {
                        // Stays if somebody is in it.
                        let _ = is_new.then(|| cgroup::remove(&path));
                    });
                }
            }
        }
        Err("another process keeps removing the cgroup".to_owned())
    }

    /// In the cgroup: puts the programs on it and tries them.
    fn prove(&self, path: &str, vrf: &str, is_new: bool) -> Result<(), String> {
        let group = Cgroup::open(path.to_owned()).map_err(|error| error.to_string())?;
        let is_own = || fstat(&group.directory).is_ok_and(|stat| stat.st_uid == 0);
        if !is_new && Record::read(&group.directory).is_none() && !is_own() {
            return Err(format!("the cgroup '{path}' belongs to another user"));
        }
        group.put_programs(self.kernel, vrf).map_err(|error| error.to_string())?;
        unit::verify_bound(vrf).map_err(|error| error.to_string())
    }

    /// Gives up cgroups that were left and that nobody is in any more: sockets that were made in one are free then. A run that
    /// was killed has left some as well, which the way to the default domain looks for.
    pub fn give_up_empty(&mut self) {
        self.held.clear();
        let mut paths = self.left.clone();
        if self.vrf.is_none() && !self.is_dry {
            paths.extend(self.wanted.keys().filter_map(|parent| cgroup::children(parent).ok()).flatten());
        }
        for path in paths {
            let tail = path.rsplit('/').next().and_then(|name| Name::parse(name.as_bytes())).map(|name| name.tail);
            let Some(tail) = tail.filter(|tail| tail.netns == self.netns) else { continue };
            let Ok(directory) = cgroup::open(&path) else { continue };
            let is_empty = || cgroup::has_threads(&path).is_ok_and(|has| !has);
            if binds(&directory) && !matches!(set::give_up(&directory, is_empty), Ok(true)) {
                self.held.extend(pidfd::inode(&directory).ok().map(|number| (tail.ifindex, number)));
            } else if is_empty() {
                remove_tree(&path);
            }
        }
    }

    /// Whether a socket of a VRF, made in the cgroup of this number, would be bound again by programs that others need.
    pub fn holds(&self, vrf: u32, made_in: Option<u64>) -> bool {
        self.vrf.is_none()
            && self.held.iter().any(|(of, number)| *of == vrf && made_in.is_none_or(|made_in| made_in == *number))
    }

    /// Removes what was made for processes that have ended.
    pub fn remove_unused(&self) {
        let made = self.wanted.values().flatten().filter(|_| self.vrf.is_some() && !self.is_dry);
        made.for_each(|path| drop(cgroup::remove(path)));
    }
}

/// Moves a process, which has lived until now: the cgroup may have taken a while to make. Why it must be told of where the
/// number went to another process at this very moment, which nobody can keep from being moved.
fn put(path: &str, process: Found) -> io::Result<Option<String>> {
    if process.thread().is_none() {
        return Err(io::Error::from_raw_os_error(libc::ESRCH));
    }
    cgroup::put(path, process.pid)?;
    let why = || format!("it has ended, and another process has its number and is in cgroup '{path}' now");
    Ok(process.has_successor().then(why))
}

/// Does something in a cgroup, and comes back.
fn visit<T>(path: &str, look: impl FnOnce() -> T) -> io::Result<T> {
    if cgroup::is_frozen(path) {
        return Err(io::Error::from_raw_os_error(libc::EBUSY)); // nobody comes back from there
    }
    let (own, origin) = (std::process::id(), cgroup::path_of("self")?);
    cgroup::put(path, own)?;
    let outcome = look();
    cgroup::put(&origin, own).map(|()| outcome)
}

/// The device that a socket made here is bound to.
fn device_here() -> io::Result<Option<String>> {
    let socket = UdpSocket::bind("0.0.0.0:0").or_else(|_| UdpSocket::bind("[::]:0"))?;
    let device = getsockopt(&socket, sockopt::BindToDevice)?;
    Ok((!device.is_empty()).then(|| device.to_string_lossy().trim_end_matches('\0').to_owned()))
}

fn remove_tree(path: &str) {
    cgroup::children(path).unwrap_or_default().iter().for_each(|child| remove_tree(child));
    // Stays if somebody has come.
    let _ = cgroup::remove(path);
}

/// The process or the cgroup.
fn is_gone(error: &io::Error) -> bool {
    [Some(libc::ENOENT), Some(libc::ENODEV), Some(libc::ESRCH)].contains(&error.raw_os_error())
}

fn unusable(path: &str, error: &io::Error) -> String {
    format!("cannot use the cgroup '{path}': {}", text(error))
}

fn text(error: &io::Error) -> String {
    KernelError::from_io(error).to_string()
}

//! `vrfsetup move`: takes processes that run already into a VRF, or out of it: which they are (`select`), their cgroups
//! (`place`), their sockets (`scan`, `socket`, `judge`), connections (`connection`), and what became of each (`verdict`).
//!
//! The cgroup comes first, so that whatever the process makes from then on is bound; then its sockets, again until a round
//! changes nothing. A run that is killed leaves each socket in one domain or in the other, and the next one goes on: nothing
//! is remembered anywhere but in the kernel. May use `change`, `inspect` and what is below them. No transaction: what a
//! process has done in the new domain meanwhile nobody can undo; the way back is another move.
#![forbid(unsafe_code)]

mod connection;
mod judge;
mod place;
mod scan;
mod select;
mod socket;
mod verdict;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use nix::errno::Errno;
use nix::unistd::geteuid;

use crate::change;
use crate::error::Error;
use crate::inspect::processes;
use crate::model::link::Link;
use crate::plan::emulate;
use crate::plan::system::{self, System};
use crate::sys::netlink::Kernel;
use crate::sys::pidfd::{self, Process};
use crate::sys::run_dir;
use judge::Target;
use place::{Entered, Places};
use scan::{Round, Scan};
use verdict::{Fate, Subject};
pub use verdict::{Report, Verdict};

/// The word for the domain outside all VRFs.
const DEFAULT: &str = "default";
/// More rounds than this, and somebody works against us.
const ROUNDS: usize = 200;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// A VRF, or `default`.
    pub to: &'a str,
    /// Processes, which come with their descendants.
    pub pids: &'a [u32],
    /// All processes of a unit of systemd's.
    pub unit: Option<&'a str>,
    /// Changes nothing.
    pub is_dry: bool,
    /// Closes what cannot be moved.
    pub closes: bool,
}

impl Request<'_> {
    /// What is to be said of a unit that is in the VRF from now on and not from its next start.
    pub fn note(&self) -> Option<String> {
        let unit = self.unit?;
        let name = |known: &String| known == unit || known.strip_suffix(".service") == Some(unit);
        let is_permanent = change::unit::units_of(self.to).iter().any(name);
        let command = format!("vrfsetup unit {} {unit}", self.to);
        (self.to != DEFAULT && !is_permanent).then(|| format!("note: its next start is outside again: {command}"))
    }
}

/// Moves them; `arrived` names a signal that has come.
///
/// # Errors
/// Nothing was changed: no such VRF, no such unit, or the kernel does not say what is there.
pub fn move_all(
    kernel: &Kernel,
    request: &Request,
    arrived: impl Fn() -> Option<&'static str>,
) -> Result<Report, Error> {
    let netns = run_dir::netns().map_err(Error::unreadable("the network namespace"))?;
    let system = System::read(kernel)?;
    let vrf = wanted_vrf(kernel, &system, request.to)?;
    let unit = request.unit.map(select::cgroup_of_unit).transpose()?;
    let mut places = Places::new(kernel, vrf.clone(), netns, request.is_dry);
    let first = select::processes(request.pids, unit.as_deref());
    let leaves = first.iter().filter_map(|pid| places.vrf_of(*pid)).collect();
    let target = Target { vrf, leaves, links: &system };
    let mut run =
        Run { request, target, netns, unit, places: &mut places, processes: BTreeMap::new(), scan: Scan::default() };
    run.skip_dead();
    // Before anything is changed: not every kernel lists them.
    run.scan.begin()?;
    for round in 0.. {
        if let Some(signal) = arrived() {
            return Ok(run.report(Some(format!("ended by {signal}"))));
        }
        match run.round()? {
            false => break,
            true if request.is_dry => break,
            true if round >= ROUNDS => return Ok(run.report(Some("the processes keep changing".to_owned()))),
            true => {}
        }
    }
    Ok(run.report(None))
}

/// The VRF of this name; None for the default domain.
fn wanted_vrf(kernel: &Kernel, system: &System, name: &str) -> Result<Option<Link>, Error> {
    if name == DEFAULT {
        return Ok(None);
    }
    let found = system.existing(name)?;
    // Its device is an ordinary port, and a socket that is bound to it may be there by its program's own wish.
    if !found.is_vrf() && emulate::table_of(&system::rules(kernel)?, name).is_some() {
        return Err(Error::NotMoved(format!("VRF '{name}' is emulated by '{}'", found.name)));
    }
    system.existing_vrf(name).map(|link| Some(link.clone()))
}

/// Before anything is looked at.
///
/// # Errors
/// Not root, or a kernel that does not hand out descriptors.
pub fn can_move() -> Result<(), Error> {
    if !geteuid().is_root() {
        return Err(Error::NotMoved("only root can".to_owned()));
    }
    let (one, _other) = nix::unistd::pipe().map_err(Error::unreadable("a descriptor"))?;
    let copied =
        Process::open(std::process::id()).and_then(|own| own.descriptor(std::os::fd::AsRawFd::as_raw_fd(&one)));
    match copied {
        Ok(_) => Ok(()),
        Err(Errno::ENOSYS) => Err(Error::NotMoved("the kernel has no pidfd_getfd (Linux 5.6)".to_owned())),
        Err(errno) => Err(Error::unreadable("a copy of a descriptor")(errno)),
    }
}

struct Run<'a> {
    request: &'a Request<'a>,
    target: Target<'a>,
    netns: u64,
    unit: Option<String>,
    places: &'a mut Places<'a>,
    /// What became of each process.
    processes: BTreeMap<u32, Verdict>,
    scan: Scan,
}

impl Run<'_> {
    /// Those that were asked for and are gone.
    fn skip_dead(&mut self) {
        for pid in self.request.pids.iter().filter(|pid| !select::is_there(**pid)) {
            self.note(*pid, Fate::Gone, None);
        }
    }

    /// Once through all processes; whether anything was changed.
    fn round(&mut self) -> Result<bool, Error> {
        let mut has_changed = false;
        let selected = select::processes(self.request.pids, self.unit.as_deref());
        for pid in &selected {
            has_changed |= self.enter(*pid);
        }
        self.places.give_up_empty();
        let moved: Vec<u32> = selected.into_iter().filter(|pid| self.is_in_place(*pid)).collect();
        self.scan.begin()?;
        let round = Round { target: &self.target, netns: self.netns, places: self.places, request: self.request };
        for pid in moved {
            has_changed |= self.scan.process(pid, &round);
        }
        has_changed |= self.scan.connections(&self.target, self.request);
        Ok(has_changed)
    }

    /// Puts a process into its cgroup. One that was refused is left alone from then on.
    fn enter(&mut self, pid: u32) -> bool {
        if self.processes.get(&pid).is_some_and(|verdict| matches!(verdict.fate, Fate::Failed)) {
            return false;
        }
        if select::netns(pid).is_some_and(|netns| netns != self.netns) {
            self.note(pid, Fate::Failed, Some("it is in another network namespace".to_owned()));
            return false;
        }
        if let Some(port) = self.emulated_by(pid) {
            self.note(pid, Fate::Failed, Some(format!("it is in a VRF that is emulated by '{port}'")));
            return false;
        }
        match self.places.enter(pid) {
            Entered::Already => self.note_new(pid, Fate::Unchanged),
            Entered::Gone => self.note_new(pid, Fate::Gone),
            Entered::Moved(cgroup) => {
                let fate = if self.request.is_dry { Fate::Moves } else { Fate::Moved };
                self.note(pid, fate, Some(format!("cgroup '{cgroup}'")));
                return true;
            }
            Entered::Refused(why) => self.note(pid, Fate::Failed, Some(why)),
        }
        false
    }

    /// The port of the emulated VRF whose cgroup a process is in.
    fn emulated_by(&self, pid: u32) -> Option<String> {
        let link = self.target.links.link_by_index(self.places.vrf_of(pid)?)?;
        (!link.is_vrf()).then(|| link.name.clone())
    }

    fn is_in_place(&self, pid: u32) -> bool {
        let fate = self.processes.get(&pid).map(|verdict| verdict.fate);
        fate.is_some_and(|fate| !matches!(fate, Fate::Failed | Fate::Gone))
    }

    /// What an earlier round has done counts more than that it is done.
    fn note_new(&mut self, pid: u32, fate: Fate) {
        if !self.processes.contains_key(&pid) {
            self.note(pid, fate, None);
        }
    }

    fn note(&mut self, pid: u32, fate: Fate, why: Option<String>) {
        let known = self.processes.get(&pid).map(|verdict| verdict.command.clone());
        let command = known.unwrap_or_else(|| processes::command(pid));
        self.processes.insert(pid, Verdict { pid, command, fate, why, subject: Subject::Process });
    }

    fn report(self, stopped: Option<String>) -> Report {
        self.places.remove_unused();
        let moved: BTreeSet<u32> = self.processes.keys().copied().filter(|pid| self.is_in_place(*pid)).collect();
        let commands: HashMap<u32, String> =
            self.processes.iter().map(|(pid, verdict)| (*pid, verdict.command.clone())).collect();
        let sockets = self.scan.verdicts(&moved, &commands);
        Report { verdicts: self.processes.into_values().chain(sockets).collect(), stopped }
    }
}

/// How a socket calls the domain of this index.
fn domain_name(system: &System, ifindex: u32) -> String {
    match system.link_by_index(ifindex) {
        _ if ifindex == 0 => DEFAULT.to_owned(),
        Some(link) => link.name.clone(),
        None => format!("interface {ifindex}, which is gone"),
    }
}

/// A socket that is bound to the wanted device now.
fn rebind(socket: &std::os::fd::OwnedFd, target: &Target<'_>) -> Result<(), Errno> {
    let wanted = target.vrf.as_ref().map_or(0, |vrf| vrf.ifindex);
    pidfd::bind(socket, wanted)?;
    // What the kernel says, not what was asked of it: a cgroup's program may have answered for it.
    if pidfd::device(socket)? == wanted { Ok(()) } else { Err(Errno::EPERM) }
}

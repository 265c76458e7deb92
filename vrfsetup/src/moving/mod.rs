//! `vrfsetup move`: takes processes that run already into a VRF, or out of it: which they are (`select`, `found`), their cgroups
//! (`place`, `ours`), their sockets (`scan`, `socket`, `judge`), connections (`connection`), and what became of each (`verdict`).
//!
//! The cgroup comes first, so that whatever the process makes from then on is bound; then its sockets, again until a round
//! changes nothing. A run that is killed leaves each socket in one domain or in the other, and the next one goes on: nothing
//! is remembered anywhere but in the kernel. May use `change`, `inspect` and what is below them. No transaction: what a
//! process has done in the new domain meanwhile nobody can undo; the way back is another move.
#![forbid(unsafe_code)]

mod connection;
mod found;
mod judge;
mod listed;
mod ours;
mod place;
mod port;
mod round;
mod scan;
mod select;
mod socket;
mod tag;
mod verdict;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use nix::errno::Errno;
use nix::unistd::geteuid;
use vrfsock::device;

use crate::change;
use crate::error::Error;
use crate::inspect::processes;
use crate::model::link::Link;
use crate::model::shell::word;
use crate::plan::emulate;
use crate::plan::system::{self, System};
use crate::sys::netlink::Kernel;
use crate::sys::pidfd::Process;
use crate::sys::run_dir;
use found::{Found, Thread};
use judge::Target;
use place::{Entered, Places};
use round::Round;
use scan::Scan;
use tag::Tags;
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
        let command = format!("vrfsetup unit {} {}", word(self.to), word(unit));
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
    // Numbers are looked up once: another process may get one.
    let named: Vec<Found> = request.pids.iter().filter_map(|pid| Found::of(*pid)).collect();
    let first = select::processes(&named, unit.as_deref());
    let leaves = first.iter().filter_map(|found| places.vrf_of(found.thread()?)).collect();
    let target = Target { vrf, leaves, links: &system };
    let (processes, scan) = (BTreeMap::new(), Scan::default());
    let tags = Tags::find().map_err(Error::unreadable("the users of VRFs"))?;
    let mut run =
        Run { request, target, netns, named, unit, places: &mut places, processes, is_empty: false, scan, tags };
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
    let lost = run.lost_unit();
    Ok(run.report(lost))
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
    named: Vec<Found>,
    unit: Option<String>,
    places: &'a mut Places<'a>,
    /// What became of each process.
    processes: BTreeMap<Found, Verdict>,
    /// Whether the last round has found none.
    is_empty: bool,
    scan: Scan,
    tags: Tags,
}

impl Run<'_> {
    /// Those that were asked for and are gone.
    fn skip_dead(&mut self) {
        for pid in self.request.pids {
            let found = self.named.iter().copied().find(|found| found.pid == *pid);
            if found.and_then(|found| found.thread()).is_none() {
                self.note(found.unwrap_or(Found { pid: *pid, started: 0 }), Fate::Gone, None);
            }
        }
    }

    /// Once through all processes; whether anything was changed.
    fn round(&mut self) -> Result<bool, Error> {
        let mut has_changed = false;
        let selected = select::processes(&self.named, self.unit.as_deref());
        self.is_empty = selected.is_empty();
        for process in &selected {
            has_changed |= self.enter(*process);
        }
        self.skip_replaced();
        self.places.give_up_empty();
        let moved: Vec<Found> = selected.into_iter().filter(|process| self.is_in_place(process)).collect();
        self.scan.begin()?;
        let (target, tags) = (&self.target, &self.tags);
        let round =
            Round { target, tags, netns: self.netns, places: self.places, request: self.request, moved: &moved };
        for process in &moved {
            has_changed |= self.scan.process(*process, &round);
        }
        has_changed |= self.scan.connections(&self.target, self.request);
        Ok(has_changed)
    }

    /// What is to be said of a unit whose processes have all ended meanwhile: where it is started again, it is outside.
    fn lost_unit(&self) -> Option<String> {
        let unit = self.request.unit.filter(|_| self.is_empty)?;
        Some(format!("no process of unit '{unit}' runs any more"))
    }

    /// Those whose numbers were asked for and have been given to others, which nobody has asked for.
    fn skip_replaced(&mut self) {
        for found in self.named.clone().into_iter().filter(Found::has_successor) {
            self.note_new(found, Fate::Gone);
        }
    }

    /// Puts a process into its cgroup. One that was refused is left alone from then on.
    fn enter(&mut self, process: Found) -> bool {
        if self.processes.get(&process).is_some_and(|verdict| matches!(verdict.fate, Fate::Failed)) {
            return false;
        }
        let Some(thread) = process.thread() else {
            self.note_new(process, Fate::Gone);
            return false;
        };
        if process.is_kernels() {
            self.note(process, Fate::Failed, Some("it is a thread of the kernel".to_owned()));
            return false;
        }
        if select::netns(thread).is_some_and(|netns| netns != self.netns) {
            self.note(process, Fate::Failed, Some("it is in another network namespace".to_owned()));
            return false;
        }
        if let Some(port) = self.emulated_by(thread) {
            self.note(process, Fate::Failed, Some(format!("it is in a VRF that is emulated by '{port}'")));
            return false;
        }
        match self.places.enter(process) {
            Entered::Already => self.note_new(process, Fate::Unchanged),
            Entered::Gone => self.note_new(process, Fate::Gone),
            Entered::Moved(cgroup) => {
                let fate = if self.request.is_dry { Fate::Moves } else { Fate::Moved };
                self.note(process, fate, Some(format!("cgroup '{cgroup}'")));
                return true;
            }
            Entered::Refused(why) => self.note(process, Fate::Failed, Some(why)),
        }
        false
    }

    /// The port of the emulated VRF whose cgroup a thread is in.
    fn emulated_by(&self, thread: Thread) -> Option<String> {
        let link = self.target.links.link_by_index(self.places.vrf_of(thread)?)?;
        (!link.is_vrf()).then(|| link.name.clone())
    }

    fn is_in_place(&self, process: &Found) -> bool {
        let fate = self.processes.get(process).map(|verdict| verdict.fate);
        fate.is_some_and(|fate| !matches!(fate, Fate::Failed | Fate::Gone))
    }

    /// What an earlier round has done counts more than that it is done.
    fn note_new(&mut self, process: Found, fate: Fate) {
        if !self.processes.contains_key(&process) {
            self.note(process, fate, None);
        }
    }

    fn note(&mut self, process: Found, fate: Fate, why: Option<String>) {
        let known = self.processes.get(&process).map(|verdict| verdict.command.clone());
        let command = || if process.is_same() { processes::command(process.pid) } else { String::new() };
        let (pid, command) = (process.pid, known.unwrap_or_else(command));
        self.processes.insert(process, Verdict { pid, command, fate, why, subject: Subject::Process });
    }

    fn report(self, stopped: Option<String>) -> Report {
        self.places.remove_unused();
        let in_place = self.processes.keys().filter(|process| self.is_in_place(process));
        let moved: BTreeSet<u32> = in_place.map(|process| process.pid).collect();
        let commands: HashMap<u32, String> =
            self.processes.values().map(|verdict| (verdict.pid, verdict.command.clone())).collect();
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
    device::bind(socket, wanted)?;
    // What the kernel says, not what was asked of it: a cgroup's program may have answered for it.
    if device::of(socket)? == wanted { Ok(()) } else { Err(Errno::EPERM) }
}

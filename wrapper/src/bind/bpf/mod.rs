//! Mechanism `bpf`: a cgroup of our own, and programs on it that bind each inet socket when it is made or used, and drop what
//! leaves by another way.
//!
//! Holds the cgroups (`name`, `cgroup`, `owner`, `group`), what `vrfbpf` puts on one (`programs`, `ports`), the
//! verification of `--strict` (`strict`) and who may leave (`above`). Leaves no cgroup behind in which it failed.

pub mod above;
pub mod cgroup;
mod group;
mod name;
mod owner;
mod ports;
mod programs;
mod strict;

use std::ffi::OsStr;

use vrfbpf::set::{Gaps, Place, Record};

use crate::bind::verify::{self, Failure};
use crate::error::unavailable::Unavailable;
use crate::sys::kernel;
use crate::vrf::device::Device;
use crate::vrf::netns;
use cgroup::Base;
use group::Group;

/// A concurrent run may remove the empty directory before we are in it; more often than this it is something else.
const TRIES: usize = 8;

/// How this process came to be bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// It was in such a cgroup already.
    Before,
    /// It joined one, whose programs have these gaps.
    Now(Gaps),
}

/// What is wanted of a cgroup.
#[derive(Clone, Copy, Debug)]
struct Wanted<'a> {
    device: &'a Device,
    /// The number of the network namespace.
    netns: u64,
    is_strict: bool,
}

/// Joins the device's cgroup and verifies that its sockets are bound, and under `--strict` that they stay so; otherwise
/// this process is back where it was.
pub fn bind(device: &Device, is_strict: bool) -> Result<Held, Unavailable> {
    let base = cgroup::locate()?;
    let netns = netns::inode().map_err(Unavailable::kernel("read the network namespace"))?;
    // A strict cgroup is as good as another, and must not be left.
    let is_inside = |is_strict| base.is_inside(&name::of(device, netns, is_strict));
    let (is_in_strict, is_in_usual) = (is_inside(true), !is_strict && is_inside(false));
    let wanted = Wanted { device, netns, is_strict: is_strict || is_in_strict };
    let (name, is_inside) = (name::of(device, netns, wanted.is_strict), is_in_strict || is_in_usual);
    if is_inside && verify::is_bound(device).is_ok() && !base.lacks_a_program(&name) {
        return Ok(Held::Before);
    }
    let gaps = wanted.join(&base, &name)?;
    if is_inside {
        base.return_to_origin(); // it may have been in a cgroup below ours
    }
    std::mem::forget(base); // left open for exec to close: saves a close(2)
    Ok(Held::Now(gaps))
}

/// Removes the device's cgroup if nobody is in it.
pub fn remove_empty(device: &Device, is_strict: bool) {
    if let (Ok(base), Ok(inode)) = (cgroup::locate(), netns::inode()) {
        base.remove(&name::of(device, inode, is_strict));
    }
}

impl Wanted<'_> {
    /// Finds or makes the cgroup of this name, and joins it.
    fn join(&self, base: &Base, name: &OsStr) -> Result<Gaps, Unavailable> {
        for _ in 0..TRIES {
            let Some(mut group) = base.group(name)? else { continue };
            if let Some(gaps) = self.enter(&mut group)? {
                std::mem::forget(group); // left open for exec to close: saves a close(2)
                return Ok(gaps);
            }
        }
        Err(Unavailable::new("another process keeps removing the cgroup"))
    }

    /// Joins it; programs that are there already, and are the very ones of the record, are enough. None if the directory has
    /// gone meanwhile.
    fn enter(&self, group: &mut Group) -> Result<Option<Gaps>, Unavailable> {
        if let Some(outcome) = self.enter_recorded(group)? {
            return Ok(outcome);
        }
        let _lock = group.lock()?;
        // Another run may have been at it until now.
        if let Some(outcome) = self.enter_recorded(group)? {
            return Ok(outcome);
        }
        // What is left of a run that did not get to its end.
        if !group.is_new() && group.remove() {
            return Ok(None);
        }
        if !group.join()? {
            return Ok(None);
        }
        self.attach(group).map(Some).inspect_err(|_| group.leave())
    }

    /// The short way, if there is a record: outer None if there is not, or if it is of a network namespace that is gone and
    /// whose number ours has now.
    fn enter_recorded(&self, group: &Group) -> Result<Option<Option<Gaps>>, Unavailable> {
        let Some(record) = group.record else { return Ok(None) };
        if !group.join()? {
            return Ok(Some(None));
        }
        let is_held = self.is_held(group, &record).inspect_err(|_| group.leave())?;
        // `vrfsetup move` gives up a cgroup that is empty: the record goes first, before it looks who is in it.
        match is_held && group.has_its_record() {
            true => Ok(Some(Some(record.gaps))),
            false => {
                group.return_to_origin();
                Ok(None)
            }
        }
    }

    /// In the cgroup: the programs of the record are attached, know the ports, and bind.
    fn is_held(&self, group: &Group, record: &Record) -> Result<bool, Unavailable> {
        if !record.is_attached(group.directory()) {
            return Ok(false);
        }
        match verify::is_one_bound(self.device) {
            Err(Failure::Unbound(_)) => return Ok(false),
            bound => bound?,
        }
        ports::refresh(self.device, self.netns, record.ports, self.is_strict)?;
        Ok(true)
    }

    /// In the cgroup, under its lock: puts the programs on it and tries them.
    fn attach(&self, group: &Group) -> Result<Gaps, Unavailable> {
        // Somebody is in it, and there is no record, for want of CAP_SYS_ADMIN. Where there is one, one of its programs is gone.
        if !group.is_new() && group.record.is_none() {
            if let Some(gaps) = self.complete(group)? {
                return Ok(gaps);
            }
        }
        let record = self.put(group, |_| false)?;
        self.verify(&record.gaps)?;
        ports::refresh_others(self.device, self.netns, record.ports)?;
        // Without CAP_SYS_ADMIN there is none, and the next run looks for itself.
        let _ = record.write(group.directory());
        group.remove_empty_siblings();
        Ok(record.gaps)
    }

    /// Programs at every hook that work are enough, whoever attached them; a hook that has none is tried again. Where the
    /// kernel refuses what is missing, nothing is attached a second time, for a cgroup has room for 64 at each. Lists of ports
    /// that can be found are brought up to date. None: they do not work.
    fn complete(&self, group: &Group) -> Result<Option<Gaps>, Unavailable> {
        let is_there = |place: Place| group.has_program(place);
        let is_whole = Place::ALL.into_iter().all(is_there);
        let gaps = if is_whole { Gaps::default() } else { self.put(group, is_there)?.gaps };
        if self.verify(&gaps).is_err() {
            return Ok(None);
        }
        ports::refresh_all(self.device, self.netns)?;
        Ok(Some(gaps))
    }

    /// Puts the programs on it, beside those that are there.
    fn put(&self, group: &Group, is_there: impl Fn(Place) -> bool) -> Result<Record, Unavailable> {
        let list = ports::make(self.device, self.netns, self.is_strict)?;
        let device = name::device(self.device, self.netns);
        let record = programs::attach(&device, group.directory(), &list, self.is_strict, is_there)?;
        if self.is_strict && !record.gaps.is_empty() {
            return Err(Unavailable::new(format!("--strict needs all programs, and would be {}", record.gaps)));
        }
        Ok(record)
    }

    /// Sockets are bound, those that lost their device as soon as they are used, and under `--strict` they stay it.
    fn verify(&self, gaps: &Gaps) -> Result<(), Unavailable> {
        verify::is_bound(self.device).map_err(explain)?;
        if gaps.holds(Place::Connect4) && gaps.holds(Place::Connect6) {
            verify::is_bound_on_use(self.device)?;
        }
        if self.is_strict { strict::verify(self.device) } else { Ok(()) }
    }
}

fn explain(failure: Failure) -> Unavailable {
    explain_failure(failure, kernel::release())
}

/// The program is attached, and yet sockets are not bound: say what is known to do that. The release chooses the words
/// only: no probe tells this fault of old kernels from others.
fn explain_failure(failure: Failure, release: kernel::Release) -> Unavailable {
    let reason = match failure {
        Failure::Unbound(reason) => reason,
        Failure::Other(reason) => return reason,
    };
    if release < (5, 14) {
        return Unavailable::new(format!(
            "{reason}: before Linux 5.15 any use of cgroup v1 net_cls or net_prio disables it, and before 5.14 a network \
             namespace other than the first"
        ));
    }
    if release < (5, 15) {
        return Unavailable::new(format!("{reason}: net_cls or net_prio of cgroup v1 is in use (Linux 5.15)"));
    }
    reason
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_old_kernels_do_is_named() {
        let reason = || Unavailable::new("an IPv4 socket stayed unbound");
        let unbound = || Failure::Unbound(reason());
        assert!(explain_failure(unbound(), (5, 10)).why.contains("net_cls"));
        assert_eq!(explain_failure(unbound(), (6, 1)), reason());
        assert_eq!(explain_failure(Failure::Other(reason()), (5, 10)), reason());
    }
}

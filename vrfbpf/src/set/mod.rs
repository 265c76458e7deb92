//! All programs on one cgroup: puts them there, notes which the kernel did not take, and finds them again.
//!
//! What does not hold of a socket is decided elsewhere: who binds a cgroup has to try one in it.

mod attach;
mod attribute;
mod detach;
mod gaps;
mod label;
mod record;
mod refused;

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use vrfabi::cgroup::{PREFIX, Tail};

pub use attach::attach;
pub use gaps::{Gaps, Place};
pub use label::{label, set_label};
pub use record::Record;
pub use refused::{Refused, Step};

use crate::ports::List;

/// The device that a cgroup's sockets are bound to.
#[derive(Clone, Copy, Debug)]
pub struct Device<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// Its index.
    pub ifindex: u32,
    /// The inode of its network namespace, which the caller is in.
    pub netns: u64,
}

impl Device<'_> {
    /// The name of a cgroup that is made for this device alone.
    pub fn cgroup_name(&self, is_strict: bool) -> OsString {
        let mut name = OsString::from(PREFIX);
        name.push(OsStr::from_bytes(self.name));
        name.push(Tail { ifindex: self.ifindex, netns: self.netns, is_strict }.to_string());
        name
    }
}

/// Puts all programs on a cgroup, under its lock, and writes the record. `devices`: the device itself and its ports.
/// `is_strict`: no socket can be rebound. Where the record says that all of this is done, only the list of ports is written.
/// One that this fails on may have some of the programs, and no record.
///
/// # Errors
/// The kernel refused what cannot be done without, or the cgroup is bound to another device (EBUSY). Gaps are no error.
pub fn bind(device: &Device<'_>, cgroup: &OwnedFd, devices: &[u32], is_strict: bool) -> Result<Record, Refused> {
    let _lock = lock(cgroup)?;
    if let Some(record) = Record::read(cgroup).filter(|record| record.is_attached(cgroup)) {
        if record.device().map_err(Step::Ports.refused())? != (device.ifindex, device.netns as u32) {
            return Err(Refused { step: Step::Record, errno: Errno::EBUSY });
        }
        let list = List::by_id(record.ports, device.ifindex, device.netns).map_err(Step::Ports.refused())?;
        return list.write(devices).map(|_| record).map_err(Step::Ports.refused());
    }
    let list = List::make(device.ifindex, device.netns, devices.len()).map_err(Step::Ports.refused())?;
    list.write(devices).map_err(Step::Ports.refused())?;
    let record = attach(device, cgroup, &list, is_strict, |_| false)?;
    // A `give_up` that was killed: nobody would find its programs behind the new record.
    Record::read_given_up(cgroup).map_or(Ok(()), |left| left.detach(cgroup))?;
    record.write(cgroup).map(|()| record).map_err(Step::Record.refused())
}

/// Takes the programs of the record away, the label and the record. Sockets stay as they are; false where there is no record.
///
/// # Errors
/// The kernel refused (CAP_SYS_ADMIN); what has gone by then does not come back.
pub fn unbind(cgroup: &OwnedFd) -> Result<bool, Refused> {
    let _lock = lock(cgroup)?;
    let Some(record) = Record::read(cgroup) else { return Ok(false) };
    record.detach(cgroup)?;
    label::remove_label(cgroup);
    Record::remove(cgroup).map(|()| true).map_err(Step::Record.refused())
}

/// The same of a cgroup that nobody is in any more, by `is_empty`; false where somebody is, or it has no record. Who joins it by
/// the record looks for the record again afterwards: so it goes first.
///
/// # Errors
/// As [`unbind`]; the next call goes on.
pub fn give_up(cgroup: &OwnedFd, is_empty: impl FnOnce() -> bool) -> Result<bool, Refused> {
    let _lock = lock(cgroup)?;
    let known = Record::read(cgroup).or_else(|| Record::read_given_up(cgroup));
    let Some(record) = known else { return Ok(false) };
    record.give_up(cgroup).map_err(Step::Record.refused())?;
    if !is_empty() {
        return record.write(cgroup).map(|()| false).map_err(Step::Record.refused());
    }
    record.detach(cgroup)?;
    Record::remove(cgroup).map(|()| true).map_err(Step::Record.refused())
}

/// Keeps others from putting programs on the cgroup, or taking them away, until it is dropped.
///
/// # Errors
/// As flock(2).
pub fn lock(cgroup: impl AsFd) -> Result<Flock<OwnedFd>, Refused> {
    let copy = cgroup.as_fd().try_clone_to_owned();
    let copy = copy.map_err(|error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw));
    let copy = copy.map_err(Step::Lock.refused())?;
    Flock::lock(copy, FlockArg::LockExclusive).map_err(|(_, errno)| Refused { step: Step::Lock, errno })
}

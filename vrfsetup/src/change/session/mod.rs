//! `vrfsetup session`: puts the login that is being opened into a VRF, for pam_exec(8) behind pam_systemd(8).
//!
//! The login's cgroup must be its own: logind makes one for each, and moves the process that opens it there. In any other
//! one somebody else would be bound as well, and the login is denied.

pub mod names;
mod pam;
mod scope;

use nix::unistd::getppid;

use crate::change::cgroup::{Cgroup, Vrf};
use crate::change::unit;
use crate::error::Error;
use crate::sys::cgroup;
use crate::sys::netlink::Kernel;
use crate::sys::systemd::{Hierarchy, UNIFIED};
use pam::Stage;

/// Binds the login whose session PAM opens, as its environment says; without a VRF, gives it the files of its user's.
/// `is_elsewhere`: this thread has been moved to another network namespace.
///
/// # Errors
/// It cannot be bound or have the files, or nobody can tell; then it must not go on. The caller says it to the system's log,
/// too: what is said on standard error, pam_exec shows to nobody.
pub fn open(kernel: &Kernel, vrf: Option<&str>, is_elsewhere: bool) -> Result<(), Error> {
    match pam::stage(std::env::vars_os()) {
        _ if is_elsewhere => Err(Error::Usage("a login is not in another network namespace".to_owned())),
        // Cgroup and mount namespace go with the last process of the login.
        Ok(Stage::Close) => Ok(()),
        Ok(Stage::Open) => vrf.map_or_else(|| names::give(std::env::vars_os()), |vrf| bind(kernel, vrf)),
        Err(error) => Err(error),
    }
}

fn bind(kernel: &Kernel, vrf: &str) -> Result<(), Error> {
    let denied = |why: String| Error::CannotBind { what: "this login".to_owned(), vrf: vrf.to_owned(), why };
    if !Hierarchy::read().binds_logins() {
        return Err(denied(format!("systemd uses cgroup v1 alone here: boot with {UNIFIED}")));
    }
    let path = cgroup::path_of("self").map_err(Error::unreadable("the cgroup of this login"))?;
    if !scope::is_of_a_login(&path) {
        return Err(denied(format!("it has no cgroup of its own, but is in '{path}' (pam_systemd comes first)")));
    }
    let cgroup = Cgroup::open(path)?;
    if is_shared(&cgroup)? && unit::verify_bound_to(&Vrf::find(kernel, vrf)?.device, vrf).is_err() {
        return Err(denied(format!("'{}' has other processes: another login's", cgroup.name())));
    }
    let bound = cgroup.bind(kernel, vrf, "session")?;
    unit::verify_bound_to(&bound.device, vrf)
}

/// Whether there is anybody but this process and the one that opens the login.
fn is_shared(cgroup: &Cgroup) -> Result<bool, Error> {
    let processes = cgroup::processes(&cgroup.path).map_err(Error::unreadable("the processes of the login"))?;
    let own = [std::process::id(), getppid().as_raw() as u32];
    Ok(processes.iter().any(|pid| !own.contains(pid)))
}

//! VRF `default`: leaves the cgroup of an outer run, and takes the outer run's variables from the environment.

use std::ffi::OsString;
use std::fs;

use nix::unistd::{Gid, getgid, getgroups};
use vrfabi::group::DEFAULT_DOMAIN;

use crate::bind::binding::{Binding, By, Guard};
use crate::bind::bpf::cgroup;
use crate::bind::preload::shim;
use crate::bind::verify;
use crate::error::{self, Error};
use crate::program::environment::Environment;
use crate::sys::seccomp::is_filtered;

/// This process's sockets are unbound, or leave where that can be done.
pub fn leave() -> Result<Binding, Error> {
    if bound()?.is_some() {
        cgroup::leave_ours();
        check()?;
    }
    let mut environment = Environment::of_default();
    shim::remove_from(&mut environment);
    Ok(Binding { by: By::Nobody, device: None, guard: Guard::None, environment })
}

/// Sockets that this process makes are in no VRF.
///
/// # Errors
/// They are in one.
pub fn check() -> Result<(), Error> {
    let Some(device) = bound()? else { return Ok(()) };
    let why = format!("sockets are bound by something else than a cgroup of vrfrun: '{}'", error::text(&device));
    Err(Error::CannotLeave { device, why, hint: by_group() })
}

fn bound() -> Result<Option<OsString>, Error> {
    verify::binding().map_err(Error::kernel("open a socket outside any VRF"))
}

/// How a user whom root lets leave its VRF does (`vrfsetup user --allow-default`), for who is in the group and does not have it
/// as its own. Whether root lets this one, the kernel tells root only. Under a filter it may be an outer run that binds, out of
/// which no group leads.
fn by_group() -> Option<String> {
    if is_filtered() {
        return None;
    }
    let groups = String::from_utf8_lossy(&fs::read("/etc/group").ok()?).into_owned();
    let gid = Gid::from_raw(number_of(DEFAULT_DOMAIN, &groups)?);
    let is_member = gid != getgid() && getgroups().is_ok_and(|groups| groups.contains(&gid));
    is_member.then(|| format!("sg {DEFAULT_DOMAIN} -c 'vrfrun default …', where vrfsetup(8) allows it"))
}

/// `name:x:990:alice,bob`
fn number_of(group: &str, groups: &str) -> Option<u32> {
    let line = groups.lines().find_map(|line| line.strip_prefix(group)?.strip_prefix(':'))?;
    line.split(':').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_a_number() {
        let groups = "root:x:0:\nvrf-default2:x:7:\nvrf-default:x:990:al\n";
        assert_eq!(number_of("vrf-default", groups), Some(990));
        assert_eq!(number_of("vrf", groups), None);
        assert_eq!(number_of("x", "x:y"), None);
    }
}

//! The users whose sockets are in a VRF: a VRF that is made again has another index, and one that is deleted has none. Whoever
//! makes or deletes one tells the kernel's map.

use crate::model::link::Link;
use crate::model::step::Step;
use crate::sys::netlink::{Kernel, KernelError};
use crate::sys::{run_dir, users};

/// Whether these steps make or delete a VRF.
pub fn are_touched<'a>(steps: impl IntoIterator<Item = &'a Step>) -> bool {
    steps.into_iter().any(|step| matches!(step, Step::AddVrf(..) | Step::DeleteVrf(..)))
}

/// Whether the user is in this VRF, or in none. Where nobody can tell it is not.
pub fn is_in(uid: u32, vrf: Option<&str>) -> bool {
    users::read().is_ok_and(|state| state.of(uid).map(|user| user.vrf.as_str()) == vrf)
}

/// Brings the map up to date; what could not be done, as a note. Who may not read it is not told: a container's root.
pub fn refresh(kernel: &Kernel) -> Option<String> {
    let state = users::visible();
    if state.users.is_empty() || !run_dir::is_first_netns() {
        return None;
    }
    let refused = correct(kernel, &state).err()?;
    Some(format!("users' sockets may fail until 'vrfsetup user --refresh' succeeds: {refused}"))
}

/// Writes the indices that differ from those of the VRFs that there are, and attaches what is missing; whether there was
/// anything to do.
///
/// # Errors
/// The kernel's own.
pub fn correct(kernel: &Kernel, state: &users::State) -> Result<bool, KernelError> {
    let links = kernel.links()?;
    let index =
        |name: &str| links.iter().find(|link| link.name == name && link.is_vrf()).map(|link: &Link| link.ifindex);
    let stale: Vec<_> = state.users.iter().filter(|user| index(&user.vrf) != user.ifindex).collect();
    for user in &stale {
        users::set(user.uid, Some((&user.vrf, index(&user.vrf))))?;
    }
    if state.lacks_programs {
        users::restore_programs()?;
    }
    Ok(state.lacks_programs || !stale.is_empty())
}

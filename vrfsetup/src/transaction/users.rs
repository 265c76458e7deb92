//! The users whose sockets are in a VRF: a VRF that is made again has another index, and one that is deleted has none; and
//! packets leave by the ports that a VRF has. Whoever changes any of these tells the kernel's maps.

use crate::model::link::Link;
use crate::model::place::Place;
use crate::model::ports;
use crate::model::step::Step;
use crate::sys::netlink::{Kernel, KernelError};
use crate::sys::users::Assigned;
use crate::sys::{namespaces, run_dir, users};

/// Whether these steps make or delete a VRF, or change the ports of one.
pub fn are_touched<'a>(steps: impl IntoIterator<Item = &'a Step>) -> bool {
    let is_of_vrf =
        |step: &Step| matches!(step, Step::AddVrf(..) | Step::DeleteVrf(..) | Step::Enslave(..) | Step::Release(..));
    steps.into_iter().any(is_of_vrf)
}

/// Whether the user is at this place, or in no VRF. None where nobody can tell.
pub fn is_in(uid: u32, place: Option<&Place>) -> Option<bool> {
    users::read().ok().map(|state| state.of(uid).map(Assigned::place).as_ref() == place)
}

/// Removes what a run that was killed has left: of programs, if there are no users, and of a file.
pub fn tidy() {
    namespaces::tidy();
    let state = users::expect_root().map_err(KernelError::from).and_then(|()| users::read());
    let _ = state.map(|state| namespaces::keep(|uid| state.of(uid).is_some()));
    // What cannot be detached finds an empty map.
    let _ = users::detach_unused();
}

/// Brings the map up to date; what could not be done, as a note. Who may not read it is not told: a container's root.
pub fn refresh(kernel: &Kernel) -> Option<String> {
    if !run_dir::is_first_netns() {
        return None;
    }
    let refused = match users::known() {
        Ok(state) if state.users.is_empty() => return None,
        Ok(state) if state.is_out_of_sight => format!("cannot see {}", users::ROOT),
        Ok(state) => match (correct(kernel, &state), &state.unread) {
            (Err(refused), _) => refused.to_string(),
            (Ok(_), unread) => {
                return unread.as_ref().map(|unread| format!("whose logins have files is not known: {unread}"));
            }
        },
        Err(unread) => format!("cannot read {unread}"),
    };
    Some(format!("users' sockets may fail until 'vrfsetup user --refresh' succeeds: {refused}"))
}

/// Writes the indices and the ports that differ from those of the VRFs that there are, and attaches what is missing; whether
/// there was anything to do.
///
/// # Errors
/// The kernel's own.
pub fn correct(kernel: &Kernel, state: &users::State) -> Result<bool, KernelError> {
    let links = kernel.links()?;
    let index =
        |name: &str| links.iter().find(|link| link.name == name && link.is_vrf()).map(|link: &Link| link.ifindex);
    let is_stale = |user: &&Assigned| index(&user.vrf) != user.ifindex || user.has_stale_group();
    let stale: Vec<_> = state.users.iter().filter(is_stale).collect();
    let ports = ports::of(&links);
    for user in &stale {
        users::set(user.uid, Some((&user.place(), index(&user.vrf))), &ports)?;
    }
    if state.lacks_programs {
        users::restore_programs()?;
    }
    // Restored, the program that reads them may have a new map.
    let are_stale = state.lacks_programs || state.ports.as_ref().is_some_and(|known| *known != ports);
    if are_stale {
        users::write_ports(&ports)?;
    }
    Ok(are_stale || !stale.is_empty())
}

//! Addresses that a device has and the file does not declare, for `--prune`.

use crate::model::address::Address;
use crate::model::device::Device;
use crate::model::link::Link;
use crate::model::step::Step;
use crate::plan::address::{deletions, takes_along};
use crate::plan::system::System;
use crate::sys::sysctl;

/// The steps that delete them. `declared` are the addresses of the whole VRF; `loopback` is its device where that has its
/// loopback addresses.
pub(super) fn surplus(system: &System, link: &Link, declared: &[Address], loopback: Option<&Device>) -> Vec<Step> {
    let is_here = |address: &&Address| system.link(&address.device.name).is_some_and(|at| at.ifindex == link.ifindex);
    let declared: Vec<&Address> = declared.iter().filter(is_here).collect();
    let stays = |own: &&Address| {
        let is_loopback = loopback.is_some_and(|device| own.is_same_as(&Address::loopback(device, own.family())));
        is_loopback || !own.is_configured() || declared.iter().any(|address| address.is_same_elsewhere(own))
    };
    let (stay, go): (Vec<&Address>, Vec<&Address>) = system.addresses_of(link.ifindex).partition(stays);
    // What comes now comes behind what there is.
    let new = declared.into_iter().filter(|address| !stay.iter().any(|own| own.is_same_elsewhere(address)));
    let new: Vec<Address> =
        new.map(|address| Address { flags: address.flags | libc::IFA_F_SECONDARY, ..address.clone() }).collect();
    let keeps = || stay.iter().copied().chain(&new);
    let promotion = go.iter().any(|gone| takes_along(gone, keeps())).then(|| sysctl::promotion(&link.name)).flatten();
    let steps = deletions(go.into_iter());
    match promotion {
        None => steps,
        Some(on) => std::iter::once(on.clone()).chain(steps).chain([on.inverse()]).collect(),
    }
}

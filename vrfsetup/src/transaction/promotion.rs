//! The first IPv4 address of a network, undone. With it the kernel deletes the others of the network, unless it is told to
//! promote one of them; and when it comes back it stands behind that one.
//!
//! Both take steps of their own, which are written into the journal behind the one that they are for: a rollback that is
//! killed among them undoes them first.

use crate::model::address::{Address, FOREVER};
use crate::model::family::Family;
use crate::model::route::Route;
use crate::model::step::Step;
use crate::plan::address::share_network;
use crate::sys::netlink::{Kernel, KernelError};
use crate::sys::sysctl;
use crate::transaction::journal::Journal;

/// A step of ours that could not be undone, with the kernel's answer.
pub(super) type Left = (Step, KernelError);

/// Deletes the address. Others of its network, which somebody else may have added since, stay.
pub(super) fn delete(
    kernel: &Kernel,
    journal: &mut Journal,
    address: &Address,
) -> (Result<(), KernelError>, Vec<Left>) {
    let promotion = sysctl::promotion(&address.device.name).filter(|_| address.family() == Family::V4);
    // Where it cannot be told so, the address goes all the same.
    let around = promotion.map(Detour::Made);
    make_between(kernel, journal, Vec::from_iter(around), || kernel.make(&Step::DeleteAddress(address.clone())))
}

/// Gives an address that was the first of its network, and has come back behind others, its place again: those before it
/// go for a moment, and come back with the routes from them. Where one of them is a DHCP client's, they stay: the client
/// would see it go.
pub(super) fn put_first(kernel: &Kernel, journal: &mut Journal, address: &Address) -> Vec<Left> {
    let was_first = address.family() == Family::V4 && address.flags & libc::IFA_F_SECONDARY == 0;
    let Some(before) = was_first.then(|| before(kernel, address)).flatten() else { return Vec::new() };
    if before.is_empty() || before.iter().any(|other| other.lifetimes.0 != FOREVER) {
        return Vec::new();
    }
    // The kernel makes that of their network again by itself.
    let is_own = |other: &Address, route: &Route| route.is_kernels() && other.flags & libc::IFA_F_NOPREFIXROUTE == 0;
    let is_from = |other: &Address, route: &Route| route.source() == Some(other.local) && !is_own(other, route);
    let routes = kernel.routes(Family::V4, None).unwrap_or_default().into_iter();
    let routes = routes.filter(|route| route.is_unicast() && before.iter().any(|other| is_from(other, route)));
    let mut steps: Vec<Detour> = routes.map(Step::DeleteRoute).map(Detour::MadeByKernel).collect();
    steps.extend(sysctl::promotion(&address.device.name).map(Detour::Made));
    steps.extend(before.into_iter().rev().map(Step::DeleteAddress).map(Detour::Made));
    make_between(kernel, journal, steps, || ()).1
}

/// The addresses that stand before this one in its network, in the kernel's order; None where it is not there or nobody
/// tells.
fn before(kernel: &Kernel, address: &Address) -> Option<Vec<Address>> {
    let all = kernel.addresses_of(address.device.ifindex).ok()?;
    let all = all.into_iter().filter(|other| share_network(address, other)).collect::<Vec<_>>();
    let at = all.iter().position(|other| other.is_same_as(address))?;
    // Behind it by then: nobody puts these first.
    let behind = |other: &Address| Address {
        device: address.device.clone(),
        flags: other.flags | libc::IFA_F_SECONDARY,
        ..other.clone()
    };
    Some(all[..at].iter().map(behind).collect())
}

/// A step on the way, which is undone again.
enum Detour {
    Made(Step),
    /// The kernel makes it with another one, or not at all.
    MadeByKernel(Step),
}

/// Makes steps, then something else, then undoes the steps.
fn make_between<R>(
    kernel: &Kernel,
    journal: &mut Journal,
    detours: Vec<Detour>,
    make: impl FnOnce() -> R,
) -> (R, Vec<Left>) {
    let step = |detour: &Detour| match detour {
        Detour::Made(step) | Detour::MadeByKernel(step) => step.clone(),
    };
    if !detours.is_empty() {
        // On a full disk a rollback that is killed here leaves them; the others of the network count for more.
        let _ = journal.record(detours.iter().map(step).collect());
    }
    let is_made = |detour: &Detour| match detour {
        Detour::Made(step) => kernel.make(step).is_ok(),
        Detour::MadeByKernel(_) => true,
    };
    let made: Vec<Step> = detours.iter().filter(|detour| is_made(detour)).map(step).collect();
    let result = make();
    let undone = made.into_iter().rev().filter_map(|step| {
        let inverse = step.clone().inverse();
        let refusal = kernel.make(&inverse).err().filter(|refusal| refusal.errno != libc::EEXIST)?;
        Some((step, refusal))
    });
    (result, undone.collect())
}

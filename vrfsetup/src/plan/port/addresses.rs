//! The IPv6 addresses of an interface that goes down and up: which the kernel forgets, and the settings that keep the
//! others.

use super::holdings::Holdings;
use crate::model::address::{Address, FOREVER, SCOPE_LINK};
use crate::model::family::Family;
use crate::model::step::Step;
use std::net::IpAddr;

/// Set by the kernel on a link-local address of its own (RFC 7217).
const STABLE_PRIVACY: u32 = libc::IFA_F_STABLE_PRIVACY;

/// Those that the kernel forgets for good while the interface is down.
pub(super) fn lost<'b, 'a: 'b>(own: &'b Holdings<'a>) -> impl Iterator<Item = &'a Address> + 'b {
    own.addresses.iter().copied().filter(|address| is_lost(own, address))
}

fn is_lost(own: &Holdings, address: &Address) -> bool {
    if address.family() == Family::V4 || !own.link.is_up() {
        return false;
    }
    if address.scope == SCOPE_LINK {
        return !is_generated(own, address);
    }
    // Temporary addresses (RFC 8981) are the kernel's own to make again.
    let is_temporary = address.flags & libc::IFA_F_TEMPORARY != 0 && address.lifetimes.0 != FOREVER;
    let is_kept = address.lifetimes.0 == FOREVER && own.ipv6.keep_addr_on_down.is_some();
    !is_temporary && !is_kept
}

/// Whether the kernel makes the link-local address again by itself. Before 5.18 it does not say so, and the form of
/// the address must tell (RFC 4291, appendix A).
fn is_generated(own: &Holdings, address: &Address) -> bool {
    let has_hardware_form = match address.local {
        IpAddr::V6(local) => local.octets()[11..13] == [0xff, 0xfe],
        IpAddr::V4(_) => false,
    };
    let is_by_form = has_hardware_form || address.flags & STABLE_PRIVACY != 0;
    !own.ipv6.has_no_link_local && (address.is_generated || is_by_form)
}

/// The steps that make the kernel keep permanent addresses, and that undo this.
pub(super) fn keeping(own: &Holdings) -> Option<(Step, Step)> {
    let has_any = own.addresses.iter().any(|own| own.family() == Family::V6 && own.scope != SCOPE_LINK);
    let from = own.ipv6.keep_addr_on_down.as_ref().filter(|value| has_any && *value != "1")?;
    Some(there_and_back(own, "keep_addr_on_down", from, "1"))
}

/// The steps that have addresses valid at once, and that undo this. They were probed when they were new, the link is
/// the same; and without a carrier the kernel would wait for one.
pub(super) fn trusting(own: &Holdings) -> Option<(Step, Step)> {
    let is_probed = |own: &&Address| own.family() == Family::V6 && own.flags & libc::IFA_F_NODAD == 0;
    let has_any = own.link.is_up() && own.addresses.iter().copied().any(|own| is_probed(&own));
    let from = own.ipv6.accept_dad.as_ref().filter(|value| has_any && *value != "0")?;
    Some(there_and_back(own, "accept_dad", from, "0"))
}

fn there_and_back(own: &Holdings, setting: &str, from: &str, to: &str) -> (Step, Step) {
    let key = format!("net/ipv6/conf/{}/{setting}", own.link.name);
    let step = Step::SetSysctl { key, from: from.to_owned(), to: to.to_owned() };
    (step.clone(), step.inverse())
}

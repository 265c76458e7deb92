//! What tells addresses and routes from each other: of those that are the same the kernel has one, and of two in a file
//! each run would put the one in the place of the other.

use std::collections::HashSet;
use std::net::IpAddr;

use crate::model::address::Address;
use crate::model::family::Family;
use crate::model::prefix::Prefix;
use crate::model::route::{Route, usual_metric};

/// What tells a route from the others of its table, with the table.
pub(super) type Key = (u32, Family, Option<Prefix>, u32);

/// The key of a route.
pub(super) fn key(route: &Route) -> Key {
    (route.table(), route.family(), route.destination(), route.metric_in_kernel())
}

/// The key of the route that a leak of this destination makes, in no table yet.
pub(super) fn key_of_leak(destination: Prefix) -> Key {
    let (family, (_, len)) = (Family::from(destination.0), destination);
    (0, family, (len > 0).then_some(destination), usual_metric(family))
}

/// The same of an address: an IPv6 one is on its interface once, whatever its prefix and its peer are.
fn key_of_address(address: &Address) -> (&str, IpAddr, u8, Option<IpAddr>) {
    let (prefix_len, peer) = match address.family() {
        Family::V4 => (address.prefix_len, address.peer),
        Family::V6 => (128, None),
    };
    (&address.device.name, address.local, prefix_len, peer)
}

/// The place of the first address that is there before.
pub(super) fn repeated_address(all: &[Address]) -> Option<usize> {
    let mut seen = HashSet::new();
    all.iter().position(|address| !seen.insert(key_of_address(address)))
}

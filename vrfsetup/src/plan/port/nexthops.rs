//! The nexthop objects of an interface that goes down and up: the kernel drops them, and the routes that name them.

use crate::model::nexthop::Nexthop;
use crate::model::route::is_protocol_of_routing_daemon;

/// Those that are to be made again, groups last. A routing daemon makes its own again, and a group that has a member
/// elsewhere only loses one (see `routes`).
pub(super) fn to_make_again<'a>(over: &[&'a Nexthop]) -> Vec<&'a Nexthop> {
    let is_ours = |nexthop: &&Nexthop| !is_protocol_of_routing_daemon(nexthop.protocol) && is_whole(nexthop, over);
    let mut again: Vec<&Nexthop> = Vec::new();
    for &nexthop in over.iter().filter(|nexthop| is_ours(nexthop)) {
        if !again.iter().any(|other| other.id == nexthop.id) {
            again.push(nexthop);
        }
    }
    again.sort_by_key(|nexthop| nexthop.is_group());
    again
}

/// The groups that lose a member, and keep others.
pub(super) fn torn<'b, 'a: 'b>(over: &'b [&'a Nexthop]) -> impl Iterator<Item = &'a Nexthop> + 'b {
    let is_torn = |nexthop: &&Nexthop| !is_protocol_of_routing_daemon(nexthop.protocol) && !is_whole(nexthop, over);
    over.iter().copied().filter(is_torn)
}

fn is_whole(nexthop: &Nexthop, over: &[&Nexthop]) -> bool {
    nexthop.members.iter().all(|id| over.iter().any(|other| other.id == *id))
}

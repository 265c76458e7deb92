//! What an interface has that a move concerns, as it was read.

use crate::model::address::Address;
use crate::model::link::Link;
use crate::model::neighbour::Neighbour;
use crate::model::nexthop::Nexthop;
use crate::model::route::Route;

/// An interface, and what it has.
#[derive(Clone, Debug)]
pub struct Holdings<'a> {
    /// The interface.
    pub link: &'a Link,
    pub addresses: Vec<&'a Address>,
    /// The routes of all tables that lead over it.
    pub routes: Vec<&'a Route>,
    /// Its permanent neighbours and proxies.
    pub neighbours: Vec<Neighbour>,
    /// The nexthop objects that lead over it, and the groups that they are in.
    pub nexthops: Vec<&'a Nexthop>,
    pub ipv6: Ipv6,
}

/// An interface's settings below `net/ipv6/conf`; None where a move need not change one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ipv6 {
    /// Its `keep_addr_on_down`; None before 4.6, and where the setting for all interfaces overrules it.
    pub keep_addr_on_down: Option<String>,
    /// Its `accept_dad`; None where the setting for all interfaces overrules it.
    pub accept_dad: Option<String>,
    /// Whether the kernel makes no link-local address here (`addr_gen_mode none`).
    pub has_no_link_local: bool,
}

impl Holdings<'_> {
    /// Whether the route leads over this interface alone.
    pub(super) fn is_only_way_of(&self, route: &Route) -> bool {
        route.oifs().iter().all(|&oif| oif == self.link.ifindex)
    }
}

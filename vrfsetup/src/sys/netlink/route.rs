//! Routes to and from the kernel (RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE).

use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::route::{RouteAttribute, RouteFlags, RouteMessage, RouteNextHopFlags};

use super::reply::Reply;
use super::{Change, IfPresent, Kernel, KernelError};
use crate::model::family::Family;
use crate::model::flow::{Flow, Sender};
use crate::model::route::Route;

/// The unit of the times that the kernel reports, on every architecture of today.
const USER_HZ: u32 = 100;
const RTM_F_LOOKUP_TABLE: u32 = 0x1000;
/// Of struct rtmsg: where the length of the destination's prefix stands.
pub(super) const RTM_DST_LEN: usize = 1;

impl Kernel {
    /// All routes of a family in a table, or in all tables: `ip [-6] route show table TABLE`. Devices have no names
    /// yet.
    ///
    /// # Errors
    /// The kernel's own.
    pub fn routes(&self, family: Family, table: Option<u32>) -> Result<Vec<Route>, KernelError> {
        self.routes_where(family, table, |_| true)
    }

    /// The default routes of a table: `ip [-6] route show table TABLE default`. The others, which may be a million, are
    /// listed by the kernel, too, but not read.
    ///
    /// # Errors
    /// The kernel's own.
    pub fn default_routes(&self, family: Family, table: u32) -> Result<Vec<Route>, KernelError> {
        self.routes_where(family, Some(table), |reply| reply.body().get(RTM_DST_LEN) == Some(&0))
    }

    fn routes_where(
        &self,
        family: Family,
        table: Option<u32>,
        is_wanted: impl Fn(&Reply) -> bool,
    ) -> Result<Vec<Route>, KernelError> {
        let mut request = RouteMessage::default();
        request.header.address_family = family.into();
        request.attributes.extend(table.map(RouteAttribute::Table));
        let read = |reply: &Reply| match reply.message() {
            Some(RouteNetlinkMessage::NewRoute(message)) if !message.header.flags.contains(RouteFlags::Cloned) => {
                Some(Route { message, device: None })
            }
            _ => None,
        };
        let wanted = |reply: &Reply| if is_wanted(reply) { read(reply) } else { None };
        let mut routes = match self.dump_unread(RouteNetlinkMessage::GetRoute(request), wanted) {
            // A table that has never been used (strict filters, 4.20).
            Err(refusal) if refusal.errno == libc::ENOENT => Vec::new(),
            other => other?,
        };
        // Older kernels ignore the filter.
        routes.retain(|route| table.is_none_or(|table| route.table() == table));
        Ok(routes)
    }

    /// The route that packets take: `ip route get TO [from FROM] [oif OIF] [mark MARK]`.
    ///
    /// # Errors
    /// The kernel's own: ENETUNREACH if there is none, or one that refuses.
    pub fn route_of(&self, flow: &Flow) -> Result<Route, KernelError> {
        self.route_from(flow, None)
    }

    /// The route that a socket's packets take: with `uid USER ipproto PROTOCOL sport PORT dport PORT` as well.
    ///
    /// # Errors
    /// As [`Self::route_of`].
    pub fn route_from(&self, flow: &Flow, sender: Option<&Sender>) -> Result<Route, KernelError> {
        let Flow { to, from, oif, mark } = *flow;
        let mut request = RouteMessage::default();
        request.header.address_family = Family::from(to).into();
        let length = if to.is_ipv4() { 32 } else { 128 };
        request.header.destination_prefix_length = length;
        request.header.source_prefix_length = if from.is_some() { length } else { 0 };
        // Of IPv4 the kernel tells the table only so, and says main otherwise; of IPv6 it always does, and refuses the flag.
        if to.is_ipv4() {
            request.header.flags = RouteFlags::from_bits_retain(RTM_F_LOOKUP_TABLE);
        }
        request.attributes.push(RouteAttribute::Destination(to.into()));
        request.attributes.extend(from.map(|from| RouteAttribute::Source(from.into())));
        request.attributes.extend((oif != 0).then_some(RouteAttribute::Oif(oif)));
        request.attributes.extend((mark != 0).then_some(RouteAttribute::Mark(mark)));
        if let Some(Sender { protocol, ports: [own, far], user }) = sender {
            use RouteAttribute::{Dport, IpProto, Sport, Uid};
            request.attributes.extend([Uid(*user), IpProto(*protocol), Sport(*own), Dport(*far)]);
        }
        let found = self.ask(RouteNetlinkMessage::GetRoute(request), |answer| match answer {
            RouteNetlinkMessage::NewRoute(message) => Some(Route { message, device: None }),
            _ => None,
        })?;
        found.into_iter().next().ok_or(KernelError::from_errno(libc::ENETUNREACH))
    }
}

/// `ip route add …`. Two interfaces may have the same network: a route for an address stands beside the other's, as when the
/// kernel itself makes it.
pub(super) fn add(route: &Route) -> Change {
    let if_present = if route.is_kernels() { IfPresent::Append } else { IfPresent::Refuse };
    Change(RouteNetlinkMessage::NewRoute(request(route)), if_present)
}

/// `ip route replace …`.
pub(super) fn replace(route: &Route) -> Change {
    Change(RouteNetlinkMessage::NewRoute(request(route)), IfPresent::Replace)
}

/// `ip route del …`. ESRCH if there is none.
pub(super) fn delete(route: &Route) -> Change {
    Change(RouteNetlinkMessage::DelRoute(request(route)), IfPresent::Refuse)
}

/// A route as the kernel reports it carries state (linkdown, age) that it does not accept.
fn request(route: &Route) -> RouteMessage {
    let mut message = route.message.clone();
    message.header.flags &= RouteFlags::Onlink;
    let mut expires = None;
    message.attributes.retain_mut(|attribute| match attribute {
        RouteAttribute::CacheInfo(info) => {
            expires = (info.expires != 0).then_some(RouteAttribute::Expires(info.expires / USER_HZ));
            false
        }
        RouteAttribute::MultiPath(hops) => {
            hops.iter_mut().for_each(|hop| hop.flags &= RouteNextHopFlags::Onlink);
            true
        }
        RouteAttribute::MulticastExpires(_) | RouteAttribute::Uid(_) => false,
        _ => true,
    });
    message.attributes.extend(expires);
    // The kernel tells what a nexthop object leads to and takes its number alone.
    if route.nexthop().is_some() {
        message.header.flags = RouteFlags::empty();
        message.attributes.retain(|attribute| !is_of_nexthop(attribute));
    }
    // `unreachable` routes of IPv6 report lo as their device; given back, that would be part of the match.
    if route.is_refusal() {
        message.attributes.retain(|attribute| !matches!(attribute, RouteAttribute::Oif(_)));
    }
    message
}

fn is_of_nexthop(attribute: &RouteAttribute) -> bool {
    use RouteAttribute::{Encap, EncapType, Gateway, MultiPath, Oif, Via};
    matches!(attribute, Oif(_) | Gateway(_) | Via(_) | MultiPath(_) | Encap(_) | EncapType(_))
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

    use super::*;

    #[test]
    fn the_way_of_packets_is_told_in_both_families() {
        let kernel = Kernel::open().unwrap();
        for to in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
            // A container may have no IPv6.
            let is_there = UdpSocket::bind((to, 0)).is_ok();
            for from in [None, Some(to)] {
                let route = kernel.route_of(&Flow { to, from, oif: 0, mark: 0 });
                assert_eq!(route.is_ok_and(|route| route.is_for_this_machine()), is_there, "{to}");
            }
        }
    }
}

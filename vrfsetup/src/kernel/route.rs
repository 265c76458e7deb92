//! Routes to and from the kernel (RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE).

use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::route::{RouteAttribute, RouteFlags, RouteMessage};

use super::{IfPresent, Kernel, Refusal};
use crate::family::Family;
use crate::route::Route;

impl Kernel {
    /// All routes of a family in a table, or in all tables: `ip [-6] route show table TABLE`. Devices have no names
    /// yet.
    ///
    /// # Errors
    /// The kernel's own.
    pub fn routes(&self, family: Family, table: Option<u32>) -> Result<Vec<Route>, Refusal> {
        let mut request = RouteMessage::default();
        request.header.address_family = family.into();
        request.attributes.extend(table.map(RouteAttribute::Table));
        let answer = self.dump(RouteNetlinkMessage::GetRoute(request), |answer| match answer {
            RouteNetlinkMessage::NewRoute(message) if !message.header.flags.contains(RouteFlags::Cloned) => {
                Some(Route { message, device: None })
            }
            _ => None,
        });
        let mut routes = match answer {
            // A table that has never been used (strict filters, 4.20).
            Err(refusal) if refusal.errno == libc::ENOENT => Vec::new(),
            other => other?,
        };
        // Older kernels ignore the filter.
        routes.retain(|route| table.is_none_or(|table| route.table() == table));
        Ok(routes)
    }

    /// `ip route add …`.
    ///
    /// # Errors
    /// The kernel's own.
    pub fn add_route(&self, route: &Route) -> Result<(), Refusal> {
        self.change(RouteNetlinkMessage::NewRoute(request(route)), IfPresent::Refuse)
    }

    /// `ip route del …`.
    ///
    /// # Errors
    /// The kernel's own: ESRCH if there is none.
    pub fn delete_route(&self, route: &Route) -> Result<(), Refusal> {
        self.change(RouteNetlinkMessage::DelRoute(request(route)), IfPresent::Refuse)
    }
}

/// A route as the kernel reports it carries state (linkdown, age) that it does not take back.
fn request(route: &Route) -> RouteMessage {
    let mut message = route.message.clone();
    message.header.flags &= RouteFlags::Onlink;
    message.attributes.retain(|attribute| {
        !matches!(
            attribute,
            RouteAttribute::CacheInfo(_) | RouteAttribute::MulticastExpires(_) | RouteAttribute::Uid(_)
        )
    });
    // `unreachable` routes of IPv6 report lo as their device; given back, that would be part of the match.
    if !route.is_unicast() && route.gateway().is_none() {
        message.attributes.retain(|attribute| !matches!(attribute, RouteAttribute::Oif(_)));
    }
    message
}

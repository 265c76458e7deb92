//! What an interface has that a move concerns, put together.

use crate::error::Error;
use crate::model::address::Address;
use crate::model::family::Family;
use crate::model::link::Link;
use crate::model::nexthop::Nexthop;
use crate::plan::held::{Held, Overruling, setting};
use crate::plan::inventory::Inventory;
use crate::plan::port::{Holdings, Ipv6};
use crate::sys::netlink::Kernel;

/// IN6_ADDR_GEN_MODE_NONE.
const NO_LINK_LOCAL: &str = "1";

/// What interfaces have.
pub struct Holder<'a> {
    inventory: &'a Inventory,
    held: &'a Held,
}

impl<'a> Holder<'a> {
    /// Reads it, unless that was done for another interface.
    ///
    /// # Errors
    /// The kernel's own.
    pub fn of(kernel: &Kernel, inventory: &'a Inventory) -> Result<Self, Error> {
        Ok(Self { inventory, held: inventory.held(kernel)? })
    }

    /// What the interface has.
    pub fn holdings(&self, link: &'a Link) -> Holdings<'_> {
        let nexthops: Vec<&Nexthop> =
            self.held.nexthops.iter().filter(|nexthop| nexthop.oif == Some(link.ifindex)).collect();
        let is_group = |group: &&Nexthop| nexthops.iter().any(|nexthop| group.members.contains(&nexthop.id));
        let groups: Vec<&Nexthop> = self.held.nexthops.iter().filter(is_group).collect();
        let addresses: Vec<&Address> = self.inventory.system.addresses_of(link.ifindex).collect();
        Holdings {
            link,
            ipv6: if addresses.iter().any(|own| own.family() == Family::V6) {
                self.settings(&link.name)
            } else {
                Ipv6::default()
            },
            addresses,
            routes: self.inventory.over(link.ifindex).collect(),
            neighbours: self.held.neighbours.get(&link.ifindex).cloned().unwrap_or_default(),
            nexthops: nexthops.into_iter().chain(groups).collect(),
        }
    }

    /// What those have that go down and up with it.
    pub fn above(&self, link: &'a Link) -> Vec<Holdings<'_>> {
        let goes_down = |upper: &&Link| upper.goes_down_with_lower() && upper.is_up();
        self.inventory.system.above(link).into_iter().filter(goes_down).map(|upper| self.holdings(upper)).collect()
    }

    /// How many interfaces it stands upon.
    pub fn depth(&self, link: &Link) -> usize {
        let lower = |link: &&'a Link| self.inventory.system.link_by_index(link.lower?);
        let first = link.lower.and_then(|lower| self.inventory.system.link_by_index(lower));
        // VLANs are not stacked higher than eight.
        std::iter::successors(first, lower).take(8).count()
    }

    /// Where the setting for all interfaces overrules that of each, there is none to change.
    fn settings(&self, name: &str) -> Ipv6 {
        let Overruling { keep_addr_on_down, accept_dad } = self.held.overruling;
        Ipv6 {
            keep_addr_on_down: setting(name, "keep_addr_on_down").filter(|_| !keep_addr_on_down),
            accept_dad: setting(name, "accept_dad").filter(|value| !accept_dad && !value.starts_with('-')),
            has_no_link_local: setting(name, "addr_gen_mode").as_deref() == Some(NO_LINK_LOCAL),
        }
    }
}

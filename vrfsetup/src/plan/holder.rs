//! What interfaces have that a move concerns, beyond the inventory: neighbours, nexthop objects, settings. Read only
//! where something moves.

use std::collections::HashMap;

use crate::error::Error;
use crate::model::link::Link;
use crate::model::neighbour::Neighbour;
use crate::model::nexthop::Nexthop;
use crate::plan::inventory::Inventory;
use crate::plan::port::{Holdings, Ipv6};
use crate::sys::netlink::Kernel;
use crate::sys::sysctl;

/// IN6_ADDR_GEN_MODE_NONE.
const NO_LINK_LOCAL: &str = "1";

/// What interfaces have.
pub struct Holder<'a> {
    inventory: &'a Inventory,
    neighbours: HashMap<u32, Vec<Neighbour>>,
    nexthops: Vec<Nexthop>,
}

impl<'a> Holder<'a> {
    /// Reads it all, unless nothing moves.
    ///
    /// # Errors
    /// The kernel's own.
    pub fn read(kernel: &Kernel, inventory: &'a Inventory, is_needed: bool) -> Result<Self, Error> {
        let mut holder = Self { inventory, neighbours: HashMap::new(), nexthops: Vec::new() };
        if !is_needed {
            return Ok(holder);
        }
        for mut neighbour in kernel.neighbours().map_err(Error::unreadable("the neighbours"))? {
            let Some(link) = inventory.system.link_by_index(neighbour.device.ifindex) else { continue };
            neighbour.device = link.device();
            holder.neighbours.entry(link.ifindex).or_default().push(neighbour);
        }
        holder.nexthops = kernel.nexthops().map_err(Error::unreadable("the nexthop objects"))?;
        for nexthop in &mut holder.nexthops {
            let link = nexthop.oif.and_then(|oif| inventory.system.link_by_index(oif));
            link.into_iter().for_each(|link| nexthop.lead_over(&link.name));
        }
        Ok(holder)
    }

    /// What the interface has.
    pub fn holdings(&self, link: &'a Link) -> Holdings<'_> {
        let nexthops: Vec<&Nexthop> =
            self.nexthops.iter().filter(|nexthop| nexthop.oif == Some(link.ifindex)).collect();
        let is_group = |group: &&Nexthop| nexthops.iter().any(|nexthop| group.members.contains(&nexthop.id));
        let groups: Vec<&Nexthop> = self.nexthops.iter().filter(is_group).collect();
        Holdings {
            link,
            addresses: self.inventory.system.addresses_of(link.ifindex).collect(),
            routes: self.inventory.over(link.ifindex).collect(),
            neighbours: self.neighbours.get(&link.ifindex).cloned().unwrap_or_default(),
            nexthops: nexthops.into_iter().chain(groups).collect(),
            ipv6: settings(&link.name),
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
}

/// Where the setting for all interfaces overrules that of each, there is none to change.
fn settings(name: &str) -> Ipv6 {
    let read = |interface: &str, setting: &str| sysctl::read(&format!("net/ipv6/conf/{interface}/{setting}"));
    let is_kept_by_none = read("all", "keep_addr_on_down").is_some_and(|value| value.starts_with('-'));
    let is_probed_by_all = read("all", "accept_dad").is_some_and(|value| value != "0" && !value.starts_with('-'));
    Ipv6 {
        keep_addr_on_down: read(name, "keep_addr_on_down").filter(|_| !is_kept_by_none),
        accept_dad: read(name, "accept_dad").filter(|value| !is_probed_by_all && !value.starts_with('-')),
        has_no_link_local: read(name, "addr_gen_mode").as_deref() == Some(NO_LINK_LOCAL),
    }
}

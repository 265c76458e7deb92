//! What interfaces have that a move concerns, beyond the inventory: neighbours, nexthop objects, and which settings of
//! all of them overrule those of each. Read only where something moves.

use std::collections::HashMap;

use crate::error::Error;
use crate::model::neighbour::Neighbour;
use crate::model::nexthop::Nexthop;
use crate::plan::system::System;
use crate::sys::netlink::Kernel;
use crate::sys::sysctl;

/// What was read.
pub struct Held {
    /// By the indices of their interfaces.
    pub neighbours: HashMap<u32, Vec<Neighbour>>,
    /// With the names of their interfaces.
    pub nexthops: Vec<Nexthop>,
    pub overruling: Overruling,
}

/// Which settings of an interface those for all interfaces overrule.
pub struct Overruling {
    /// Is below 0.
    pub keep_addr_on_down: bool,
    /// Is above 0.
    pub accept_dad: bool,
}

impl Held {
    /// Reads it all.
    ///
    /// # Errors
    /// The kernel's own.
    pub fn read(kernel: &Kernel, system: &System) -> Result<Self, Error> {
        let mut neighbours: HashMap<u32, Vec<Neighbour>> = HashMap::new();
        for mut neighbour in kernel.neighbours().map_err(Error::unreadable("the neighbours"))? {
            let Some(link) = system.link_by_index(neighbour.device.ifindex) else { continue };
            if neighbour.is_kernels_own(link) {
                continue;
            }
            neighbour.device = link.device();
            neighbours.entry(link.ifindex).or_default().push(neighbour);
        }
        let mut nexthops = kernel.nexthops().map_err(Error::unreadable("the nexthop objects"))?;
        for nexthop in &mut nexthops {
            let link = nexthop.oif.and_then(|oif| system.link_by_index(oif));
            link.into_iter().for_each(|link| nexthop.lead_over(&link.name));
        }
        let overruling = Overruling {
            keep_addr_on_down: setting("all", "keep_addr_on_down").is_some_and(|value| value.starts_with('-')),
            accept_dad: setting("all", "accept_dad").is_some_and(|value| value != "0" && !value.starts_with('-')),
        };
        Ok(Self { neighbours, nexthops, overruling })
    }
}

/// One below `net/ipv6/conf`.
pub fn setting(interface: &str, name: &str) -> Option<String> {
    sysctl::read(&format!("net/ipv6/conf/{interface}/{name}"))
}

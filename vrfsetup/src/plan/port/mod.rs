//! Moving an interface between routing domains with all that it has. Pure: what is there in, steps out.
//!
//! The kernel takes an interface down and up when it becomes a port or ceases to be one, and the VLANs above it too.
//! IPv4 addresses and the routes that belong to addresses survive that; other routes do not, nor permanent neighbours,
//! nor nexthop objects, and IPv6 addresses only if `keep_addr_on_down` says so (4.6), which keeps neither those with a
//! lifetime nor link-local ones. Whatever would be lost is therefore deleted and added in steps of its own: a rollback
//! has it all.

mod addresses;
mod gateways;
mod holdings;
mod nexthops;
mod routes;

use crate::error::Error;
use crate::model::device::Device;
use crate::model::link::Link;
use crate::model::neighbour::Neighbour;
use crate::model::nexthop::Nexthop;
use crate::model::route::Route;
use crate::model::rule::TABLE_MAIN;
use crate::model::step::Step;

pub use holdings::{Holdings, Ipv6};
pub use routes::Rivals;

/// A routing domain: a VRF, or, without a device, the default one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    /// The VRF's device.
    pub device: Option<Device>,
    pub table: u32,
}

impl Domain {
    /// The domain of everything that is in no VRF.
    pub fn default_domain() -> Self {
        Self { device: None, table: TABLE_MAIN }
    }

    /// The domain of a VRF.
    pub fn of(vrf: &Link) -> Self {
        Self { device: Some(vrf.device()), table: vrf.table.unwrap_or(TABLE_MAIN) }
    }

    /// Whether it is the one outside all VRFs.
    pub fn is_default(&self) -> bool {
        self.device.is_none()
    }
}

/// An interface with what a move concerns.
#[derive(Clone, Debug)]
pub struct Port<'a> {
    /// The interface and what it has.
    pub own: Holdings<'a>,
    /// The interfaces that go down and up with it: they stay in their domains, and keep what they have.
    pub above: Vec<Holdings<'a>>,
    /// What becomes of a route that would compete with the default domain's own.
    pub rivals: Rivals<'a>,
}

/// A planned move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// In order.
    pub steps: Vec<Step>,
    /// The default domain's default route that comes or goes, if one does.
    pub default_route: Option<Route>,
    /// What does not come along.
    pub notes: Vec<String>,
}

/// Plans the move of one interface.
///
/// # Errors
/// A route leads over this interface and over others, which stay.
pub fn plan(port: &Port, from: &Domain, to: &Domain) -> Result<Move, Error> {
    let routes = routes::plan(port, from, to)?;
    let all = || std::iter::once(&port.own).chain(&port.above);
    let (keep, restore): (Vec<Step>, Vec<Step>) = all().filter_map(addresses::keeping).unzip();
    let (trust, distrust): (Vec<Step>, Vec<Step>) = all().filter_map(addresses::trusting).unzip();
    let lost: Vec<Step> = all().flat_map(addresses::lost).cloned().map(Step::AddAddress).collect();
    let neighbours: Vec<&Neighbour> = all().filter(|own| own.link.is_up()).flat_map(|own| &own.neighbours).collect();
    let over: Vec<&Nexthop> = all().flat_map(|own| own.nexthops.iter().copied()).collect();
    let nexthops = nexthops::to_make_again(&over);
    let torn = nexthops::torn(&over)
        .map(|group| format!("nexthop group {} loses a member: ip nexthop replace {group}", group.id));

    // First, and last in the end: whoever undoes it adds addresses, too, and they are not probed then either.
    let mut steps: Vec<Step> = trust;
    steps.extend(routes.deleted.into_iter().map(Step::DeleteRoute));
    steps.extend(nexthops.iter().rev().copied().cloned().map(Step::DeleteNexthop));
    steps.extend(neighbours.iter().copied().cloned().map(Step::DeleteNeighbour));
    steps.extend(lost.iter().cloned().map(Step::inverse));
    steps.extend(keep);
    let device = port.own.link.device();
    steps.extend(from.device.iter().map(|vrf| Step::Release(device.clone(), vrf.clone())));
    steps.extend(to.device.iter().map(|vrf| Step::Enslave(device.clone(), vrf.clone())));
    steps.extend(restore.into_iter().chain(lost));
    steps.extend(neighbours.into_iter().cloned().map(Step::AddNeighbour));
    steps.extend(nexthops.into_iter().cloned().map(Step::AddNexthop));
    steps.extend(routes.added.into_iter().map(Step::AddRoute));
    // Not before: a route with a source address is refused while that is being probed.
    steps.extend(distrust);
    let notes = routes.notes.into_iter().chain(torn).collect();
    Ok(Move { steps, default_route: routes.default_route, notes })
}

#[cfg(test)]
mod tests;

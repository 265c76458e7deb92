//! Whether each lookup in a VRF's table finds something: only then does none go on to the next rule.
//!
//! A default route by a gateway is no seal: it goes with its link, or with the lease that brought it. A default of kind
//! unreachable, blackhole or prohibit stays. A route of kind throw sends a lookup on to the next rule.

use nix::errno::Errno;
use vrfnl::route::{self, BLACKHOLE, PROHIBIT, Route, THROW, UNREACHABLE};

use crate::error::Error;
use crate::vrf::netlink::Netlink;

/// A table with more routes is not read to its end: IPv6 puts its default last, and the kernel can be asked for routes of
/// the kinds that matter alone (4.20; before, it sends all, which is slow and no less right).
const FEW: usize = 512;

/// Reads a family's routes of this table. `spare` is a socket that may be used, and holds one again if it still can be.
pub fn is_sealed(spare: &mut Option<Netlink>, family: u8, table: u32) -> Result<bool, Error> {
    match read(spare, family, table) {
        // A table that nothing was ever put in.
        Err(Errno::ENOENT) => Ok(false),
        outcome => outcome.map(Seal::holds).map_err(Error::kernel("read the VRF's routes")),
    }
}

fn read(spare: &mut Option<Netlink>, family: u8, table: u32) -> nix::Result<Seal> {
    let mut netlink = spare.take().map_or_else(Netlink::connect, Ok)?;
    let (mut seal, is_read) = netlink.with_room(|netlink| {
        let (mut seal, mut count) = (Seal::default(), 0);
        let is_read = netlink.read_while(&route::dump(family, table, None), |body| {
            count += usize::from(seal.see(body, table));
            count < FEW
        })?;
        Ok((seal, is_read))
    })?;
    if !is_read {
        netlink = Netlink::connect()?;
        for kind in [THROW, UNREACHABLE, BLACKHOLE, PROHIBIT] {
            netlink.with_room(|netlink| {
                netlink.ask(&route::dump(family, table, Some(kind)), true, |body| {
                    seal.see(body, table);
                })
            })?;
        }
    }
    *spare = Some(netlink);
    Ok(seal)
}

/// What was seen of a table.
#[derive(Debug, Default)]
struct Seal {
    /// The lowest metric of the defaults that end a lookup.
    metric: Option<u32>,
    /// The lowest metric of the defaults that send it on.
    thrown: Option<u32>,
    /// A smaller destination is sent on, whatever the defaults are.
    has_hole: bool,
}

impl Seal {
    /// False for a route of another table.
    fn see(&mut self, body: &[u8], table: u32) -> bool {
        let route = route::parse(body).filter(|route| route.table == table);
        route.inspect(|route| self.judge(route)).is_some()
    }

    fn judge(&mut self, route: &Route) {
        let least = |so_far: Option<u32>| Some(so_far.map_or(route.metric, |other| other.min(route.metric)));
        match route.kind {
            THROW if route.dst_len != 0 || route.is_selective => self.has_hole = true,
            THROW => self.thrown = least(self.thrown),
            UNREACHABLE | BLACKHOLE | PROHIBIT if route.dst_len == 0 && !route.is_selective => {
                self.metric = least(self.metric);
            }
            _ => {}
        }
    }

    fn holds(self) -> bool {
        let is_first = |seal| self.thrown.is_none_or(|thrown| seal < thrown);
        !self.has_hole && self.metric.is_some_and(is_first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNICAST: u8 = 1;

    fn default(kind: u8, metric: u32) -> Route {
        Route { table: 1001, kind, dst_len: 0, is_selective: false, metric }
    }

    fn holds(routes: &[Route]) -> bool {
        let mut seal = Seal::default();
        routes.iter().for_each(|route| seal.judge(route));
        seal.holds()
    }

    #[test]
    fn a_default_that_stays_is_a_seal_and_one_by_a_gateway_is_none() {
        for kind in [UNREACHABLE, BLACKHOLE, PROHIBIT] {
            assert!(holds(&[default(UNICAST, 0), default(kind, 4_278_198_272)]), "{kind}");
        }
        assert!(!holds(&[default(UNICAST, 0)]));
        assert!(!holds(&[]));
    }

    #[test]
    fn a_default_for_some_packets_or_destinations_is_none() {
        assert!(!holds(&[Route { is_selective: true, ..default(UNREACHABLE, 0) }]));
        assert!(!holds(&[Route { dst_len: 1, ..default(UNREACHABLE, 0) }]));
    }

    #[test]
    fn what_is_thrown_goes_on_to_the_next_rule() {
        let seal = default(UNREACHABLE, 100);
        assert!(!holds(&[seal, Route { dst_len: 8, ..default(THROW, 0) }]));
        assert!(!holds(&[seal, Route { is_selective: true, ..default(THROW, 200) }]));
        // Of two defaults the lower metric is found first.
        assert!(!holds(&[seal, default(THROW, 99)]));
        assert!(!holds(&[seal, default(THROW, 100)]));
        assert!(holds(&[seal, default(THROW, 101)]));
    }

    #[test]
    fn routes_of_other_tables_do_not_count() {
        let mut seal = Seal::default();
        let request = route::dump(2, 1002, Some(UNREACHABLE));
        assert!(!seal.see(&request.as_bytes()[16..], 1001));
        assert!(!seal.holds());
    }
}

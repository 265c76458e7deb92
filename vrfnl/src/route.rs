//! Routes of one table, as far as the question goes whether a lookup in it can miss.

use crate::attr::{Attributes, align};
use crate::message::Request;

const RTA_PRIORITY: u16 = 6;
const RTA_TABLE: u16 = 15;
const RTMSG: usize = 12;

/// RTN_BLACKHOLE: the packet is dropped (EINVAL).
pub const BLACKHOLE: u8 = 6;
/// RTN_UNREACHABLE: the packet has no route (EHOSTUNREACH).
pub const UNREACHABLE: u8 = 7;
/// RTN_PROHIBIT: the packet is refused (EACCES).
pub const PROHIBIT: u8 = 8;
/// RTN_THROW: the lookup in this table has found nothing; the next rule is tried.
pub const THROW: u8 = 9;

/// One route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The table it stands in.
    pub table: u32,
    /// `RTN_*`; see [`UNREACHABLE`] and the others.
    pub kind: u8,
    /// The length of its destination prefix; 0 is a default route.
    pub dst_len: u8,
    /// Matches only some packets to its destination: those with this source (IPv6) or type of service (IPv4).
    pub is_selective: bool,
    /// Of routes with the same destination the one with the lowest is taken.
    pub metric: u32,
}

/// Asks for the routes of one table, all or of one kind. A kernel before 4.20, or a socket without
/// NETLINK_GET_STRICT_CHK, sends those of all tables and kinds.
pub fn dump(family: u8, table: u32, kind: Option<u8>) -> Request {
    let mut header = [0; align(RTMSG)];
    (header[0], header[7]) = (family, kind.unwrap_or(0));
    Request::new(libc::RTM_GETROUTE, libc::NLM_F_DUMP, &header).attribute(RTA_TABLE, &table.to_ne_bytes())
}

/// Reads the body of an RTM_NEWROUTE message.
pub fn parse(body: &[u8]) -> Option<Route> {
    let [_, dst_len, src_len, tos, table, _, _, kind, ..] = *body.get(..RTMSG)? else { return None };
    let all = Attributes(&body[RTMSG..]);
    Some(Route {
        table: all.find_u32(RTA_TABLE).unwrap_or(u32::from(table)),
        kind,
        dst_len,
        is_selective: src_len != 0 || tos != 0,
        metric: all.find_u32(RTA_PRIORITY).unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_attribute_goes_before_the_byte() {
        let request = dump(2, 100_001, Some(UNREACHABLE)).attribute(RTA_PRIORITY, &77u32.to_ne_bytes());
        let mut body = request.as_bytes()[16..].to_vec();
        body[1] = 24;
        body[4] = 252; // RT_TABLE_COMPAT
        let route = Route { table: 100_001, kind: UNREACHABLE, dst_len: 24, is_selective: false, metric: 77 };
        assert_eq!(parse(&body), Some(route));
        body[2] = 64; // from 2001:db8::/64
        assert_eq!(parse(&body), Some(Route { is_selective: true, ..route }));
    }
}

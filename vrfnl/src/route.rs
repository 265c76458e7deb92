//! Routes of one table, as far as the question goes whether a lookup in it can miss.

use crate::attr::{Attributes, align};
use crate::message::Request;

const RTA_TABLE: u16 = 15;
const RTMSG: usize = 12;

/// One route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The table it stands in.
    pub table: u32,
    /// The length of its destination prefix; 0 is a default route.
    pub dst_len: u8,
}

/// Asks for the routes of one table. A kernel before 4.20, or a socket without NETLINK_GET_STRICT_CHK, sends those of
/// all tables.
pub fn dump(family: u8, table: u32) -> Request {
    let mut header = [0; align(RTMSG)];
    header[0] = family;
    Request::new(libc::RTM_GETROUTE, libc::NLM_F_DUMP, &header).attribute(RTA_TABLE, &table.to_ne_bytes())
}

/// Reads the body of an RTM_NEWROUTE message.
pub fn parse(body: &[u8]) -> Option<Route> {
    let [_, dst_len, _, _, table, ..] = *body.get(..RTMSG)? else { return None };
    let all = Attributes(&body[RTMSG..]);
    Some(Route { table: all.find_u32(RTA_TABLE).unwrap_or(u32::from(table)), dst_len })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_attribute_goes_before_the_byte() {
        let request = dump(2, 100_001);
        let mut body = request.as_bytes()[16..].to_vec();
        body[1] = 24;
        body[4] = 252; // RT_TABLE_COMPAT
        assert_eq!(parse(&body), Some(Route { table: 100_001, dst_len: 24 }));
    }
}

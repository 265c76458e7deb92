//! One link by name: its index, whether it is a VRF, and which table it uses (`ip -d link show NAME`).

use crate::attr::{Attributes, c_bytes, u32_at};
use crate::message::Request;

const IFLA_IFNAME: u16 = 3;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_EXT_MASK: u16 = 29;
const IFLA_ALT_IFNAME: u16 = 53;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_VRF_TABLE: u16 = 1;
/// Leaves the statistics out, which are most of the answer (4.4; older kernels send them all the same).
const RTEXT_FILTER_SKIP_STATS: u32 = 1 << 3;
const IFINFOMSG: usize = 16;

/// The longest interface name that the kernel takes, without its NUL.
pub const NAME_MAX: usize = 15;
/// The longest alternative name, likewise.
pub const ALTERNATIVE_NAME_MAX: usize = 127;

/// What a link is, as far as binding to it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The interface index in its network namespace.
    pub ifindex: u32,
    /// The routing table, if the link is a VRF device.
    pub vrf_table: Option<u32>,
    /// The index of the link that this one is a port of; 0 if none.
    pub master: u32,
    /// Whether the link is administratively up (IFF_UP).
    pub is_up: bool,
}

/// Asks for the link of this name (RTM_GETLINK). None for a name that no link can have: empty, longer than
/// [`NAME_MAX`], or with a NUL in it.
pub fn get(name: &[u8]) -> Option<Request> {
    if name.is_empty() || name.len() > NAME_MAX || name.contains(&0) {
        return None;
    }
    let mut c_name = [0; NAME_MAX + 1];
    c_name.iter_mut().zip(name).for_each(|(to, from)| *to = *from);
    Some(one().attribute(IFLA_IFNAME, c_name.get(..=name.len())?))
}

/// Asks for the link of this alternative name (5.5), which may be longer than its own. None where [`get`] would do, and for
/// one that is too long for that, too.
pub fn get_alternative(name: &[u8]) -> Option<Request> {
    if !(NAME_MAX + 1..=ALTERNATIVE_NAME_MAX).contains(&name.len()) || name.contains(&0) {
        return None;
    }
    let mut c_name = [0; ALTERNATIVE_NAME_MAX + 1];
    c_name.iter_mut().zip(name).for_each(|(to, from)| *to = *from);
    Some(one().attribute(IFLA_ALT_IFNAME, c_name.get(..=name.len())?))
}

fn one() -> Request {
    Request::new(libc::RTM_GETLINK, 0, &[0; IFINFOMSG]).attribute(IFLA_EXT_MASK, &RTEXT_FILTER_SKIP_STATS.to_ne_bytes())
}

/// Asks for the ports of this link (`ip link show master NAME`). Before 4.6 all links come: look at [`Link::master`].
pub fn ports(master: u32) -> Request {
    Request::new(libc::RTM_GETLINK, libc::NLM_F_DUMP, &[0; IFINFOMSG])
        .attribute(IFLA_EXT_MASK, &RTEXT_FILTER_SKIP_STATS.to_ne_bytes())
        .attribute(IFLA_MASTER, &master.to_ne_bytes())
}

/// Asks for all VRFs (`ip link show type vrf`). A kernel that does not know the kind, or is older than 4.6, sends all links:
/// look at [`Link::vrf_table`].
pub fn vrfs() -> Request {
    let kind = Request::new(libc::RTM_GETLINK, libc::NLM_F_DUMP, &[0; IFINFOMSG])
        .attribute(IFLA_EXT_MASK, &RTEXT_FILTER_SKIP_STATS.to_ne_bytes());
    kind.attribute(IFLA_LINKINFO, &[8, 0, IFLA_INFO_KIND as u8, 0, b'v', b'r', b'f', 0])
}

/// Reads the body of an RTM_NEWLINK message.
pub fn parse(body: &[u8]) -> Option<Link> {
    let all = Attributes(body.get(IFINFOMSG..)?);
    Some(Link {
        ifindex: u32_at(body, 4)?,
        vrf_table: all.find(IFLA_LINKINFO).and_then(vrf_table),
        master: all.find_u32(IFLA_MASTER).unwrap_or(0),
        is_up: u32_at(body, 8)? & libc::IFF_UP as u32 != 0,
    })
}

/// The link's own name in such a message; what it was asked for by may be one of its alternative names (5.5).
pub fn name(body: &[u8]) -> Option<&[u8]> {
    Attributes(body.get(IFINFOMSG..)?).find(IFLA_IFNAME).map(c_bytes)
}

fn vrf_table(link_info: &[u8]) -> Option<u32> {
    let info = Attributes(link_info);
    (c_bytes(info.find(IFLA_INFO_KIND)?) == b"vrf")
        .then(|| Attributes(info.find(IFLA_INFO_DATA).unwrap_or_default()).find_u32(IFLA_VRF_TABLE))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(kind: &[u8]) -> Request {
        let mut body = [0; IFINFOMSG];
        body[4] = 7;
        body[8] = 1;
        let table = [[8u16, 1].map(u16::to_ne_bytes).concat(), 1001u32.to_ne_bytes().to_vec()].concat();
        let data = [[12u16, 2].map(u16::to_ne_bytes).concat(), table].concat();
        let mut info = [[4 + kind.len() as u16, 1].map(u16::to_ne_bytes).concat(), kind.to_vec()].concat();
        info.resize((info.len() + 3) & !3, 0);
        Request::new(libc::RTM_NEWLINK, 0, &body).attribute(IFLA_LINKINFO, &[info, data].concat())
    }

    #[test]
    fn a_vrf_has_its_table() {
        let link = parse(&reply(b"vrf\0").as_bytes()[16..]);
        assert_eq!(link, Some(Link { ifindex: 7, vrf_table: Some(1001), master: 0, is_up: true }));
    }

    #[test]
    fn another_kind_of_link_has_no_vrf_table() {
        assert_eq!(parse(&reply(b"veth\0").as_bytes()[16..]).unwrap().vrf_table, None);
    }

    #[test]
    fn it_says_its_own_name() {
        let message = reply(b"vrf\0").attribute(IFLA_IFNAME, b"blue\0");
        assert_eq!(name(&message.as_bytes()[16..]), Some(&b"blue"[..]));
        assert_eq!(name(&reply(b"vrf\0").as_bytes()[16..]), None);
    }

    #[test]
    fn names_that_no_link_can_have_are_not_asked_for() {
        for name in [&b""[..], b"a\0b", b"sixteen-letters-"] {
            assert!(get(name).is_none());
        }
        assert!(get(b"fifteen-letters").is_some());
        for name in [&b""[..], b"fifteen-letters", b"sixteen-\0letters", &[b'a'; ALTERNATIVE_NAME_MAX + 1]] {
            assert!(get_alternative(name).is_none());
        }
        let longest = get_alternative(&[b'a'; ALTERNATIVE_NAME_MAX]).unwrap();
        assert!(longest.as_bytes().ends_with(b"aaa\0"));
    }
}

//! Interfaces to and from the kernel (RTM_NEWLINK, RTM_SETLINK, RTM_DELLINK, RTM_GETLINK).

use rtnetlink::packet_core::{NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::{LinkAttribute, LinkExtentMask, LinkFlags, LinkMessage};
use rtnetlink::{LinkUnspec, LinkVrf};
use vrfnl::Attributes;

use super::raw::attribute;
use super::reply::Reply;
use super::{Change, IfPresent, Kernel, KernelError, message};
use crate::model::device::Device;
use crate::model::link::Link;

const RTM_NEWLINKPROP: u16 = 108;
const RTM_DELLINKPROP: u16 = 109;
/// `struct ifinfomsg`.
pub(super) const IFINFOMSG: usize = 16;
const IFLA_VRF_TABLE: u16 = 1;
const IFLA_VXLAN_LINK: u16 = 3;
const IFLA_PROP_LIST: u16 = 52;
const IFLA_ALT_IFNAME: u16 = 53;
/// Kinds that name their other end in the place of an interface below.
const PAIRS: [&str; 3] = ["veth", "vxcan", "netkit"];

impl Kernel {
    /// All interfaces: `ip -d link show`.
    ///
    /// # Errors
    /// The kernel's own.
    pub fn links(&self) -> Result<Vec<Link>, KernelError> {
        let mut request = LinkMessage::default();
        // The statistics are most of the answer.
        request.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
        self.dump_unread(RouteNetlinkMessage::GetLink(request), answer)
    }

    /// The interface of this name: `ip -d link show NAME`.
    ///
    /// # Errors
    /// The kernel's own: ENODEV if there is none.
    pub fn link(&self, name: &str) -> Result<Link, KernelError> {
        let found = self.exchange(message(question(name), NLM_F_REQUEST | NLM_F_ACK), &answer)?;
        found.into_iter().next().ok_or(KernelError::from_errno(libc::ENODEV))
    }
}

/// Alternative names (5.5).
impl Kernel {
    pub(super) fn add_altname(&self, device: &Device, name: &str) -> Result<(), KernelError> {
        let flags = NLM_F_CREATE | NLM_F_EXCL | NLM_F_APPEND;
        self.tell(RTM_NEWLINKPROP, flags, &with_altname(device, name))
    }

    pub(super) fn delete_altname(&self, device: &Device, name: &str) -> Result<(), KernelError> {
        self.tell(RTM_DELLINKPROP, 0, &with_altname(device, name))
    }
}

fn with_altname(device: &Device, name: &str) -> Vec<u8> {
    let mut body = vec![0; IFINFOMSG];
    body[4..8].copy_from_slice(&device.ifindex.to_ne_bytes());
    let altname = attribute(IFLA_ALT_IFNAME, &[name.as_bytes(), b"\0"].concat());
    body.extend(attribute(IFLA_PROP_LIST | libc::NLA_F_NESTED as u16, &altname));
    body
}

/// The question for the interface of this name: `ip -d link show NAME`.
pub(super) fn question(name: &str) -> RouteNetlinkMessage {
    let mut request = LinkMessage::default();
    request.attributes.push(LinkAttribute::IfName(name.to_owned()));
    request.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
    RouteNetlinkMessage::GetLink(request)
}

/// The question for the interface of this index.
pub(super) fn question_by_index(ifindex: u32) -> RouteNetlinkMessage {
    let mut request = LinkMessage::default();
    request.header.index = ifindex;
    request.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
    RouteNetlinkMessage::GetLink(request)
}

/// The interface that an answer tells about. Of its dozens of attributes few are wanted, and there may be thousands of
/// interfaces: they are picked out here, not all read.
pub(super) fn answer(reply: &Reply) -> Option<Link> {
    let body = reply.body();
    if reply.kind != libc::RTM_NEWLINK {
        return None;
    }
    let mut link = Link {
        ifindex: number(body.get(4..)?)?,
        name: String::new(),
        flags: number(body.get(8..)?)?,
        mtu: 0,
        operstate: 0,
        master: None,
        lower: None,
        is_of_elsewhere: false,
        altnames: Vec::new(),
        kind: None,
        table: None,
    };
    let mut lower = None;
    for (kind, value) in Attributes(body.get(IFINFOMSG..)?) {
        match kind {
            libc::IFLA_IFNAME => link.name = text(value),
            libc::IFLA_MTU => link.mtu = number(value)?,
            libc::IFLA_OPERSTATE => link.operstate = *value.first()?,
            libc::IFLA_MASTER => link.master = number(value).filter(|master| *master != 0),
            libc::IFLA_LINK => lower = number(value).filter(|lower| *lower != 0 && *lower != link.ifindex),
            libc::IFLA_LINK_NETNSID => link.is_of_elsewhere = true,
            IFLA_PROP_LIST => link.altnames = altnames(Attributes(value)),
            libc::IFLA_LINKINFO => {
                read_info(&mut link, Attributes(value));
                lower = lower.or_else(|| below_vxlan(Attributes(value)));
            }
            _ => {}
        }
    }
    let is_pair = link.kind.as_ref().is_some_and(|kind| PAIRS.contains(&kind.as_str()));
    link.lower = lower.filter(|_| !link.is_of_elsewhere && !is_pair);
    Some(link)
}

fn altnames(list: Attributes) -> Vec<String> {
    list.filter(|(kind, _)| *kind == IFLA_ALT_IFNAME).map(|(_, name)| text(name)).collect()
}

fn read_info(link: &mut Link, info: Attributes) {
    link.kind = info.find(libc::IFLA_INFO_KIND).map(text);
    if link.kind.as_deref() == Some("vrf") {
        link.table = info.find(libc::IFLA_INFO_DATA).and_then(|data| Attributes(data).find_u32(IFLA_VRF_TABLE));
    }
}

/// A VXLAN tells what it is upon in its own attributes alone.
fn below_vxlan(info: Attributes) -> Option<u32> {
    info.find(libc::IFLA_INFO_KIND).filter(|kind| text(kind) == "vxlan")?;
    Attributes(info.find(libc::IFLA_INFO_DATA)?).find_u32(IFLA_VXLAN_LINK).filter(|lower| *lower != 0)
}

/// A C string, as the kernel sends it.
fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value.split(|&byte| byte == 0).next().unwrap_or_default()).into_owned()
}

fn number(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?))
}

/// `ip link add NAME [index IFINDEX] type vrf table TABLE`. The index is given when a VRF comes back in a rollback, so
/// that what refers to it by number stays true. EOPNOTSUPP where the kernel has no VRFs, EEXIST if the name is taken.
pub(super) fn add_vrf(device: &Device, table: u32) -> Change {
    let mut message = LinkVrf::new(&device.name, table).build();
    message.header.index = device.ifindex;
    Change(RouteNetlinkMessage::NewLink(message), IfPresent::Refuse)
}

/// `ip link del NAME`, by the index where it is known.
pub(super) fn delete(device: &Device) -> Change {
    let mut message = LinkMessage::default();
    message.header.index = device.ifindex;
    if device.ifindex == 0 {
        message.attributes.push(LinkAttribute::IfName(device.name.clone()));
    }
    Change(RouteNetlinkMessage::DelLink(message), IfPresent::Refuse)
}

/// `ip link set NAME up` or `down`.
pub(super) fn set_up(device: &Device, is_up: bool) -> Change {
    let mut message = LinkMessage::default();
    message.header.index = device.ifindex;
    message.header.change_mask = LinkFlags::Up;
    if is_up {
        message.header.flags = LinkFlags::Up;
    }
    Change(RouteNetlinkMessage::SetLink(message), IfPresent::Refuse)
}

/// `ip link set NAME master MASTER`, or `nomaster` for None.
pub(super) fn set_master(device: &Device, master: Option<&Device>) -> Change {
    let builder = LinkUnspec::new_with_index(device.ifindex).controller(master.map_or(0, |m| m.ifindex));
    Change(RouteNetlinkMessage::SetLink(builder.build()), IfPresent::Refuse)
}

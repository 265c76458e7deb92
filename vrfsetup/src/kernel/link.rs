//! Interfaces to and from the kernel (RTM_NEWLINK, RTM_SETLINK, RTM_DELLINK, RTM_GETLINK).

use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::{
    InfoData, InfoKind, InfoVrf, LinkAttribute, LinkExtentMask, LinkFlags, LinkInfo, LinkMessage,
};
use rtnetlink::{LinkUnspec, LinkVrf};

use super::{Change, IfPresent, Kernel, Refusal};
use crate::link::Link;
use crate::step::Device;

impl Kernel {
    /// All interfaces: `ip -d link show`.
    ///
    /// # Errors
    /// The kernel's own.
    pub fn links(&self) -> Result<Vec<Link>, Refusal> {
        let mut request = LinkMessage::default();
        // The statistics are most of the answer.
        request.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
        self.dump(RouteNetlinkMessage::GetLink(request), answer)
    }

    /// The interface of this name: `ip -d link show NAME`.
    ///
    /// # Errors
    /// The kernel's own: ENODEV if there is none.
    pub fn link(&self, name: &str) -> Result<Link, Refusal> {
        let found = self.ask(question(name), answer)?;
        found.into_iter().next().ok_or(Refusal::from_errno(libc::ENODEV))
    }
}

/// The question for the interface of this name: `ip -d link show NAME`.
pub(super) fn question(name: &str) -> RouteNetlinkMessage {
    let mut request = LinkMessage::default();
    request.attributes.push(LinkAttribute::IfName(name.to_owned()));
    request.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
    RouteNetlinkMessage::GetLink(request)
}

/// The interface that an answer tells about.
pub(super) fn answer(message: RouteNetlinkMessage) -> Option<Link> {
    match message {
        RouteNetlinkMessage::NewLink(message) => Some(from_message(&message)),
        _ => None,
    }
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

fn from_message(message: &LinkMessage) -> Link {
    let mut link = Link {
        ifindex: message.header.index,
        name: String::new(),
        flags: message.header.flags.bits(),
        mtu: 0,
        operstate: 0,
        master: None,
        kind: None,
        table: None,
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::OperState(state) => link.operstate = (*state).into(),
            LinkAttribute::Controller(master) if *master != 0 => link.master = Some(*master),
            LinkAttribute::LinkInfo(infos) => read_infos(&mut link, infos),
            _ => {}
        }
    }
    link
}

fn read_infos(link: &mut Link, infos: &[LinkInfo]) {
    for info in infos {
        match info {
            LinkInfo::Kind(kind) => link.kind = Some(kind.to_string()),
            LinkInfo::Data(InfoData::Vrf(vrf)) => {
                link.table = vrf.iter().find_map(|info| match info {
                    InfoVrf::TableId(table) => Some(*table),
                    _ => None,
                });
            }
            _ => {}
        }
    }
    debug_assert!(link.table.is_none() || link.kind == Some(InfoKind::Vrf.to_string()));
}

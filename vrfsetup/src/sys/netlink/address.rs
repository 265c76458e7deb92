//! Addresses to and from the kernel (RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR).

use std::net::IpAddr;

use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressProtocol, AddressScope, CacheInfo,
};

use super::{Change, IfPresent, Kernel, KernelError};
use crate::model::address::{Address, FOREVER};
use crate::model::device::Device;

/// The flags that a user may set; the kernel makes the others (tentative, permanent …) itself.
const SETTABLE: u32 = libc::IFA_F_NODAD
    | libc::IFA_F_OPTIMISTIC
    | libc::IFA_F_HOMEADDRESS
    | libc::IFA_F_MANAGETEMPADDR
    | libc::IFA_F_NOPREFIXROUTE
    | libc::IFA_F_MCAUTOJOIN;

impl Kernel {
    /// All addresses: `ip addr show`. Their devices have an index and no name yet.
    ///
    /// # Errors
    /// The kernel's own.
    pub fn addresses(&self) -> Result<Vec<Address>, KernelError> {
        self.dump(RouteNetlinkMessage::GetAddress(AddressMessage::default()), |answer| match answer {
            RouteNetlinkMessage::NewAddress(message) => from_message(&message),
            _ => None,
        })
    }

    /// Those of one interface, in the kernel's order, without its name: `ip addr show dev NAME`.
    ///
    /// # Errors
    /// The kernel's own.
    pub fn addresses_of(&self, ifindex: u32) -> Result<Vec<Address>, KernelError> {
        let mut request = AddressMessage::default();
        request.header.index = ifindex;
        self.dump(RouteNetlinkMessage::GetAddress(request), |answer| match answer {
            // Before 4.20 those of all come.
            RouteNetlinkMessage::NewAddress(message) if message.header.index == ifindex => from_message(&message),
            _ => None,
        })
    }
}

/// `ip addr add …`.
pub(super) fn add(address: &Address) -> Change {
    Change(RouteNetlinkMessage::NewAddress(to_message(address)), IfPresent::Refuse)
}

/// `ip addr change …`.
pub(super) fn replace(address: &Address) -> Change {
    Change(RouteNetlinkMessage::NewAddress(to_message(address)), IfPresent::Replace)
}

/// `ip addr del …`.
pub(super) fn delete(address: &Address) -> Change {
    Change(RouteNetlinkMessage::DelAddress(to_message(address)), IfPresent::Refuse)
}

fn to_message(address: &Address) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = address.family().into();
    message.header.prefix_len = address.prefix_len;
    message.header.scope = AddressScope::from(address.scope);
    message.header.index = address.device.ifindex;
    let flags = address.flags & SETTABLE;
    message.header.flags = AddressHeaderFlags::from_bits_retain(flags as u8);
    let attributes = &mut message.attributes;
    attributes.push(AddressAttribute::Local(address.local));
    attributes.push(AddressAttribute::Address(address.peer.unwrap_or(address.local)));
    attributes.extend(address.broadcast.map(AddressAttribute::Broadcast));
    attributes.extend(address.label.clone().map(AddressAttribute::Label));
    attributes.push(AddressAttribute::Flags(AddressFlags::from_bits_retain(flags)));
    attributes.extend(address.metric.map(AddressAttribute::RoutePriority));
    let (valid, preferred) = if address.is_deprecated() { (FOREVER, 0) } else { address.lifetimes };
    if (valid, preferred) != (FOREVER, FOREVER) {
        let mut lifetimes = CacheInfo::default();
        (lifetimes.ifa_valid, lifetimes.ifa_preferred) = (valid, preferred);
        attributes.push(AddressAttribute::CacheInfo(lifetimes));
    }
    message
}

fn from_message(message: &AddressMessage) -> Option<Address> {
    let mut flags = u32::from(message.header.flags.bits());
    let (mut local, mut far, mut broadcast, mut label, mut metric) = (None, None, None, None, None);
    let (mut lifetimes, mut is_generated) = ((FOREVER, FOREVER), false);
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(address) => local = Some(*address),
            AddressAttribute::Address(address) => far = Some(*address),
            AddressAttribute::Broadcast(address) => broadcast = Some(*address),
            AddressAttribute::Label(name) => label = Some(name.clone()),
            AddressAttribute::Flags(all) => flags = all.bits(),
            AddressAttribute::RoutePriority(priority) => metric = Some(*priority),
            AddressAttribute::Protocol(by) => is_generated = *by == AddressProtocol::LinkLocal,
            AddressAttribute::CacheInfo(info) => lifetimes = (info.ifa_valid, info.ifa_preferred),
            _ => {}
        }
    }
    // IPv6 sends IFA_LOCAL only where there is a peer; IFA_ADDRESS is the peer where the two differ.
    let local: IpAddr = local.or(far)?;
    Some(Address {
        device: Device { ifindex: message.header.index, name: String::new() },
        local,
        peer: far.filter(|&far| far != local),
        prefix_len: message.header.prefix_len,
        scope: message.header.scope.into(),
        is_generated,
        flags,
        broadcast,
        label,
        metric,
        lifetimes,
    })
}

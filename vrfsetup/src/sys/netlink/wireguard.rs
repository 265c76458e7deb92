//! WireGuard interfaces, by generic netlink: what `wg show NAME` and `wg set NAME fwmark` ask.

use std::net::IpAddr;

use rtnetlink::packet_core::{NLM_F_ACK, NLM_F_DUMP};
use rtnetlink::sys::protocols::NETLINK_GENERIC;
use vrfnl::{Attributes, address};

use super::KernelError;
use super::raw::{attribute, request};
use super::socket::Socket;
use crate::model::flow::Flow;

const GENL_ID_CTRL: u16 = 16;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
/// The only one of either family so far.
const VERSION: u8 = 1;
const WG_CMD_GET_DEVICE: u8 = 0;
const WG_CMD_SET_DEVICE: u8 = 1;
const WGDEVICE_A_IFINDEX: u16 = 1;
const WGDEVICE_A_LISTEN_PORT: u16 = 6;
const WGDEVICE_A_FWMARK: u16 = 7;
const WGDEVICE_A_PEERS: u16 = 8;
const WGPEER_A_ENDPOINT: u16 = 4;
/// `struct genlmsghdr`.
const HEADER: usize = 4;

/// What concerns an interface's outer packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outside {
    /// The UDP port that it receives by; 0 as long as it has none.
    pub port: u16,
    /// The mark of what it sends; 0 for none.
    pub mark: u32,
}

/// Reads it.
///
/// # Errors
/// The kernel's own: EPERM without CAP_NET_ADMIN, EOPNOTSUPP where the interface is none of WireGuard.
pub fn outside(ifindex: u32) -> Result<Outside, KernelError> {
    let mut generic = Generic::open()?;
    let index = attribute(WGDEVICE_A_IFINDEX, &ifindex.to_ne_bytes());
    // Peers that do not fit come in further messages, without the rest.
    let found = generic.ask(generic.family, WG_CMD_GET_DEVICE, NLM_F_DUMP, &index, |attributes| {
        let port = half(attributes.find(WGDEVICE_A_LISTEN_PORT)?)?;
        Some(Outside { port, mark: attributes.find_u32(WGDEVICE_A_FWMARK)? })
    })?;
    found.into_iter().next().ok_or(KernelError::from_errno(libc::ENODEV))
}

/// What the packets around it are routed by, to each of its peers that has an address.
///
/// # Errors
/// As [`outside`].
pub fn flows(ifindex: u32) -> Result<Vec<Flow>, KernelError> {
    let mark = outside(ifindex)?.mark;
    let mut generic = Generic::open()?;
    let index = attribute(WGDEVICE_A_IFINDEX, &ifindex.to_ne_bytes());
    let addresses = generic.ask(generic.family, WG_CMD_GET_DEVICE, NLM_F_DUMP, &index, |attributes| {
        let peers = Attributes(attributes.find(WGDEVICE_A_PEERS)?);
        let of_peer = |(_, peer)| endpoint(Attributes(peer).find(WGPEER_A_ENDPOINT)?);
        Some(peers.filter_map(of_peer).collect::<Vec<_>>())
    })?;
    Ok(addresses.into_iter().flatten().map(|to| Flow { to, from: None, oif: 0, mark }).collect())
}

/// The address in `struct sockaddr_in` or `sockaddr_in6`.
fn endpoint(bytes: &[u8]) -> Option<IpAddr> {
    let family = i32::from(half(bytes)?);
    // Behind the port, and in the latter the flow label.
    address::of_family(family, bytes.get(if family == libc::AF_INET { 4.. } else { 8.. })?)
}

/// Sets the mark of what it sends.
///
/// # Errors
/// As [`outside`].
pub(super) fn set_mark(ifindex: u32, mark: u32) -> Result<(), KernelError> {
    let mut generic = Generic::open()?;
    let attributes = [(WGDEVICE_A_IFINDEX, ifindex), (WGDEVICE_A_FWMARK, mark)];
    let body: Vec<u8> = attributes.iter().flat_map(|(kind, value)| attribute(*kind, &value.to_ne_bytes())).collect();
    generic.ask(generic.family, WG_CMD_SET_DEVICE, NLM_F_ACK, &body, |_| None::<()>).map(drop)
}

struct Generic {
    socket: Socket,
    /// The number of WireGuard's family.
    family: u16,
}

impl Generic {
    fn open() -> Result<Self, KernelError> {
        let mut generic = Self { socket: Socket::open(NETLINK_GENERIC)?, family: 0 };
        let name = attribute(CTRL_ATTR_FAMILY_NAME, b"wireguard\0");
        let number = generic.ask(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, NLM_F_ACK, &name, |attributes| {
            half(attributes.find(CTRL_ATTR_FAMILY_ID)?)
        })?;
        generic.family = number.into_iter().next().ok_or(KernelError::from_errno(libc::EOPNOTSUPP))?;
        Ok(generic)
    }

    /// What is recognised in the answers.
    fn ask<T>(
        &mut self,
        family: u16,
        command: u8,
        flags: u16,
        attributes: &[u8],
        wanted: impl Fn(Attributes) -> Option<T>,
    ) -> Result<Vec<T>, KernelError> {
        let body = [&[command, VERSION, 0, 0], attributes].concat();
        let (mut found, mut refusal) = (Vec::new(), None);
        self.socket.exchange(&[request(family, flags, &body)], |_, reply| match reply.is_end() {
            true => refusal = reply.error(),
            false => found.extend(reply.body().get(HEADER..).and_then(|body| wanted(Attributes(body)))),
        })?;
        refusal.map_or(Ok(found), Err)
    }
}

fn half(value: &[u8]) -> Option<u16> {
    Some(u16::from_ne_bytes(value.get(..2)?.try_into().ok()?))
}

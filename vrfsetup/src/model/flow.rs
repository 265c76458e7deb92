//! What packets are routed by: a connection's, or those around a tunnel.

use std::net::IpAddr;

/// The packets of one direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// The other end.
    pub to: IpAddr,
    /// This machine's address, if it is known.
    pub from: Option<IpAddr>,
    /// The index of the interface that they have to leave by, which may be a VRF; 0 for any.
    pub oif: u32,
    /// Their mark; 0 for none.
    pub mark: u32,
}

/// What rules may ask of a socket's own packets besides: `ipproto`, `sport`, `dport`, `uidrange`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// IPPROTO_*.
    pub protocol: u8,
    /// This machine's port, and the other end's.
    pub ports: [u16; 2],
    /// The user whose socket it is.
    pub user: u32,
}

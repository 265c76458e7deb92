//! The device and its ports by index and name: what a daemon knows of a network, it knows by one of these.

use nix::errno::Errno;
use vrfnl::link;

use crate::vrf::device::Device;
use crate::vrf::netlink::Netlink;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its index in this network namespace.
    pub ifindex: u32,
    /// Its name.
    pub name: String,
}

/// The device itself, and then its ports.
pub fn with_device(device: &Device) -> nix::Result<Vec<Port>> {
    let name = device.name.to_string_lossy().into();
    with_ports(Port { ifindex: device.ifindex, name })
}

/// The VRF that this device is, or is a port of, and its ports. None for a device that is in no VRF.
pub fn around(device: &Device) -> nix::Result<Vec<Port>> {
    let mut netlink = Netlink::open_lenient()?;
    let request = link::get(device.name_bytes()).ok_or(Errno::ENODEV)?;
    let mut master = 0;
    netlink.with_room(|netlink| {
        netlink.ask(&request, false, |body| master = link::parse(body).map_or(0, |found| found.master))
    })?;
    let vrf = |body: &[u8]| {
        let found = link::parse(body)?;
        let is_it = found.vrf_table.is_some() && [device.ifindex, master].contains(&found.ifindex);
        is_it.then(|| port(found.ifindex, body))
    };
    let vrf = netlink.links(&link::vrfs(), vrf)?.into_iter().next();
    vrf.map_or(Ok(Vec::new()), with_ports)
}

fn with_ports(device: Port) -> nix::Result<Vec<Port>> {
    let master = device.ifindex;
    let port = |body: &[u8]| {
        let found = link::parse(body).filter(|found| found.master == master)?;
        Some(port(found.ifindex, body))
    };
    let ports = Netlink::open_lenient()?.links(&link::ports(master), port)?;
    Ok(std::iter::once(device).chain(ports).collect())
}

fn port(ifindex: u32, body: &[u8]) -> Port {
    Port { ifindex, name: String::from_utf8_lossy(link::name(body).unwrap_or_default()).into() }
}

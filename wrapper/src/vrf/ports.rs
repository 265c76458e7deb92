//! The device and its ports by index and name: what a daemon knows of a network, it knows by one of these.

use crate::vrf::device::Device;
use crate::vrf::netlink::Netlink;
use vrfnl::link;

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
    let port = |body: &[u8]| {
        let found = link::parse(body).filter(|found| found.master == device.ifindex)?;
        let name = String::from_utf8_lossy(link::name(body).unwrap_or_default()).into();
        Some(Port { ifindex: found.ifindex, name })
    };
    let mut all = vec![Port { ifindex: device.ifindex, name: device.name.to_string_lossy().into() }];
    all.extend(Netlink::open_lenient()?.links(&link::ports(device.ifindex), port)?);
    Ok(all)
}

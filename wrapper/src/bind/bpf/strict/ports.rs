//! The devices by which packets of a strict cgroup may leave: reads them, and writes them into the lists of the VRF.

use nix::errno::Errno;
use vrfbpf::List;
use vrfnl::link;

use crate::error::unavailable::Unavailable;
use crate::vrf::device::Device;
use crate::vrf::netlink::Netlink;
use crate::vrf::netns;

/// Ports may change while they are read; more often than this it is something else.
const TRIES: usize = 8;

/// Makes a list with what is there now.
pub fn make(device: &Device) -> Result<List, Unavailable> {
    let list = List::make(device.ifindex, netns_inode()?).map_err(Unavailable::kernel("make a BPF map"))?;
    up_to_date(device, |devices| list.write(devices))?;
    Ok(list)
}

/// Brings every list of this VRF up to date.
pub fn refresh(device: &Device) -> Result<(), Unavailable> {
    let lists = List::all_of(device.ifindex, netns_inode()?).map_err(|errno| match errno {
        Errno::EPERM => Unavailable::new("refreshing the ports of a strict cgroup needs CAP_SYS_ADMIN"),
        errno => Unavailable::kernel("read the BPF maps")(errno),
    })?;
    if lists.is_empty() {
        return Ok(());
    }
    up_to_date(device, |devices| lists.iter().try_for_each(|list| list.write(devices)))
}

fn netns_inode() -> Result<u64, Unavailable> {
    netns::inode().map_err(Unavailable::kernel("read the network namespace"))
}

/// Writes the devices of the VRF until they are still the same after it.
fn up_to_date(device: &Device, write: impl Fn(&[u32]) -> nix::Result<()>) -> Result<(), Unavailable> {
    let mut devices = devices_of(device)?;
    for _ in 0..TRIES {
        write(&devices).map_err(Unavailable::kernel("write the list of ports"))?;
        let now = devices_of(device)?;
        if now == devices {
            return Ok(());
        }
        devices = now;
    }
    Err(Unavailable::new("the VRF's ports keep changing"))
}

/// The VRF itself and its ports.
fn devices_of(device: &Device) -> Result<Vec<u32>, Unavailable> {
    let mut netlink = Netlink::open().map_err(|error| Unavailable::new(error.to_string()))?;
    let mut devices = vec![device.ifindex];
    let each = |body: &[u8]| {
        devices.extend(link::parse(body).filter(|port| port.master == device.ifindex).map(|port| port.ifindex));
    };
    netlink.ask(&link::ports(device.ifindex), true, each).map_err(Unavailable::kernel("read the VRF's ports"))?;
    devices.sort_unstable();
    Ok(devices)
}

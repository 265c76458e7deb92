//! The devices by which packets of a strict cgroup may leave: a BPF map for each, which finds its way by itself.
//!
//! The map's name and its values say whose it is. So whoever changes the ports of a VRF, or finds them changed, can
//! bring every map of that VRF up to date without knowing the cgroups (CAP_SYS_ADMIN).

use nix::errno::Errno;
use vrfnl::link;

use crate::bpf_map::{Map, Value};
use crate::device::Device;
use crate::netlink::Netlink;
use crate::netns;
use crate::refusal::Refusal;

const NAME: &[u8] = b"vrfrun_ports";
/// Ports may change while they are read; more often than this it is something else.
const TRIES: usize = 8;

/// What stands beside each device: the VRF whose list this is, and its network namespace.
fn owner(device: &Device) -> Result<Value, Refusal> {
    let netns = netns::inode().map_err(Refusal::kernel("read the network namespace"))?;
    Ok([device.ifindex, netns as u32])
}

/// Makes a map with what is there now.
pub fn make(device: &Device) -> Result<Map, Refusal> {
    let owner = owner(device)?;
    let map = Map::create(NAME).map_err(Refusal::kernel("make a BPF map"))?;
    up_to_date(device, |devices| replace(&map, devices, owner))?;
    Ok(map)
}

/// Brings every map of this VRF up to date.
pub fn refresh(device: &Device) -> Result<(), Refusal> {
    let owner = owner(device)?;
    let maps = lists_of(owner).map_err(|errno| match errno {
        Errno::EPERM => Refusal::new("refreshing the ports of a strict cgroup needs CAP_SYS_ADMIN"),
        errno => Refusal::kernel("read the BPF maps")(errno),
    })?;
    if maps.is_empty() {
        return Ok(());
    }
    up_to_date(device, |devices| maps.iter().try_for_each(|map| replace(map, devices, owner)))
}

/// Writes the devices of the VRF until they are still the same after it.
fn up_to_date(device: &Device, write: impl Fn(&[u32]) -> nix::Result<()>) -> Result<(), Refusal> {
    let mut devices = devices_of(device)?;
    for _ in 0..TRIES {
        write(&devices).map_err(Refusal::kernel("write the list of ports"))?;
        let now = devices_of(device)?;
        if now == devices {
            return Ok(());
        }
        devices = now;
    }
    Err(Refusal::new("the VRF's ports keep changing"))
}

/// The VRF itself and its ports.
fn devices_of(device: &Device) -> Result<Vec<u32>, Refusal> {
    let mut netlink = Netlink::open().map_err(|error| Refusal::new(error.to_string()))?;
    let mut devices = vec![device.ifindex];
    let each = |body: &[u8]| {
        devices.extend(link::parse(body).filter(|port| port.master == device.ifindex).map(|port| port.ifindex));
    };
    netlink.ask(&link::ports(device.ifindex), true, each).map_err(Refusal::kernel("read the VRF's ports"))?;
    devices.sort_unstable();
    Ok(devices)
}

/// Adds before it takes away: no port that stays is missing meanwhile.
fn replace(map: &Map, devices: &[u32], owner: Value) -> nix::Result<()> {
    devices.iter().try_for_each(|&device| map.set(device, owner))?;
    map.keys()?.into_iter().filter(|key| !devices.contains(key)).try_for_each(|gone| map.remove(gone))
}

/// The VRF is in each of its lists, so none is empty.
fn lists_of(owner: Value) -> nix::Result<Vec<Map>> {
    let is_its = |map: &Map| map.get(owner[0]) == Ok(owner);
    Ok(Map::all(NAME)?.into_iter().filter(is_its).collect())
}

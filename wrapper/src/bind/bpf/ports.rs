//! The devices by which packets of a cgroup may leave: reads them, and writes them into the lists of the VRF.

use nix::errno::Errno;
use vrfbpf::List;
use vrfnl::link;

use crate::error::unavailable::Unavailable;
use crate::sys::feature::Feature;
use crate::vrf::device::Device;
use crate::vrf::netlink::Netlink;

/// What a caller lacks to whom the kernel says EPERM.
pub const NEEDS: &str = "loading a BPF program needs CAP_BPF and CAP_NET_ADMIN";
/// Ports may change while they are read; more often than this it is something else.
const TRIES: usize = 8;

/// The index of `lo` in every network namespace.
pub const LOOPBACK: u32 = 1;

/// Makes a list with what is there now.
pub fn make(device: &Device, netns: u64, is_strict: bool) -> Result<List, Unavailable> {
    let mut netlink = open()?;
    let devices = devices_of(device, &mut netlink, is_strict)?;
    let list = List::make(device.ifindex, netns, devices.len()).map_err(|errno| match errno {
        Errno::EPERM => Unavailable::new(NEEDS),
        Errno::ENOSYS => Unavailable::new(Feature::CgroupPrograms.missing()),
        errno => Unavailable::kernel("make a BPF map")(errno),
    })?;
    list.write(&devices).map_err(Unavailable::kernel("write the list of ports"))?;
    // From now on who changes ports finds the list, too.
    up_to_date(device, netlink, &[&list], is_strict)?;
    Ok(list)
}

/// Brings the list of this id up to date. Where it was not, others of this VRF may not be either.
pub fn refresh(device: &Device, netns: u64, id: u32, is_strict: bool) -> Result<(), Unavailable> {
    let list = List::by_id(id, device.ifindex, netns).map_err(Unavailable::kernel("open the list of ports"))?;
    let has_changed = up_to_date(device, open()?, &[&list], is_strict)?;
    std::mem::forget(list); // left open for exec to close: saves a close(2)
    if has_changed { refresh_others(device, netns, id) } else { Ok(()) }
}

/// Brings every list of this VRF up to date that can be found: a cgroup may have programs of several runs, and all of
/// them judge its packets. Without CAP_SYS_ADMIN none is found.
pub fn refresh_all(device: &Device, netns: u64) -> Result<(), Unavailable> {
    refresh_each(device, netns, |_| true)
}

/// The same but for one that is up to date.
pub fn refresh_others(device: &Device, netns: u64, id: u32) -> Result<(), Unavailable> {
    refresh_each(device, netns, |list| list.id() != Ok(id))
}

fn refresh_each(device: &Device, netns: u64, is_meant: impl Fn(&List) -> bool) -> Result<(), Unavailable> {
    if device.table.is_none() {
        return Ok(()); // strict and other lists differ, and no ports come and go
    }
    let lists = match List::all_of(device.ifindex, netns) {
        Ok(lists) => lists,
        Err(Errno::EPERM) => return Ok(()),
        Err(errno) => return Err(Unavailable::kernel("read the BPF maps")(errno)),
    };
    let meant: Vec<&List> = lists.iter().filter(|list| is_meant(list)).collect();
    if meant.is_empty() { Ok(()) } else { up_to_date(device, open()?, &meant, false).map(drop) }
}

/// Writes the devices of the VRF until nothing is left to write; whether anything was.
fn up_to_date(device: &Device, mut netlink: Netlink, lists: &[&List], is_strict: bool) -> Result<bool, Unavailable> {
    for round in 0..TRIES {
        let devices = devices_of(device, &mut netlink, is_strict)?;
        let mut has_changed = false;
        for list in lists {
            has_changed |= list.write(&devices).map_err(Unavailable::kernel("write the list of ports"))?;
        }
        if !has_changed {
            std::mem::forget(netlink); // left open for exec to close: saves a close(2)
            return Ok(round > 0);
        }
    }
    Err(Unavailable::new("the VRF's ports keep changing"))
}

fn open() -> Result<Netlink, Unavailable> {
    Netlink::open_lenient().map_err(Unavailable::kernel("open a routing socket"))
}

/// The device itself and its ports. What an interface that is no VRF sends to its own addresses goes by `lo`; a VRF sends it
/// by its own device.
fn devices_of(device: &Device, netlink: &mut Netlink, is_strict: bool) -> Result<Vec<u32>, Unavailable> {
    let loopback = (device.table.is_none() && !is_strict && device.ifindex != LOOPBACK).then_some(LOOPBACK);
    let port = |body: &[u8]| link::parse(body).filter(|port| port.master == device.ifindex).map(|port| port.ifindex);
    let ports =
        netlink.links(&link::ports(device.ifindex), port).map_err(Unavailable::kernel("read the VRF's ports"))?;
    Ok(std::iter::once(device.ifindex).chain(loopback).chain(ports).collect())
}

//! The devices by which packets of a cgroup may leave: a BPF map for each cgroup, which finds its way by itself.
//!
//! The map's name and its values say whose it is. So whoever changes the ports of a VRF, or finds them changed, can
//! bring every list of that VRF up to date without knowing the cgroups (CAP_SYS_ADMIN).

use std::os::fd::{AsRawFd, RawFd};

use nix::errno::Errno;

use crate::map::Map;

/// What stands beside each device.
type Value = [u32; 2];

const NAME: &[u8] = b"vrfrun_ports";

/// Beside this key, which no device has, stands the port that multicast joins without an interface get.
pub(crate) const JOIN_PORT: u32 = 0;

/// The index of `lo` in every network namespace.
const LOOPBACK: u32 = 1;

/// Room for the ports of most VRFs, in a page.
const ROOM: u32 = 128;

/// The list of one cgroup.
#[derive(Debug)]
pub struct List {
    map: Map<2>,
    owner: Value,
}

impl List {
    /// Makes an empty one for the VRF of this index in the network namespace of this inode, with room for twice as many
    /// devices as there are now.
    ///
    /// # Errors
    /// As bpf(2).
    pub fn make(vrf: u32, netns: u64, devices: usize) -> nix::Result<Self> {
        let room = ROOM.max(2 * devices as u32);
        Ok(Self { map: Map::create(NAME, room)?, owner: owner(vrf, netns) })
    }

    /// The list of this id, which the caller knows to be one of this VRF's (CAP_SYS_ADMIN).
    ///
    /// # Errors
    /// ENOENT where the map is gone; EPERM without CAP_SYS_ADMIN; else as bpf(2).
    pub fn by_id(id: u32, vrf: u32, netns: u64) -> nix::Result<Self> {
        Ok(Self { map: Map::by_id(id)?, owner: owner(vrf, netns) })
    }

    /// Whose the list of this id is: the index of the VRF and the last 32 bits of the inode of its network namespace
    /// (CAP_SYS_ADMIN).
    ///
    /// # Errors
    /// ENOENT where the map is gone, or empty; EPERM without CAP_SYS_ADMIN; else as bpf(2).
    pub fn owner_of(id: u32) -> nix::Result<(u32, u32)> {
        let map = Map::by_id(id)?;
        let device = map.keys()?.into_iter().find(|key| *key != JOIN_PORT).ok_or(Errno::ENOENT)?;
        map.get(device).map(|[vrf, netns]| (vrf, netns))
    }

    /// Its id, by which another run finds it.
    ///
    /// # Errors
    /// As bpf(2).
    pub fn id(&self) -> nix::Result<u32> {
        self.map.id()
    }

    /// Whether any cgroup of the machine has one.
    ///
    /// # Errors
    /// EPERM without CAP_SYS_ADMIN, EINVAL before 4.13, ENOSYS without bpf(2); else as bpf(2).
    pub fn is_any() -> nix::Result<bool> {
        Map::<2>::all(NAME).map(|lists| !lists.is_empty())
    }

    /// All lists of this VRF that some cgroup uses.
    ///
    /// # Errors
    /// EPERM without CAP_SYS_ADMIN; else as bpf(2).
    pub fn all_of(vrf: u32, netns: u64) -> nix::Result<Vec<Self>> {
        let owner = owner(vrf, netns);
        // The VRF is in each of its lists, so none is empty.
        let is_its = |map: &Map<2>| map.get(vrf) == Ok(owner);
        Ok(Map::all(NAME)?.into_iter().filter(is_its).map(|map| Self { map, owner }).collect())
    }

    /// Writes the VRF and its ports; whether there was anything to write. Adds before it removes: no port that stays is
    /// missing meanwhile.
    ///
    /// # Errors
    /// As bpf(2).
    pub fn write(&self, devices: &[u32]) -> nix::Result<bool> {
        let keys = self.map.keys()?;
        let missing: Vec<u32> = devices.iter().copied().filter(|device| !keys.contains(device)).collect();
        let gone: Vec<u32> = keys.into_iter().filter(|key| *key != JOIN_PORT && !devices.contains(key)).collect();
        if missing.is_empty() && gone.is_empty() {
            return Ok(false);
        }
        missing.into_iter().try_for_each(|device| self.map.set(device, self.owner))?;
        self.map.set(JOIN_PORT, [join_port(devices, self.owner[0]), self.owner[1]])?;
        gone.into_iter().try_for_each(|device| self.map.remove(device))?;
        Ok(true)
    }
}

/// The first port, which is never `lo`; a device without any joins by itself.
fn join_port(devices: &[u32], vrf: u32) -> u32 {
    devices.iter().copied().filter(|device| ![vrf, LOOPBACK].contains(device)).min().unwrap_or(vrf)
}

impl AsRawFd for List {
    fn as_raw_fd(&self) -> RawFd {
        self.map.as_raw_fd()
    }
}

/// What stands beside each device: the VRF whose list this is, and its network namespace.
fn owner(vrf: u32, netns: u64) -> Value {
    [vrf, netns as u32]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_join_goes_by_the_first_port_or_by_the_vrf_itself() {
        assert_eq!(join_port(&[7, 3, 9], 7), 3);
        assert_eq!((join_port(&[7], 7), join_port(&[7, 1], 7)), (7, 7));
    }
}

//! The devices by which packets of a strict cgroup may leave: a BPF map for each cgroup, which finds its way by itself.
//!
//! The map's name and its values say whose it is. So whoever changes the ports of a VRF, or finds them changed, can
//! bring every list of that VRF up to date without knowing the cgroups (CAP_SYS_ADMIN).

use std::os::fd::{AsRawFd, RawFd};

use crate::map::{Map, Value};

const NAME: &[u8] = b"vrfrun_ports";

/// The list of one strict cgroup.
#[derive(Debug)]
pub struct List {
    map: Map,
    owner: Value,
}

impl List {
    /// Makes an empty one for the VRF of this index in the network namespace of this inode.
    ///
    /// # Errors
    /// As bpf(2).
    pub fn make(vrf: u32, netns: u64) -> nix::Result<Self> {
        Ok(Self { map: Map::create(NAME)?, owner: owner(vrf, netns) })
    }

    /// Whether any cgroup of the machine has one.
    ///
    /// # Errors
    /// EPERM without CAP_SYS_ADMIN, EINVAL before 4.13, ENOSYS without bpf(2); else as bpf(2).
    pub fn is_any() -> nix::Result<bool> {
        Map::all(NAME).map(|lists| !lists.is_empty())
    }

    /// All lists of this VRF that some cgroup uses.
    ///
    /// # Errors
    /// EPERM without CAP_SYS_ADMIN; else as bpf(2).
    pub fn all_of(vrf: u32, netns: u64) -> nix::Result<Vec<Self>> {
        let owner = owner(vrf, netns);
        // The VRF is in each of its lists, so none is empty.
        let is_its = |map: &Map| map.get(vrf) == Ok(owner);
        Ok(Map::all(NAME)?.into_iter().filter(is_its).map(|map| Self { map, owner }).collect())
    }

    /// Writes the VRF and its ports. Adds before it takes away: no port that stays is missing meanwhile.
    ///
    /// # Errors
    /// As bpf(2).
    pub fn write(&self, devices: &[u32]) -> nix::Result<()> {
        devices.iter().try_for_each(|&device| self.map.set(device, self.owner))?;
        self.map.keys()?.into_iter().filter(|key| !devices.contains(key)).try_for_each(|gone| self.map.remove(gone))
    }
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

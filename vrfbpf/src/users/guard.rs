//! What keeps packets of users' sockets in their VRFs: the tags on the sockets, and the ports of each VRF.

use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd};

use crate::map::Map;
use crate::programs::Guard;
use crate::tags::Tags;

const DEVICES: &[u8] = b"vrfsetup_ports";

/// Room for as many ports, of all VRFs.
const ROOM: u32 = 16384;

/// Both maps.
#[derive(Debug)]
pub struct Guarding {
    tags: Tags,
    devices: Map<1>,
}

impl Guarding {
    /// Makes them, empty.
    ///
    /// # Errors
    /// EINVAL where the kernel has no such maps; else as bpf(2).
    pub fn make() -> nix::Result<Self> {
        Ok(Self { tags: Tags::create()?, devices: Map::create(DEVICES, ROOM)? })
    }

    /// Those of these ids (CAP_SYS_ADMIN).
    ///
    /// # Errors
    /// As bpf(2).
    pub fn by_ids(tags: u32, devices: u32) -> nix::Result<Self> {
        Ok(Self { tags: Tags::by_id(tags)?, devices: Map::by_id(devices)? })
    }

    /// For programs.
    pub fn guard(&self) -> Guard {
        Guard { tags: self.tags.as_raw_fd(), devices: self.devices.as_raw_fd() }
    }

    /// Changes the tag of a socket that has one.
    ///
    /// # Errors
    /// As bpf(2).
    pub fn retag(&self, socket: impl AsFd, vrf: u32) -> nix::Result<()> {
        self.tags.change(socket, vrf)
    }

    /// Takes the tag of a socket away, if it has one.
    ///
    /// # Errors
    /// As bpf(2).
    pub fn untag(&self, socket: impl AsFd) -> nix::Result<()> {
        self.tags.remove(socket)
    }

    /// The id of the map of devices, by which the programs at egress and ingress are known.
    ///
    /// # Errors
    /// As bpf(2).
    pub fn id(&self) -> nix::Result<u32> {
        self.devices.id()
    }

    /// Each port with the index of its VRF, by the ports.
    ///
    /// # Errors
    /// As bpf(2).
    pub fn devices(&self) -> nix::Result<Vec<(u32, u32)>> {
        let mut keys = self.devices.keys()?;
        keys.sort_unstable();
        keys.into_iter().map(|key| self.devices.get(key).map(|[vrf]| (key, vrf))).collect()
    }

    /// Writes them; whether there was anything to write. Adds before it removes.
    ///
    /// # Errors
    /// E2BIG for too many; else as bpf(2).
    pub fn write(&self, devices: &[(u32, u32)]) -> nix::Result<bool> {
        let there: HashMap<u32, u32> = self.devices()?.into_iter().collect();
        let wanted: HashMap<u32, u32> = devices.iter().copied().collect();
        let new: Vec<_> = wanted.iter().filter(|(port, vrf)| there.get(port) != Some(vrf)).collect();
        let gone: Vec<&u32> = there.keys().filter(|port| !wanted.contains_key(port)).collect();
        new.iter().try_for_each(|(port, vrf)| self.devices.set(**port, [**vrf]))?;
        gone.iter().try_for_each(|port| self.devices.remove(**port))?;
        Ok(!new.is_empty() || !gone.is_empty())
    }
}

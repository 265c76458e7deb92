//! `vrfsetup show`: the VRFs with all that belongs to each.

mod fill;
mod shape;
mod text;

use std::collections::{BTreeSet, HashMap};

use crate::error::Error;
use crate::inspect::processes::{self, Process};
use crate::model::link::Link;
use crate::plan::emulate::{self, Emulated};
use crate::plan::inventory::Inventory;
use crate::plan::memory::Memory;
use crate::plan::outsides;
use crate::sys::netlink::Kernel;
use crate::sys::sock_diag::{self, Connection};
use crate::sys::sysctl;

pub use shape::Vrf;

/// The settings that decide what a VRF's sockets receive, as sysctl(8) calls them.
pub const SYSCTLS: [&str; 6] = [
    "net.vrf.strict_mode",
    "net.ipv4.tcp_l3mdev_accept",
    "net.ipv4.udp_l3mdev_accept",
    "net.ipv4.raw_l3mdev_accept",
    "net.ipv4.ip_forward",
    "net.ipv6.conf.all.forwarding",
];

/// All VRFs, or the one of this name; `with_sockets` also says who has which socket.
///
/// # Errors
/// There is no such VRF, or the kernel will not say.
pub fn show(kernel: &Kernel, name: Option<&str>, with_sockets: bool) -> Result<Vec<Vrf>, Error> {
    let inventory = Inventory::read(kernel)?;
    let system = &inventory.system;
    let links: Vec<&Link> = match name {
        None => system.vrfs().collect(),
        Some(name) if emulate::named(&inventory, name).is_some() => Vec::new(),
        Some(name) => vec![system.existing_vrf(name)?],
    };
    let emulated =
        emulate::all(&inventory).into_iter().filter(|emulated| name.is_none_or(|name| emulated.name == name));
    let emulated: Vec<Emulated> = emulated.collect();
    if links.is_empty() && emulated.is_empty() {
        return Ok(Vec::new());
    }
    let snapshot = Snapshot {
        inventory: &inventory,
        tunnels: outsides::by_vrf(system, &Memory::read()),
        sysctls: SYSCTLS.iter().filter_map(|name| Some((*name, sysctl::read_named(name)?))).collect(),
        processes: processes::in_vrfs(),
        sockets: if with_sockets { Some(Sockets::read()?) } else { None },
    };
    let vrfs = links.into_iter().map(|link| Vrf::new(&snapshot, link));
    Ok(vrfs.chain(emulated.iter().map(|emulated| Vrf::emulated(&snapshot, emulated))).collect())
}

/// What is there besides the VRFs, read once for all of them.
pub(crate) struct Snapshot<'a> {
    pub(crate) inventory: &'a Inventory,
    /// Those whose outside is in a VRF, by its name.
    pub(crate) tunnels: HashMap<String, BTreeSet<String>>,
    pub(crate) sysctls: Vec<(&'static str, String)>,
    pub(crate) processes: Vec<Process>,
    pub(crate) sockets: Option<Sockets>,
}

/// All sockets, and by whom they are held.
pub(crate) struct Sockets {
    pub(crate) all: Vec<Connection>,
    pub(crate) owners: HashMap<u64, Vec<u32>>,
}

impl Sockets {
    pub(crate) fn read() -> Result<Self, Error> {
        let all = sock_diag::all().map_err(Error::unreadable("the sockets"))?;
        Ok(Self { all, owners: processes::socket_owners() })
    }
}

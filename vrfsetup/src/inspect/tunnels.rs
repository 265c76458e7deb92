//! `vrfsetup tunnel`: which tunnels have their outside in which VRF, and whether that is so.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::error::Error;
use crate::model::nft::TUNNELS;
use crate::model::tunnel::Tunnel;
use crate::plan::inventory::Inventory;
use crate::plan::memory::{Memory, is_memory};
use crate::plan::outsides;
use crate::plan::tunnels::{self, ByName, Now};
use crate::plan::zones::Members;
use crate::sys::nft;

/// A tunnel and its VRF.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    pub tunnel: String,
    pub vrf: String,
    #[serde(flatten)]
    pub by: By,
    /// Whether it is not as it should be: something was changed since, or the interface or the VRF is gone.
    pub differs: bool,
}

/// How its outer packets are in the VRF.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum By {
    /// WireGuard's.
    Mark {
        #[serde(serialize_with = "hexadecimal")]
        fwmark: u32,
        /// The UDP port; None while there is no such interface.
        port: Option<u16>,
    },
    /// The tunnel names the VRF, or a port of it.
    Device {
        /// The kind of tunnel; None while there is no such interface.
        kind: Option<String>,
        /// What it names; None for nothing that is there.
        dev: Option<String>,
    },
}

/// All of them.
///
/// # Errors
/// The kernel will not say, or nft(8) is not there.
pub fn all(inventory: &Inventory) -> Result<Vec<Entry>, Error> {
    let mut entries = marked(inventory)?;
    entries.extend(named(inventory));
    entries.sort_by(|one, other| one.tunnel.cmp(&other.tunnel));
    Ok(entries)
}

fn marked(inventory: &Inventory) -> Result<Vec<Entry>, Error> {
    let memory = Memory::read();
    let wanted: ByName = memory.tunnels.clone().into_iter().filter(|(_, tunnel)| tunnel.named.is_none()).collect();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let (system, rules) = (&inventory.system, &inventory.rules);
    let members = &Members::of(system);
    let outsides = tunnels::outsides(system, wanted.keys())?;
    let listing = nft::list(TUNNELS).map_err(|refusal| Error::Nft { table: TUNNELS, refusal })?;
    let now = Now { system, members, rules, outsides: &outsides, listing: Some(listing) };
    let steps = tunnels::steps(&now, Memory { tunnels: wanted.clone(), ..memory }, &wanted)?;
    // What is written down also tells of others.
    let is_as_planned = steps.iter().all(is_memory);
    let entry = |(name, tunnel): (&String, &Tunnel)| {
        let port = outsides.get(name).map(|(_, outside)| outside.port);
        let is_whole = port.is_some() && members.tables.contains_key(&tunnel.vrf) && is_as_planned;
        let by = By::Mark { fwmark: tunnel.mark, port };
        Entry { tunnel: name.clone(), vrf: tunnel.vrf.clone(), by, differs: !is_whole }
    };
    Ok(wanted.iter().map(entry).collect())
}

/// Those that name what their outside is sent by: as the kernel tells, and as they are to be.
pub fn named(inventory: &Inventory) -> Vec<Entry> {
    let system = &inventory.system;
    let known = Memory::read().tunnels;
    let known: ByName = known.into_iter().filter(|(_, tunnel)| tunnel.named.is_some()).collect();
    let there = outsides::all(system).filter(|(link, ..)| !known.contains_key(&link.name));
    let there = there.map(|(link, below, vrf)| {
        let by = By::Device { kind: link.kind.clone(), dev: Some(below.name.clone()) };
        Entry { tunnel: link.name.clone(), vrf: vrf.name.clone(), by, differs: false }
    });
    let wanted = known.iter().map(|(name, tunnel)| {
        let link = system.link(name).filter(|link| link.name == *name);
        let below = link.and_then(|link| system.link_by_index(link.lower?));
        let is_whole = below.is_some_and(|below| below.is_vrf() && below.name == tunnel.vrf);
        let dev = below.map(|below| below.name.clone());
        let by = By::Device { kind: link.and_then(|link| link.kind.clone()), dev };
        Entry { tunnel: name.clone(), vrf: tunnel.vrf.clone(), by, differs: !is_whole }
    });
    there.chain(wanted).collect()
}

fn hexadecimal<S: Serializer>(mark: &u32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format!("{mark:#x}"))
}

/// One line.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: outside in {}", self.tunnel, self.vrf)?;
        match &self.by {
            By::Mark { fwmark, port: Some(port) } => write!(f, ", fwmark {fwmark:#x}, port {port}")?,
            By::Mark { fwmark, port: None } => write!(f, ", fwmark {fwmark:#x}, no such interface")?,
            By::Device { kind: Some(kind), dev: Some(dev) } => write!(f, ", {kind}, dev {dev}")?,
            By::Device { kind: Some(kind), dev: None } => write!(f, ", {kind}, no device")?,
            By::Device { kind: None, .. } => f.write_str(", no such interface")?,
        }
        writeln!(f, "{}", if self.differs { ", differs" } else { "" })
    }
}

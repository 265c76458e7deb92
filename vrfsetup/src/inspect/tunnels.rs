//! `vrfsetup tunnel`: which tunnels have their outside in which VRF, and whether that is so.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::error::Error;
use crate::model::nft::TUNNELS;
use crate::plan::inventory::Inventory;
use crate::plan::memory::Memory;
use crate::plan::tunnels::{self, Now};
use crate::plan::zones::Members;
use crate::sys::nft;

/// A tunnel and its VRF.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    pub tunnel: String,
    pub vrf: String,
    #[serde(serialize_with = "hexadecimal")]
    pub fwmark: u32,
    /// The UDP port; None while there is no such interface.
    pub port: Option<u16>,
    /// Whether it is not as it should be: something was changed since, or the interface or the VRF is gone.
    pub differs: bool,
}

/// All of them.
///
/// # Errors
/// The kernel will not say, or nft(8) is not there.
pub fn all(inventory: &Inventory) -> Result<Vec<Entry>, Error> {
    let memory = Memory::read();
    if memory.tunnels.is_empty() {
        return Ok(Vec::new());
    }
    let members = Members::of(&inventory.system);
    let outsides = tunnels::outsides(&inventory.system, memory.tunnels.keys())?;
    let listing = nft::list(TUNNELS).map_err(|refusal| Error::Nft { table: TUNNELS, refusal })?;
    let now = Now { members: &members, rules: &inventory.rules, outsides: &outsides, listing: Some(listing) };
    let wanted = memory.tunnels.clone();
    let steps = tunnels::steps(&now, memory, &wanted)?;
    let entry = |(name, tunnel): (&String, &crate::model::tunnel::Tunnel)| {
        let port = outsides.get(name).map(|(_, outside)| outside.port);
        let is_whole = port.is_some() && members.tables.contains_key(&tunnel.vrf) && steps.is_empty();
        let (tunnel, vrf, fwmark) = (name.clone(), tunnel.vrf.clone(), tunnel.mark);
        Entry { tunnel, vrf, fwmark, port, differs: !is_whole }
    };
    Ok(wanted.iter().map(entry).collect())
}

fn hexadecimal<S: Serializer>(mark: &u32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format!("{mark:#x}"))
}

/// One line.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: outside in {}, fwmark {:#x}", self.tunnel, self.vrf, self.fwmark)?;
        match self.port {
            Some(port) => write!(f, ", port {port}")?,
            None => f.write_str(", no such interface")?,
        }
        writeln!(f, "{}", if self.differs { ", differs" } else { "" })
    }
}

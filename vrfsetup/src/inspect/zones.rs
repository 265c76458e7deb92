//! `vrfsetup zones show`: which zone the flows of each VRF are in, as nftables has it.

use std::fmt;

use serde::Serialize;

use crate::error::Error;
use crate::model::nft::ZONES;
use crate::plan::memory::Memory;
use crate::plan::system::System;
use crate::plan::zones::{Listed, Members};
use crate::sys::netlink::Kernel;
use crate::sys::nft;

/// A VRF and its zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Zone {
    pub vrf: String,
    pub table: u32,
    /// None where its device is in no zone.
    pub zone: Option<u16>,
    /// The ports in that zone.
    pub ports: Vec<String>,
    /// The ports that are not.
    pub missing: Vec<String>,
}

/// The VRFs with their zones; None where zones are off.
///
/// # Errors
/// The kernel will not say, or nft(8) is not there.
pub fn show(kernel: &Kernel) -> Result<Option<Vec<Zone>>, Error> {
    let listing = nft::list(ZONES).map_err(|refusal| Error::Nft { table: ZONES, refusal })?;
    if listing.is_none() && Memory::read().zones.is_none() {
        return Ok(None);
    }
    let members = Members::of(&System::read(kernel)?);
    Ok(Some(zones(&members, listing.as_deref().and_then(Listed::read).as_ref())))
}

/// What the table says of each VRF.
pub fn zones(members: &Members, listed: Option<&Listed>) -> Vec<Zone> {
    let zone_of = |name: &str| listed.and_then(|listed| listed.zone_of(name));
    let zone = |(vrf, &table): (&String, &u32)| {
        let zone = zone_of(vrf);
        let (ports, missing) =
            members.ports(vrf).map(str::to_owned).partition(|port| zone.is_some() && zone_of(port) == zone);
        Zone { vrf: vrf.clone(), table, zone, ports, missing }
    };
    members.tables.iter().map(zone).collect()
}

/// One line.
impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.vrf)?;
        match self.zone {
            Some(zone) => write!(f, "zone {zone}")?,
            None => f.write_str("no zone")?,
        }
        if !self.ports.is_empty() {
            write!(f, ", ports {}", self.ports.join(" "))?;
        }
        if !self.missing.is_empty() {
            write!(f, ", not in it: {}", self.missing.join(" "))?;
        }
        writeln!(f)
    }
}

//! Conntrack zones that are on and not as they should be: another program has flushed nftables, or moved a port.

use super::Finding;
use crate::inspect::zones::{self, Zone};
use crate::model::nft::ZONES;
use crate::plan::memory::Memory;
use crate::plan::system::System;
use crate::plan::zones::{self as plan, Listed, Members};
use crate::sys::netlink::KernelError;
use crate::sys::{feature, nft};

/// Nothing where they are off.
pub fn all(system: &System) -> Vec<Finding> {
    let memory = Memory::read();
    if memory.zones.is_none() {
        return Vec::new();
    }
    let members = Members::of(system);
    let is_whole = |text: &str| plan::is_whole(&members, &memory, text, feature::tracks_local_by_port());
    judge(&members, nft::list(ZONES), is_whole)
}

const FIX: &str = "vrfsetup zones on";
const CHANGED: &str = "conntrack zones are on, and their nftables table was changed";

fn judge(
    members: &Members,
    listing: Result<Option<String>, KernelError>,
    is_whole: impl Fn(&str) -> bool,
) -> Vec<Finding> {
    let one = |what: String| vec![Finding::new("zones-missing", what, FIX)];
    match listing {
        Err(refusal) => one(format!("conntrack zones are on, and cannot be looked at: {refusal}")),
        Ok(None) => one("conntrack zones are on, and their nftables table is gone".to_owned()),
        Ok(Some(text)) => match Listed::read(&text) {
            None => one(CHANGED.to_owned()),
            Some(listed) => {
                let all = zones::zones(members, Some(&listed));
                let lacking: Vec<Finding> = all.iter().filter_map(lacking).collect();
                if lacking.is_empty() && !is_whole(&text) { one(CHANGED.to_owned()) } else { lacking }
            }
        },
    }
}

fn lacking(zone: &Zone) -> Option<Finding> {
    let names: Vec<String> = match zone.zone {
        None => std::iter::once(&zone.vrf).chain(&zone.missing).map(|name| format!("'{name}'")).collect(),
        Some(_) => zone.missing.iter().map(|name| format!("'{name}'")).collect(),
    };
    let what = format!("flows by {} are not in the VRF's conntrack zone", names.join(", "));
    (!names.is_empty()).then(|| Finding::new("zones-port", what, FIX).about(&zone.vrf))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::device::Device;
    use crate::model::step::Step;

    fn said(listing: Option<&str>) -> Vec<String> {
        let device = |name: &str| Device { ifindex: 7, name: name.to_owned() };
        let mut members = Members::default();
        members.apply(&Step::AddVrf(device("blue"), 10));
        members.apply(&Step::Enslave(device("blue0"), device("blue")));
        judge(&members, Ok(listing.map(str::to_owned)), |_| true).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_in_no_zone_is_named() {
        let rule = |map: &str| format!("ct original zone set iifname map {{ {map} }}");
        assert_eq!(said(Some(&rule("\"blue\" : 10, \"blue0\" : 10"))), Vec::<String>::new());
        let port = said(Some(&rule("\"blue\" : 10, \"blue0\" : 20")));
        assert_eq!(port, ["blue: flows by 'blue0' are not in the VRF's conntrack zone; fix: vrfsetup zones on\n"]);
        let all = said(Some("table inet vrfsetup_zones { }"));
        assert!(all[0].contains("flows by 'blue', 'blue0' are not"), "{all:?}");
        assert!(said(None)[0].contains("is gone"));
        assert!(said(Some("map { x"))[0].contains("was changed"));
    }
}

//! A bound socket is not yet a lookup in the VRF's table: the rules decide (`judge`), and where they go on behind that
//! table, the table itself (`table`). Finds where a socket's packets could leave by the default domain all the same.

mod judge;
mod table;

use vrfnl::rule;

use crate::error::{self, Error};
use crate::vrf::device::Device;
use crate::vrf::netlink::Netlink;
use judge::Judge;

const FAMILIES: [(libc::c_int, &str); 2] = [(libc::AF_INET, "IPv4"), (libc::AF_INET6, "IPv6")];

/// How packets of a VRF can get past its table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gap {
    /// A rule before the VRF's own takes them.
    Before { priority: u32, table: u32 },
    /// No rule leads to the VRF's table.
    NoVrfRule,
    /// A lookup that misses the VRF's table goes on to this one.
    After { table: u32 },
    /// The rule that leads to the VRF's table drops some of what the lookup finds there, and goes on to this one.
    Suppressed { priority: u32, table: u32 },
}

/// The sentence that says it.
fn describe(gap: &Gap, device: &Device, table: u32) -> String {
    let l3mdev = device.emulates.as_ref().map_or_else(|| "l3mdev".into(), |vrf| format!("oif {}", error::text(vrf)));
    match gap {
        Gap::Before { priority, table } => {
            format!("rule {priority} (lookup {}) stands before {l3mdev}", table_name(*table))
        }
        Gap::NoVrfRule => format!("there is no {l3mdev} rule"),
        Gap::After { table: next } => {
            format!("what misses table {table} falls through to table {}", table_name(*next))
        }
        Gap::Suppressed { priority, table: next } => {
            format!("rule {priority} ({l3mdev}) suppresses routes, which fall through to table {}", table_name(*next))
        }
    }
}

fn table_name(table: u32) -> String {
    match table {
        253 => "default".into(),
        254 => "main".into(),
        255 => "local".into(),
        table => table.to_string(),
    }
}

/// Warns of a gap, or refuses under `--strict`. Says nothing of devices that are no VRF.
pub fn check(netlink: Netlink, device: &Device, strict: bool) -> Result<(), Error> {
    let Some(why) = find(netlink, device)? else { return Ok(()) };
    if strict {
        return Err(Error::Unsealed { vrf: device.vrf().to_owned(), why });
    }
    error::warn(&error::leaves(device.vrf(), &why), &fix(device));
    Ok(())
}

/// What closes the gaps, to be typed.
pub fn fix(device: &Device) -> String {
    match &device.emulates {
        Some(vrf) => {
            let (vrf, port) = (error::text(vrf), error::text(&device.name));
            format!("vrfsetup add {vrf} --port {port} --emulate")
        }
        None => "vrfsetup rules fix".to_owned(),
    }
}

/// The sentence about the gaps of this VRF, if there is one.
pub fn find(mut netlink: Netlink, device: &Device) -> Result<Option<String>, Error> {
    let Some(table) = device.table else { return Ok(None) };
    let mut judges = FAMILIES.map(|_| Judge::new(device, table));
    // One dump for all families; each rule goes to its own judge, in the order of preference.
    netlink
        .ask(&rule::dump(libc::AF_UNSPEC as u8), true, |body| {
            let family = FAMILIES.iter().position(|(family, _)| body.first() == Some(&(*family as u8)));
            if let (Some(at), Some(rule)) = (family, rule::parse(body)) {
                judges[at].see(&rule);
            }
        })
        .map_err(Error::kernel("read the routing rules"))?;
    let (mut gaps, mut spare) = (Vec::new(), Some(netlink));
    for ((family, name), judge) in FAMILIES.into_iter().zip(judges) {
        match judge.verdict() {
            Some(Gap::After { .. }) if table::is_sealed(&mut spare, family as u8, table)? => {}
            Some(gap) => gaps.push((name, describe(&gap, device, table))),
            None => {}
        }
    }
    Ok(match &gaps[..] {
        [] => None,
        [(_, one), (_, two)] if one == two => Some(format!("IPv4 and IPv6: {one}")),
        several => Some(several.iter().map(|(name, gap)| format!("{name}: {gap}")).collect::<Vec<_>>().join("; ")),
    })
}

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

/// Where packets can leave, and what closes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leak {
    /// The sentence about it.
    pub why: String,
    /// What is to be typed.
    pub fix: String,
}

/// Warns of a gap, or refuses under `--strict`. Says nothing of devices that are no VRF.
pub fn check(netlink: Netlink, device: &Device, strict: bool) -> Result<(), Error> {
    let Some(Leak { why, fix }) = find(netlink, device)? else { return Ok(()) };
    if strict {
        return Err(Error::Unsealed { vrf: device.vrf().to_owned(), why, fix });
    }
    error::warn(&error::leaves(device.vrf(), &why), &fix);
    Ok(())
}

/// What closes the gaps. An emulated VRF's own rules go before others by `rules fix` alone; the rest `add` makes.
fn fix(device: &Device, gaps: &[(&str, Gap)]) -> String {
    const RULES: &str = "vrfsetup rules fix";
    let Some(vrf) = &device.emulates else { return RULES.to_owned() };
    let add = format!("vrfsetup add {} --port {} --emulate", error::text(vrf), error::text(&device.name));
    let is_before = |(_, gap): &(&str, Gap)| matches!(gap, Gap::Before { .. });
    match (gaps.iter().any(is_before), gaps.iter().all(is_before)) {
        (true, true) => RULES.to_owned(),
        (true, false) => format!("{add}; {RULES}"),
        (false, _) => add,
    }
}

/// The gaps of this VRF, if there are any.
pub fn find(mut netlink: Netlink, device: &Device) -> Result<Option<Leak>, Error> {
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
            Some(gap) => gaps.push((name, gap)),
            None => {}
        }
    }
    let fix = fix(device, &gaps);
    let gaps: Vec<_> = gaps.into_iter().map(|(name, gap)| (name, describe(&gap, device, table))).collect();
    let why = match &gaps[..] {
        [] => return Ok(None),
        [(_, one), (_, two)] if one == two => format!("IPv4 and IPv6: {one}"),
        several => several.iter().map(|(name, gap)| format!("{name}: {gap}")).collect::<Vec<_>>().join("; "),
    };
    Ok(Some(Leak { why, fix }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_closes_each_of_the_gaps() {
        let port = Device { name: "eth1".into(), ifindex: 3, table: Some(1001), emulates: Some("blue".into()) };
        let device = Device { name: "blue".into(), emulates: None, ..port.clone() };
        let before = ("IPv4", Gap::Before { priority: 500, table: 254 });
        let after = ("IPv6", Gap::After { table: 254 });
        let (rules, add) = ("vrfsetup rules fix", "vrfsetup add blue --port eth1 --emulate");
        let both = [before, after];
        assert_eq!(fix(&port, &both[..1]), rules);
        assert_eq!(fix(&port, &both[1..]), add);
        assert_eq!(fix(&port, &both), format!("{add}; {rules}"));
        assert_eq!(fix(&device, &both), rules);
    }
}

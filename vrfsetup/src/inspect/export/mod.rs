//! `vrfsetup export`: what is there, as files that make it again. Pure: what is there in, texts out.
//!
//! Only what somebody configured is exported: the kernel's own routes and addresses, and those with a lifetime, come by
//! themselves.

mod ifupdown;
mod networkd;
mod toml;
mod tunnels;

use std::path::PathBuf;

use crate::error::Error;
use crate::inspect::show::SYSCTLS;
use crate::inspect::users::{self, Entry};
use crate::model::address::Address;
use crate::model::family::Family;
use crate::model::link::Link;
use crate::model::name;
use crate::model::route::Route;
use crate::model::rule::{Rule, TABLE_MAIN};
use crate::plan::emulate::{self, Emulated};
use crate::plan::gateway;
use crate::plan::inventory::Inventory;
use crate::plan::memory::Memory;
use crate::plan::system::System;
use crate::sys::families;
use crate::sys::sysctl;

/// What the files are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// vrf.toml(5), for `vrfsetup apply`.
    Toml,
    /// systemd.netdev(5) and systemd.network(5).
    Networkd,
    /// interfaces(5).
    Ifupdown,
}

/// A file of an export.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct File {
    /// Where it belongs.
    pub path: PathBuf,
    /// What stands in it.
    pub text: String,
}

/// Everything that is exported of one VRF.
struct Exported<'a> {
    name: &'a str,
    table: u32,
    has_loopback: bool,
    is_sealed: bool,
    /// It is one port, without the kernel's driver.
    is_emulated: bool,
    ports: Vec<&'a Link>,
    /// The indices of the ports that have an address by DHCP, each with its family.
    by_dhcp: Vec<(u32, Family)>,
    addresses: Vec<&'a Address>,
    routes: Vec<&'a Route>,
}

/// Everything that is exported.
struct All<'a> {
    vrfs: Vec<Exported<'a>>,
    /// The default domain's routes that lead into a VRF.
    inbound: Vec<&'a Route>,
    has_zones: bool,
    users: Vec<Entry>,
    /// Tunnels with their VRFs.
    tunnels: Vec<(String, String)>,
    /// What is to be said of those that the file cannot declare.
    made_there: Vec<String>,
    /// By which routes have words, or none.
    system: &'a System,
}

impl<'a> All<'a> {
    /// The routes of all tables that lead over this device, or begin their several ways with it.
    fn routes_over<'b>(&'b self, device: &'b str, ifindex: Option<u32>) -> impl Iterator<Item = &'a Route> + 'b {
        let all = self.vrfs.iter().flat_map(|vrf| &vrf.routes).chain(&self.inbound).copied();
        all.filter(move |route| route.is_unicast() && leads_over(route, device, ifindex))
    }
}

/// The files.
///
/// # Errors
/// A name would be something else in them.
pub fn export(inventory: &Inventory, format: Format) -> Result<Vec<File>, Error> {
    let emulated = emulate::all(inventory);
    if let Some(emulated) = emulated.first().filter(|_| format != Format::Toml) {
        return Err(Error::OnlyToml(emulated.name.to_owned()));
    }
    let vrfs = inventory.system.vrfs().map(|vrf| exported(inventory, vrf));
    let vrfs: Vec<Exported> = vrfs.chain(emulated.iter().map(|emulated| exported_port(inventory, emulated))).collect();
    // What a port is called is only a text in vrf.toml.
    let ports =
        vrfs.iter().filter(|_| format != Format::Toml).flat_map(|vrf| &vrf.ports).map(|port| port.name.as_str());
    if let Some(name) = vrfs.iter().map(|vrf| vrf.name).chain(ports).find(|name| !name::is_one_word(name)) {
        return Err(Error::NotOneWord(name.to_owned()));
    }
    let memory = Memory::read();
    let (tunnels, made_there) = tunnels::all(&inventory.system, &memory);
    let has_zones = memory.zones.is_some();
    let users = users::visible(&inventory.system.links)?;
    let (inbound, system) = (inbound(inventory), &inventory.system);
    let all = All { vrfs, inbound, has_zones, users, tunnels, made_there, system };
    Ok(match format {
        Format::Toml => vec![toml::file(&all, &inventory.rules, &settings())],
        Format::Networkd => networkd::files(&all, &inventory.rules),
        Format::Ifupdown => ifupdown::files(&all),
    })
}

fn inbound(inventory: &Inventory) -> Vec<&Route> {
    let leads_in = |ifindex: u32| {
        let link = inventory.system.link_by_index(ifindex);
        link.is_some_and(|link| link.is_vrf() || inventory.system.vrf_of(link).is_some())
    };
    made(inventory, TABLE_MAIN)
        .filter(|route| route.is_unicast() && route.oifs().iter().any(|&oif| leads_in(oif)))
        .collect()
}

/// What somebody put into a table. What a daemon put there it puts there again: a routing daemon, a DHCP client, who
/// listens to router advertisements.
fn made(inventory: &Inventory, table: u32) -> impl Iterator<Item = &Route> {
    inventory.table(table).filter(|route| inventory.system.is_configured(route))
}

fn exported<'a>(inventory: &'a Inventory, vrf: &'a Link) -> Exported<'a> {
    let system = &inventory.system;
    let (table, device) = (vrf.table.unwrap_or_default(), vrf.device());
    let ports: Vec<&Link> = system.ports(vrf).collect();
    let is_loopback = |address: &Address| {
        let made = Address::loopback(&device, address.family());
        address.is_same_as(&made) && (address.flags ^ made.flags) & libc::IFA_F_NODAD == 0
    };
    let own: Vec<&Address> = system.addresses_of(vrf.ifindex).collect();
    let has_loopback =
        own.iter().filter(|address| is_loopback(address)).count() == families::of_device(&vrf.name).len();
    let by_dhcp = ports.iter().flat_map(|port| system.addresses_of(port.ifindex)).filter(|own| own.is_by_dhcp());
    let by_dhcp = by_dhcp.map(|address| (address.device.ifindex, address.family())).collect();
    let of_ports = ports.iter().flat_map(|port| system.addresses_of(port.ifindex));
    let own = own.iter().copied().filter(|address| !(has_loopback && is_loopback(address)));
    let made: Vec<&Route> = made(inventory, table).collect();
    let is_own_seal = |route: &&Route| route.is_own_seal();
    let is_sealed = made.iter().copied().filter(is_own_seal).count() == families::available().len();
    Exported {
        name: &vrf.name,
        table,
        has_loopback,
        is_sealed,
        is_emulated: false,
        by_dhcp,
        addresses: own.chain(of_ports).filter(|address| address.is_configured()).collect(),
        routes: made.into_iter().filter(|route| !(is_sealed && is_own_seal(route))).collect(),
        ports,
    }
}

/// An emulated one. Its port has its addresses from elsewhere.
fn exported_port<'a>(inventory: &'a Inventory, emulated: &Emulated<'a>) -> Exported<'a> {
    let made = made(inventory, emulated.table).filter(|route| !route.is_own_seal());
    Exported {
        name: emulated.name,
        table: emulated.table,
        has_loopback: true,
        is_sealed: true,
        is_emulated: true,
        by_dhcp: Vec::new(),
        addresses: Vec::new(),
        routes: made.collect(),
        ports: vec![emulated.port],
    }
}

/// Settings that are not as a kernel is born with.
fn settings() -> Vec<(&'static str, String)> {
    let born = |name: &str| if name == "net.ipv4.raw_l3mdev_accept" { "1" } else { "0" };
    let values = SYSCTLS.iter().take(4).filter_map(|name| Some((*name, sysctl::read_named(name)?)));
    values.filter(|(name, value)| value != born(name)).collect()
}

fn has_unreachable_rule(rules: &[Rule]) -> bool {
    rules.iter().any(Rule::stops_vrfs)
}

/// Whether the route leads over this device, or begins its several ways with it.
fn leads_over(route: &Route, device: &str, ifindex: Option<u32>) -> bool {
    match route.next_hops().first() {
        Some(hop) => Some(hop.ifindex) == ifindex,
        None => route.device.as_deref() == Some(device),
    }
}

/// The words of a route, or why there are none.
fn route_words(all: &All, route: &Route) -> Result<String, String> {
    gateway::words(all.system, route).ok_or_else(|| format!("not declared, it has no words here: {route}"))
}

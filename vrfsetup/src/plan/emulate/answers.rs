//! The rules for what the kernel itself answers from the port's addresses: it asks the tables by no socket and no
//! interface, so that only the address tells which table is meant.

use std::net::IpAddr;

use crate::model::link::Link;
use crate::model::rule::Rule;
use crate::model::step::Step;
use crate::plan::inventory::Inventory;
use crate::plan::rules::L3MDEV;

/// Behind every rule for an interface: another VRF can have the same address, and what is bound to its port goes there.
pub const ANSWERS: u32 = L3MDEV + 1;

/// The steps to the rules that there should be; the missing ones come first.
pub fn steps(inventory: &Inventory, port: &Link, table: u32) -> Vec<Step> {
    let wanted = wanted(inventory, port, table);
    let is_in = |rules: &[Rule], rule: &Rule| rules.iter().any(|other| other.is_same_as(rule));
    let missing = wanted.iter().filter(|rule| !is_in(&inventory.rules, rule)).cloned().map(Step::AddRule);
    let stale = inventory.rules.iter().filter(|rule| is_ours(rule, table) && !is_in(&wanted, rule));
    // The last first: a rollback adds them in the order that they had.
    missing.chain(stale.rev().cloned().map(Step::DeleteRule)).collect()
}

/// One for each address that no other interface has.
fn wanted(inventory: &Inventory, port: &Link, table: u32) -> Vec<Rule> {
    let system = &inventory.system;
    let is_elsewhere = |address: IpAddr| {
        system.addresses.iter().any(|other| other.local == address && other.device.ifindex != port.ifindex)
    };
    let own = system.addresses_of(port.ifindex).map(|address| address.local);
    let mut own: Vec<IpAddr> =
        own.filter(|own| !own.is_loopback() && !is_link_local(*own) && !is_elsewhere(*own)).collect();
    own.sort_unstable();
    own.dedup();
    own.into_iter().map(|own| Rule::lookup(own.into(), ANSWERS, table).of_own_address(own)).collect()
}

/// Such answers have their interface.
fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

/// Whether it is as this program makes them, or as it once did: at the preference of the rules for interfaces. One for an
/// address that is no longer the port's alone would take what the default domain sends from there.
fn is_ours(rule: &Rule, table: u32) -> bool {
    let Some((address, _)) = rule.selectors.from else { return false };
    let made = |at| Rule::lookup(rule.family, at, table).of_own_address(address);
    rule.is_kernels() && [ANSWERS, L3MDEV].into_iter().any(|at| rule.is_same_as(&made(at)))
}

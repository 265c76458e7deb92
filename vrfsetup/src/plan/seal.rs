//! What seals a table: an unreachable default behind every real one. Pure.

use crate::model::family::Family;
use crate::model::route::Route;
use crate::model::step::Step;
use crate::plan::inventory::Inventory;

/// The step that seals the table. One of an earlier version is replaced: networkd would remove it.
pub fn step(inventory: &Inventory, family: Family, table: u32) -> Option<Step> {
    let mut seals = inventory.table(table).filter(|route| route.is_seal() && route.family() == family);
    let to = Route::seal(family, table);
    match seals.next() {
        None => Some(Step::AddRoute(to)),
        Some(seal) if seal.is_unguarded_seal() => Some(Step::ReplaceRoute { from: seal.clone(), to }),
        Some(_) => None,
    }
}

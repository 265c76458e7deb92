//! What is left of VRFs that were deleted by `ip link del`: the seals in their tables, and the tables' names. Pure but
//! for the names.

use crate::model::route::Route;
use crate::model::step::Step;
use crate::plan::inventory::Inventory;
use crate::plan::tables;
use crate::sys::{rt_tables, run_dir};

/// What one VRF left.
#[derive(Clone, Debug)]
pub struct Leftover {
    /// Its name.
    pub vrf: String,
    /// The table that it had.
    pub table: u32,
    seals: Vec<Route>,
}

impl Leftover {
    /// The steps that remove it.
    pub fn steps(self) -> impl Iterator<Item = Step> {
        self.seals.into_iter().map(Step::DeleteRoute).chain(tables::unname_step(&self.vrf))
    }
}

/// All of it. A name alone is none: it is there after a boot, and the VRF gets its table again by it.
pub fn find(inventory: &Inventory) -> Vec<Leftover> {
    if !run_dir::is_first_netns() {
        return Vec::new();
    }
    let named = rt_tables::vrfs().into_iter().filter_map(|name| Some((tables::remembered(&name)?, name)));
    named.filter_map(|(table, vrf)| of(inventory, vrf, table)).collect()
}

/// What the VRF left, if it is gone and nobody else uses its table.
fn of(inventory: &Inventory, vrf: String, table: u32) -> Option<Leftover> {
    let is_there = inventory.system.link(&vrf).is_some();
    let seals: Vec<Route> = inventory.table(table).filter(|route| route.is_own_seal()).cloned().collect();
    let is_left = !is_there && !seals.is_empty() && !is_in_use(inventory, table);
    is_left.then_some(Leftover { vrf, table, seals })
}

/// Whether a VRF, a rule or a route other than a seal of ours refers to the table.
pub fn is_in_use(inventory: &Inventory, table: u32) -> bool {
    let is_vrfs = inventory.system.vrfs().any(|vrf| vrf.table == Some(table));
    let is_rules = inventory.rules.iter().any(|rule| rule.table == table);
    is_vrfs || is_rules || inventory.table(table).any(|route| !route.is_own_seal())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::family::Family;
    use crate::model::rule::Rule;
    use crate::plan::system::System;

    #[test]
    fn only_seals_that_nobody_else_needs_are_left() {
        let inventory =
            |routes: Vec<Route>, rules: Vec<Rule>| Inventory::new(System::new(vec![], vec![]), routes, rules);
        let seal = Route::seal(Family::V4, 1001);
        let left = |inventory: &Inventory| of(inventory, "blue".into(), 1001).is_some();
        assert!(left(&inventory(vec![seal.clone()], vec![])));
        assert!(!left(&inventory(vec![], vec![])));
        assert!(!left(&inventory(vec![seal.clone()], vec![Rule::lookup(Family::V4, 100, 1001)])));
        let mut other = seal.clone();
        other.message.attributes.clear();
        other.set_table(1001);
        assert!(!left(&inventory(vec![seal, other], vec![])));
    }
}

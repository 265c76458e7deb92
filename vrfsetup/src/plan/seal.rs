//! What seals a table: an unreachable default behind every real one. Pure.

use crate::model::family::Family;
use crate::model::route::Route;
use crate::model::step::Step;
use crate::plan::inventory::Inventory;

/// Whether no packet that is looked up in the table goes on to another one: a default route of any kind ends the lookup of
/// each of them, and no `throw` comes before it. One with a TOS or a source does, whatever its metric is.
pub fn is_closed(inventory: &Inventory, family: Family, table: u32) -> bool {
    closes(inventory.table(table), family)
}

/// The same of a table with these routes.
pub fn closes<'a>(routes: impl Iterator<Item = &'a Route>, family: Family) -> bool {
    let defaults: Vec<&Route> = routes.filter(|route| route.family() == family && route.is_default()).collect();
    let narrow_throw = defaults.iter().any(|route| route.is_throw() && !route.is_for_all());
    let first = defaults.iter().filter(|route| route.is_for_all()).min_by_key(|route| route.metric_in_kernel());
    !narrow_throw && first.is_some_and(|route| !route.is_throw())
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::syntax::route::parse;
    use crate::plan::system::System;

    fn closed(routes: &[Route]) -> bool {
        is_closed(&Inventory::new(System::new(vec![], vec![]), routes.to_vec(), vec![]), Family::V6, 10)
    }

    fn narrow(text: &str) -> Route {
        let mut route = parse(text, 10).unwrap();
        route.message.header.source_prefix_length = 64;
        route
    }

    #[test]
    fn only_what_ends_every_lookup_closes_a_table() {
        let seal = || Route::seal(Family::V6, 10);
        let default = || parse("-6 default dev eth1", 10).unwrap();
        let throw = |metric| parse(&format!("-6 throw default metric {metric}"), 10).unwrap();
        assert!(closed(&[seal()]) && closed(&[default()]) && closed(&[throw(2000), default()]));
        assert!(
            !closed(&[]) && !closed(&[throw(7)]) && !closed(&[throw(7), seal()]) && !closed(&[throw(7), default()])
        );
        assert!(!closed(&[narrow("-6 unreachable default")]) && !closed(&[narrow("-6 default dev eth1")]));
        assert!(!closed(&[narrow("-6 throw default"), seal()]));
    }

    #[test]
    fn what_stops_some_packets_alone_is_no_seal() {
        let inventory = |route| Inventory::new(System::new(vec![], vec![]), vec![route], vec![]);
        let stops = |route| step(&inventory(route), Family::V6, 10).is_none();
        assert!(stops(parse("-6 unreachable default", 10).unwrap()));
        assert!(!stops(narrow("-6 unreachable default")));
    }
}

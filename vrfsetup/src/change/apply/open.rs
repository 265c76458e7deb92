//! VRFs that are not sealed when the plan is made: `unreachable = "none"` leaves that to `[rules]`, which may not do it, or be
//! left out. This may be intended, so it is a note and no error.

use super::Plan;
use super::config::Config;
use crate::model::family::Family;
use crate::model::route::Route;
use crate::model::step::Step;
use crate::plan::inventory::Inventory;
use crate::plan::port::Domain;
use crate::plan::rules::Unreachable;
use crate::plan::seal;
use crate::plan::vrf::VrfPlanner;
use crate::sys::families;

/// A note for each of them.
pub(super) fn notes(
    config: &Config,
    inventory: &Inventory,
    planner: &VrfPlanner,
    domains: &[(&str, Domain)],
    plan: &Plan,
) -> Vec<String> {
    let may_be = |name: &str| config.vrf.get(name).is_some_and(|vrf| vrf.unreachable == Unreachable::None);
    let mut declared = domains.iter().filter(|(name, _)| may_be(name)).peekable();
    let is_for_all = config.rules.fix && config.rules.unreachable == Unreachable::Rule;
    if is_for_all || declared.peek().is_none() {
        return Vec::new();
    }
    let unstopped: Vec<Family> =
        families::available().into_iter().filter(|family| !is_stopped(*family, planner, plan)).collect();
    let note = |(name, domain): &(&str, Domain)| {
        let mut open = unstopped.iter().filter(|family| !is_closed(inventory, **family, domain.table, plan)).peekable();
        open.peek()?;
        let open: Vec<String> = open.map(ToString::to_string).collect();
        let what = "is not sealed: what its table lacks is looked up in the default domain and leaves there";
        Some(format!("'{name}' {what} ({})", open.join(", ")))
    };
    declared.filter_map(note).collect()
}

/// Whether one rule stops what the tables lack.
fn is_stopped(family: Family, planner: &VrfPlanner, plan: &Plan) -> bool {
    let mut rules = planner.rules(family);
    plan.steps().for_each(|step| step.apply_to_rules(&mut rules));
    rules.iter().any(|rule| rule.family == family && rule.stops_vrfs())
}

fn is_closed(inventory: &Inventory, family: Family, table: u32, plan: &Plan) -> bool {
    let mut routes: Vec<&Route> = inventory.table(table).collect();
    for step in plan.steps() {
        match step {
            Step::AddRoute(route) if route.table() == table => routes.push(route),
            Step::DeleteRoute(route) => routes.retain(|other| *other != route),
            Step::ReplaceRoute { from, to } if to.table() == table => {
                routes.retain(|other| *other != from);
                routes.push(to);
            }
            _ => {}
        }
    }
    seal::closes(routes.into_iter(), family)
}

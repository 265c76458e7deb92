//! What is wrong with VRFs that are emulated. The kernel keeps none of it: a link that was down, a new address or a DHCP
//! client brings routes of the port back into the default domain.

use std::collections::BTreeSet;

use super::{Finding, rules};
use crate::model::family::Family;
use crate::model::link::Link;
use crate::model::route::Route;
use crate::model::rule::{Action, Rule, TABLE_LOCAL};
use crate::model::shell::word;
use crate::model::step::Step;
use crate::plan::emulate::{self, Emulated};
use crate::plan::inventory::Inventory;
use crate::sys::{families, sysctl};

/// All checks.
pub fn all(inventory: &Inventory) -> Vec<Finding> {
    let emulated = emulate::all(inventory);
    let of_one = |one| lacking(inventory, one).into_iter().chain(before(inventory, one)).chain(drops(one));
    emulated.iter().flat_map(of_one).collect()
}

/// Those whose port has lost the name that their rules are for, or is gone.
pub fn without_port(inventory: &Inventory) -> Vec<Finding> {
    let names: BTreeSet<&String> = inventory.rules.iter().filter_map(|rule| rule.selectors.oif.as_ref()).collect();
    let is_no_link = |name: &&String| inventory.system.link(name).is_none();
    names.into_iter().filter(is_no_link).filter_map(|name| nameless(inventory, name)).collect()
}

fn nameless(inventory: &Inventory, name: &str) -> Option<Finding> {
    let table = emulate::table_of(&inventory.rules, name)?;
    // Without a seal of ours they are somebody else's rules.
    inventory.table(table).find(|route| route.is_own_seal())?;
    // IPv6 has the loopback device in routes that lead nowhere.
    let mut over = inventory.table(table).flat_map(Route::oifs).filter_map(|oif| inventory.system.link_by_index(oif));
    let port = over.find(|link| !link.is_loopback());
    let (what, fix) = match port {
        Some(Link { name: port, .. }) => {
            let what = format!("'{port}', whose routes table {table} has, has lost this alternative name");
            (what, format!("ip link property add dev {} altname {}", word(port), word(name)))
        }
        None => {
            ("its port is gone, and its rules and its seal are left".to_owned(), format!("vrfsetup del {}", word(name)))
        }
    };
    Some(Finding::new("emulation-without-port", what, fix).about(name))
}

/// What `add` would do now.
fn lacking(inventory: &Inventory, emulated: &Emulated) -> Option<Finding> {
    let add = format!("vrfsetup add {} --port {} --emulate", word(emulated.name), word(&emulated.port.name));
    let steps = match emulate::plan(inventory, emulated) {
        Ok(planned) => planned.steps,
        Err(error) => return Some(Finding::new("emulation-incomplete", error.to_string(), add).about(emulated.name)),
    };
    let is_seal = |step: &&Step| matches!(step, Step::AddRoute(route) if route.is_seal());
    let is_rule = |step: &&Step| matches!(step, Step::AddRule(_));
    let what = match () {
        () if steps.iter().any(|step| is_seal(&step)) => {
            "what its table lacks is looked up in the default domain".to_owned()
        }
        () if steps.is_empty() => return None,
        () => match misleading(&steps) {
            Some(what) => what,
            None if steps.iter().any(|step| is_rule(&step)) => "rules that lead to its table are missing".to_owned(),
            None => "routes by its port are in the default domain, or not in its table".to_owned(),
        },
    };
    Some(Finding::new("emulation-incomplete", what, add).about(emulated.name))
}

/// What a rule does that is to go: each is for an address.
fn misleading(steps: &[Step]) -> Option<String> {
    let mut deleted = steps.iter().filter_map(|step| if let Step::DeleteRule(rule) = step { Some(rule) } else { None });
    let rule = deleted.next()?;
    let is_moved = steps.iter().any(|step| matches!(step, Step::AddRule(added) if added.selectors == rule.selectors));
    Some(match is_moved {
        true => format!("rule '{rule}' stands before those of other VRFs"),
        false => format!("rule '{rule}' takes packets of the default domain: its port has not this address alone"),
    })
}

/// In each family the first rule that takes what its port sends before it finds the table.
fn before<'a>(inventory: &'a Inventory, emulated: &'a Emulated) -> impl Iterator<Item = Finding> + 'a {
    families::available().into_iter().filter_map(|family| {
        let rules: Vec<&Rule> = inventory.rules.iter().filter(|rule| rule.family == family).collect();
        // One that is missing is another finding.
        let own = rules.iter().position(|rule| leads_to(rule, emulated))?;
        let rule = rules[..own].iter().find(|rule| takes(rule, emulated))?;
        Some(stands_before(rule, family).about(emulated.name))
    })
}

fn stands_before(rule: &Rule, family: Family) -> Finding {
    let what = format!("{family} rule '{rule}' comes before those that lead to its table and takes what it matches");
    Finding::new("foreign-rule-first", what, rules::place_behind(rule))
}

fn leads_to(rule: &Rule, emulated: &Emulated) -> bool {
    let [_, oif] = Rule::lookup(rule.family, rule.priority, emulated.table).both_ways(emulated.name);
    rule.is_same_as(&oif)
}

/// Whether some packet of the port can match, and go elsewhere. Locally destined ones are another matter.
fn takes(rule: &Rule, emulated: &Emulated) -> bool {
    let selectors = &rule.selectors;
    let leads_away = match rule.action {
        Action::Lookup => ![TABLE_LOCAL, emulated.table].contains(&rule.table),
        Action::Goto(_) => true,
        _ => false,
    };
    let is_ports = |name: &String| *name == emulated.port.name || emulated.port.altnames.contains(name);
    let is_sent = selectors.oif.as_ref().is_none_or(is_ports) && selectors.iif.as_ref().is_none_or(|iif| iif == "lo");
    let is_narrow = selectors.from.is_some() || selectors.to.is_some() || !selectors.others.is_empty();
    leads_away && !rule.is_l3mdev && if selectors.is_inverted { is_narrow || !is_sent } else { is_sent }
}

/// The higher one of the two settings counts.
fn drops(emulated: &Emulated) -> Option<Finding> {
    let port = emulated.port.name.replace('.', "/");
    let of = |name: &str| sysctl::read(&format!("net/ipv4/conf/{name}/rp_filter")).filter(|value| value != "0");
    let name = of(&emulated.port.name).map(|_| port).or_else(|| of("all").map(|_| "all".to_owned()))?;
    let setting = format!("net.ipv4.conf.{name}.rp_filter");
    let what = format!("{setting} drops what comes in from networks that the default domain has no route to");
    Some(Finding::new("emulation-rp-filter", what, format!("sysctl -w {}=0", word(&setting))).about(emulated.name))
}

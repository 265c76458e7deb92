//! What is wrong with VRFs that are emulated. The kernel keeps none of it: a link that was down, a new address or a DHCP
//! client brings routes of the port back into the default domain.

use super::Finding;
use crate::model::step::Step;
use crate::plan::emulate::{self, Emulated};
use crate::plan::inventory::Inventory;
use crate::sys::sysctl;

/// All checks.
pub fn all(inventory: &Inventory) -> Vec<Finding> {
    let emulated = emulate::all(inventory);
    emulated.iter().flat_map(|one| lacking(inventory, one).into_iter().chain(drops(one))).collect()
}

/// What `add` would do now.
fn lacking(inventory: &Inventory, emulated: &Emulated) -> Option<Finding> {
    let add = format!("vrfsetup add {} --port {} --emulate", emulated.name, emulated.port.name);
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

/// The higher one of the two settings counts.
fn drops(emulated: &Emulated) -> Option<Finding> {
    let port = emulated.port.name.replace('.', "/");
    let of = |name: &str| sysctl::read(&format!("net/ipv4/conf/{name}/rp_filter")).filter(|value| value != "0");
    let name = of(&emulated.port.name).map(|_| port).or_else(|| of("all").map(|_| "all".to_owned()))?;
    let setting = format!("net.ipv4.conf.{name}.rp_filter");
    let what = format!("{setting} drops what comes in from networks that the default domain has no route to");
    Some(Finding::new("emulation-rp-filter", what, format!("sysctl -w {setting}=0")).about(emulated.name))
}

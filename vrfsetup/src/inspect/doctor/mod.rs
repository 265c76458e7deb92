//! `vrfsetup doctor`: what is wrong with the machine's VRFs, each with the command that fixes it.
//!
//! The checks are pure and look at what is read here once. On a machine without VRFs only what would hinder the first
//! one is a finding.

mod agent;
mod changes;
mod defaults;
mod emulated;
mod hierarchy;
mod host;
mod login_files;
mod logins;
mod routing;
mod rules;
mod tunnels;
mod users;
mod zones;

use std::fmt;

use serde::Serialize;

use crate::error::Error;
use crate::inspect::show;
use crate::model::family::Family;
use crate::plan::emulate;
use crate::plan::inventory::Inventory;
use crate::sys::netlink::Kernel;
use crate::sys::run_dir;

pub use logins::gives_logins_files;
pub use routing::is_sealed;

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// A name for programs.
    pub finding: &'static str,
    /// The VRF that it is about, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vrf: Option<String>,
    /// What is wrong, and what comes of it.
    pub what: String,
    /// A line to type.
    pub fix: String,
}

impl Finding {
    fn new(finding: &'static str, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { finding, vrf: None, what: what.into(), fix: fix.into() }
    }

    fn about(self, vrf: &str) -> Self {
        Self { vrf: Some(vrf.to_owned()), ..self }
    }
}

/// Examines everything; changes nothing.
///
/// # Errors
/// The kernel will not say.
pub fn examine(kernel: &Kernel) -> Result<Vec<Finding>, Error> {
    let inventory = Inventory::read(kernel)?;
    let system = &inventory.system;
    let mut findings = Vec::from_iter(changes::unfinished());
    findings.extend(routing::leftovers(&inventory));
    findings.extend(emulated::without_port(&inventory));
    findings.extend(zones::all(system));
    findings.extend(tunnels::all(&inventory));
    if run_dir::is_first_netns() {
        findings.extend(users::all(system));
    }
    findings.extend(hierarchy::of_systemd());
    findings.extend(logins::of_pam(system));
    findings.extend(login_files::all());
    findings.extend(agent::all(system));
    let has_emulated = !emulate::all(&inventory).is_empty();
    match system.vrfs().next() {
        Some(_) => findings.extend(routing::all(&inventory)),
        None if has_emulated => {}
        None => {
            findings.extend(host::module());
            return Ok(findings);
        }
    }
    findings.extend(emulated::all(&inventory));
    findings.extend(host::resolvers(kernel, system));
    findings.extend(host::caches());
    findings.extend(host::net_cls());
    findings.extend(host::ping_groups());
    findings.extend(host::netfilter(system));
    for vrf in show::show(kernel, None, true)? {
        findings.extend(host::stray_sockets(&vrf));
    }
    Ok(findings)
}

/// Whether nothing is wrong with the rules of this family.
pub fn rules_are_in_order(inventory: &Inventory, family: Family) -> bool {
    rules::of(inventory, family).is_empty()
}

/// One line: what, and the fix.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(vrf) = &self.vrf {
            write!(f, "{vrf}: ")?;
        }
        writeln!(f, "{}; fix: {}", self.what, self.fix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::system::System;

    /// `add` takes no such name.
    #[test]
    fn a_vrf_that_others_named_gets_its_loopback_addresses_by_ip() {
        let fix = |name: &str| {
            let links = vec![routing::tests::vrf(7, name, 10)];
            let found = routing::all(&Inventory::new(System::new(links, vec![]), vec![], vec![]));
            found.into_iter().find(|finding| finding.finding == "loopback-address-missing").map(|finding| finding.fix)
        };
        assert_eq!(fix("blue").as_deref(), Some("vrfsetup add blue"));
        let by_ip = fix("a;b").unwrap_or_default();
        assert!(by_ip.starts_with("ip addr add 127.0.0.1/8 dev 'a;b'; ip addr add ::1/128 dev 'a;b'"), "{by_ip}");
    }
}

//! `vrfsetup apply --each`: each part of a file stands for itself, so that a boot makes what can be made. What has a
//! mistake, what the kernel refuses and ports that are not there cost nothing but themselves, and are named.

use std::fmt;
use std::fs;
use std::path::Path;

use serde::Serialize;

use super::config::Config;
use super::source::Source;
use super::{Plan, Scope, Section, make_parts, plan_config, sections};
use crate::change::user;
use crate::error::Error;
use crate::model::link::Link;
use crate::plan::outsides;
use crate::plan::system::System;
use crate::sys::{run_dir, sysctl};
use crate::transaction::report::Outcome;
use crate::transaction::session::Session;

/// A port that is declared and not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Missing {
    pub port: String,
    pub vrf: String,
}

/// What came of it.
pub struct Result {
    /// What was changed.
    pub outcome: Outcome,
    /// Why parts were left out.
    pub errors: Vec<Error>,
    /// The ports that are not there yet.
    pub missing: Vec<Missing>,
}

/// Makes what can be made of a file, all that is well together: one part that is refused is left out, and the others
/// are made without it.
///
/// # Errors
/// Nothing at all can be made.
pub fn apply(session: &Session, path: &Path, scope: &Scope) -> std::result::Result<Result, Error> {
    let bytes = fs::read(path).map_err(|error| Error::file(path, &error))?;
    let legible = sections::read(path, &bytes)?;
    let (mut config, mut errors) = (scope.narrow(legible.config), legible.mistakes);
    // Of a file that cannot be read nobody knows which ports it waits for.
    if !legible.text.is_empty() {
        expect_ports(&config);
    }
    if scope.port.is_some() {
        let is_tunnel = !config.tunnel.is_empty();
        // A port that comes does not bring a VRF back that somebody has deleted.
        let system = System::read(session.kernel)?;
        config.vrf.retain(|name, vrf| vrf.emulate || system.link(name).is_some_and(Link::is_vrf));
        // Nor is one of WireGuard's done when it comes: it has no UDP port yet.
        config.tunnel.retain(|name, _| system.link(name).is_some_and(outsides::is_changed));
        // The boot has named those of other sections.
        errors.retain(|_| config.vrf.is_empty() && !is_tunnel);
        if is_tunnel && config.tunnel.is_empty() && config.vrf.is_empty() {
            return Ok(Result { outcome: Outcome::default(), errors, missing: Vec::new() });
        }
    }
    errors.extend(leave_users_out_elsewhere(&mut config));
    loop {
        let planned = plan_config(session, Source::new(path, &legible.text), &config, true, false);
        let (section, error) = match planned.and_then(|plan| make_or_blame(session, plan)) {
            Ok((outcome, missing)) => return Ok(Result { outcome, errors, missing }),
            Err(failure) => failure,
        };
        if !leave_out(&mut config, &section) {
            return Err(error);
        }
        // What costs the declared ones may cost those that are there, too.
        if errors.last().is_none_or(|last| last.to_string() != error.to_string()) {
            errors.push(error);
        }
    }
}

/// Users are the machine's: another network namespace's file puts nobody anywhere, and closes nobody.
fn leave_users_out_elsewhere(config: &mut Config) -> Option<Error> {
    if config.user.is_empty() && config.closed.is_empty() {
        return None;
    }
    let error = user::refuse_elsewhere().err()?;
    config.user.clear();
    config.closed.clear();
    Some(error)
}

fn make_or_blame(session: &Session, plan: Plan) -> std::result::Result<(Outcome, Vec<Missing>), (Section, Error)> {
    let missing = plan.missing.clone();
    let made = make_parts(session, plan.clone());
    made.map(|outcome| (outcome, missing)).map_err(|(section, error)| match (section, &error) {
        (Some(section), _) => (section, error),
        (None, Error::Refused { step, .. }) => (plan.section_of(step), error),
        (None, Error::NoSuchSetting(name)) => (Section::Setting(sysctl::key_of(name)), error),
        (None, Error::UserUnbound { user, .. }) => (Section::User(user.clone()), error),
        (None, _) => (Section::All, error),
    })
}

/// Whether there was anything to leave out.
fn leave_out(config: &mut Config, section: &Section) -> bool {
    match section {
        Section::Vrf(name) => config.vrf.remove(name).is_some(),
        Section::Setting(key) => {
            let before = config.sysctl.len();
            config.sysctl.retain(|name, _| sysctl::key_of(name) != *key);
            config.sysctl.len() < before
        }
        // Where the default domain is all that is left for its sockets, they had better fail; where they cannot even do that,
        // nothing can be done.
        Section::User(name) => match config.user.remove(name) {
            Some(_) => config.closed.insert(name.clone()),
            None => config.closed.remove(name),
        },
        // One that is not declared is there already, and costs the others what is to follow.
        Section::Tunnel(name) => {
            config.tunnel.remove(name).is_some() || !std::mem::replace(&mut config.stale.tunnels, true)
        }
        // Without nft they are closed: what they send is led or stopped, and they receive nothing.
        Section::Received if !config.stale.received => {
            config.stale.received = true;
            true
        }
        // First what is declared, then what is there already: it stays as it is, and costs no VRF.
        Section::Received | Section::Tunnels => {
            config.stale.received = false;
            !std::mem::take(&mut config.tunnel).is_empty() || !std::mem::replace(&mut config.stale.tunnels, true)
        }
        Section::Zones => config.zones.on.take().is_some() || !std::mem::replace(&mut config.stale.zones, true),
        Section::Rules => std::mem::take(&mut config.rules.fix),
        Section::Default => !std::mem::take(&mut config.default.routes).is_empty(),
        Section::Leak(at) => *at < config.leak.len() && !config.leak.drain(*at..=*at).as_slice().is_empty(),
        Section::All => false,
    }
}

/// Tells the rule for udev(7) which interfaces are waited for. Without it they are put into their VRFs by the next run.
fn expect_ports(config: &Config) {
    let ports = config.vrf.values().flat_map(|vrf| &vrf.ports).map(toml::Spanned::get_ref);
    let _ = run_dir::expect_ports(ports.chain(config.tunnel.keys()).map(String::as_str));
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no interface '{}' yet for VRF '{}'", self.port, self.vrf)
    }
}

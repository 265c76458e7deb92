//! `vrfsetup add`: a VRF that is up, sealed, and has its own loopback addresses and ports.

use crate::change::attach::{self, Defaults};
use crate::change::tunnel;
use crate::change::zones;
use crate::error::Error;
use crate::plan::emulate;
use crate::plan::inventory::Inventory;
use crate::plan::leftovers::{self, Leftover};
use crate::plan::sysctls;
use crate::plan::tables;
use crate::plan::vrf::{VrfPlanner, VrfSpec};
use crate::sys::rt_tables::Names;
use crate::sys::sysctl;
use crate::transaction::lockout;
use crate::transaction::report::Outcome;
use crate::transaction::session::Session;

/// Makes the VRF what it is to be; what is so already is left alone. `sysctls` are settings by their file below
/// /proc/sys, with their values.
///
/// # Errors
/// It cannot be so, a connection would break, or the kernel refused; then nothing is changed.
pub fn add(session: &Session, spec: &VrfSpec, ports: &[String], sysctls: &[(&str, &str)]) -> Result<Outcome, Error> {
    let inventory = Inventory::read(session.kernel)?;
    let existing = inventory.system.link(spec.name);
    let ports = attach::new_ports(&inventory.system, ports, existing.map_or(spec.name, |vrf| &vrf.name))?;
    ports.iter().try_for_each(|port| emulate::refuse_port(&inventory, port, ""))?;
    attach::check_lockout(session, &inventory.system, &ports)?;
    let (steps, domain) = VrfPlanner::new(&inventory).plan(spec)?;
    lockout::refuse_if_cut(session, &inventory.system, &steps)?;
    let moves = attach::plan(session, &inventory, &ports, &domain, Defaults::Move)?;
    let is_new = inventory.system.link(spec.name).is_none();
    let new: Vec<&str> = is_new.then_some(spec.name).into_iter().collect();
    if let Some((key, _)) = sysctls.iter().find(|(key, _)| !sysctls::exists(key) && !sysctls::comes_with(key, &new)) {
        return Err(Error::NoSuchSetting(sysctl::name_of(key)));
    }
    let mut transaction = session.begin()?;
    transaction.make_all(steps)?;
    let (settings, memory) = sysctls::make(sysctls).map_err(|error| transaction.abandon(error))?;
    transaction.make_all(settings)?;
    let name = is_new.then(|| tables::name_step(&Names::read(), spec.name, domain.table)).flatten();
    transaction.try_make_all(memory.into_iter().chain(name))?;
    attach::make(&mut transaction, moves)?;
    // Last: of what another VRF left, nothing is in the way.
    let left = leftovers::find(&inventory).into_iter().filter(|left| left.vrf != spec.name);
    transaction.try_make_all(left.flat_map(Leftover::steps))?;
    tunnel::follow(session, &mut transaction)?;
    zones::follow(session, &mut transaction, None)?;
    transaction.commit()
}

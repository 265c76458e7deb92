//! systemd on cgroup v1, where services cannot be bound, nor logins where there is no cgroup2 beside it.

use std::fs;

use super::{Finding, logins};
use crate::plan::unit_files as files;
use crate::sys::systemd::{Hierarchy, UNIFIED};

/// A finding where they are to be in a VRF nevertheless.
pub fn of_systemd() -> Option<Finding> {
    let hierarchy = Hierarchy::read();
    let services = !hierarchy.binds_services() && has_services();
    let logins = !hierarchy.binds_logins() && logins::binds_logins();
    let outcome = match (services, logins) {
        (false, false) => return None,
        (true, false) => "no service of 'vrfsetup unit' starts",
        (false, true) => "every login of 'vrfsetup session' is denied",
        (true, true) => "no service of 'vrfsetup unit' starts, and every login of 'vrfsetup session' is denied",
    };
    let what = format!("systemd uses cgroup v1 here: {outcome}");
    Some(Finding::new("cgroup-v1", what, format!("{UNIFIED} on the kernel's command line, and a reboot")))
}

/// Whether a drop-in of `vrfsetup unit` binds a service.
fn has_services() -> bool {
    let units = fs::read_dir(files::DIRECTORY).into_iter().flatten().flatten();
    let mut texts = units.filter_map(|unit| fs::read_to_string(unit.path().join(files::DROP_IN)).ok());
    texts.any(|text| files::vrf_of_drop_in(&text).is_some() && files::is_of_a_service(&text))
}

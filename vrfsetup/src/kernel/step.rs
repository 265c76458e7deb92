//! One step, made.

use std::fs;
use std::io;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use super::{Kernel, Refusal};
use crate::family::Family;
use crate::route::Route;
use crate::step::Step;
use crate::sysctl;

/// How long duplicate address detection can take: a random second before the probe, and one after it.
const DETECTION: Duration = Duration::from_millis(3000);
const PAUSE: Duration = Duration::from_millis(50);

impl Kernel {
    /// Makes the step.
    ///
    /// # Errors
    /// The kernel's own.
    pub fn make(&self, step: &Step) -> Result<(), Refusal> {
        match step {
            Step::AddRule(rule) => self.add_rule(rule),
            Step::DeleteRule(rule) => self.delete_rule(rule),
            Step::AddVrf(device, table) => self.add_vrf(device, *table),
            Step::DeleteVrf(device, _) => self.delete_link(device),
            Step::SetUp(device) => self.set_up(device, true),
            Step::SetDown(device) => self.set_up(device, false),
            Step::Enslave(port, vrf) => self.set_master(port, Some(vrf)),
            Step::Release(port, _) => self.set_master(port, None),
            Step::AddAddress(address) => self.add_address(address),
            Step::DeleteAddress(address) => self.delete_address(address),
            Step::AddRoute(route) => self.add_route_in_time(route),
            Step::DeleteRoute(route) => self.delete_route(route),
            Step::ReplaceRoute { to, .. } => self.replace_route(to),
            Step::SetSysctl { key, to, .. } => sysctl::write(key, to).map_err(|error| Refusal::from_io(&error)),
            Step::WriteFile { path, to, .. } => {
                write_file(path, to.as_deref()).map_err(|error| Refusal::from_io(&error))
            }
        }
    }

    /// An IPv6 route with a source address is refused (EINVAL) while that address is still being probed, as it is after
    /// its interface has been down.
    fn add_route_in_time(&self, route: &Route) -> Result<(), Refusal> {
        let mut waited = Duration::ZERO;
        loop {
            match self.add_route(route) {
                Err(refusal) if refusal.errno == libc::EINVAL && may_be_probed(route) && waited < DETECTION => {
                    sleep(PAUSE);
                    waited += PAUSE;
                }
                answer => return answer,
            }
        }
    }
}

fn may_be_probed(route: &Route) -> bool {
    route.family() == Family::V6 && route.source().is_some()
}

/// Readers see the old content or the new one.
fn write_file(path: &Path, content: Option<&str>) -> io::Result<()> {
    let Some(content) = content else {
        return match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            answer => answer,
        };
    };
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    fs::create_dir_all(folder)?;
    let new = path.with_extension("new");
    fs::write(&new, content)?;
    fs::rename(new, path)
}

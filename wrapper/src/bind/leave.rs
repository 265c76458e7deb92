//! VRF `default`: leaves the cgroup of an outer run, and takes the outer run's variables from the environment.

use crate::bind::binding::{Binding, By, Guard};
use crate::bind::bpf::cgroup;
use crate::bind::preload::shim;
use crate::bind::verify;
use crate::error::{self, Error};
use crate::program::environment::Environment;

/// This process's sockets are unbound, or leave where that can be done.
pub fn leave() -> Result<Binding, Error> {
    let bound = || verify::binding().map_err(Error::kernel("open a socket outside any VRF"));
    if let Some(device) = bound()? {
        cgroup::leave_ours();
        if bound()?.is_some() {
            let why =
                format!("sockets are bound by something else than a cgroup of vrfrun: '{}'", error::text(&device));
            return Err(Error::CannotLeave { device, why });
        }
    }
    let mut environment = Environment::of_default();
    shim::remove_from(&mut environment);
    Ok(Binding { by: By::Nobody, device: None, guard: Guard::None, environment })
}

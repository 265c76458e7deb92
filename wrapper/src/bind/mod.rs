//! Binds this process to a device: tries each mechanism in its turn until one is verified.
//!
//! Holds the choice (`bind`), what goes in and comes out (`binding`), the verification (`verify`), the temporary child
//! process in which a mechanism is tried (`trial`), VRF `default` (`leave`), and one directory for each mechanism:
//! `bpf`, `preload` and `seccomp`. A mechanism knows no other, except that the filter of `seccomp` stands behind the
//! shim of `preload`.
//!
//! May use `vrf`, `program`, `options`, `error` and `sys`. Never starts the program, and never believes that a
//! mechanism works because a call succeeded: a socket has to say so.
#![forbid(unsafe_code)]

pub mod binding;
pub mod bpf;
pub mod leave;
pub mod preload;
pub mod seccomp;
pub mod trial;
pub mod verify;

use binding::{Binding, By, Guard, Request};
use bpf::Held;
use preload::shim;

use crate::error::Error;
use crate::error::unavailable::Unavailable;
use crate::options::{Mechanism, Options};
use crate::program::environment::Environment;
use crate::sys::seccomp::is_filtered;
use crate::vrf::device::Device;

/// Binds this process to the device by the first mechanism that can be verified.
pub fn bind(request: &Request) -> Result<Binding, Error> {
    let (device, is_strict) = (request.device, request.options.strict);
    let mut unavailable = Vec::new();
    for mechanism in candidates(request.options) {
        // What another manager's cgroup leaves open, `bpf` holds; a filter cannot be put under a filter.
        let may_be_enough = mechanism != Mechanism::Bpf || is_filtered();
        if may_be_enough && !is_strict && is_already_bound(request) {
            return Ok(binding(device, By::Outer, Guard::Outer));
        }
        match attempt(mechanism, request) {
            Ok(binding) => return Ok(binding),
            Err(reason) => unavailable.push((mechanism, reason)),
        }
    }
    Err(Error::NoMechanism { device: device.name.clone(), unavailable, is_strict })
}

fn binding(device: &Device, by: By, guard: Guard) -> Binding {
    Binding { by, device: Some(device.name.clone()), guard, environment: Environment::of(device) }
}

/// The mechanisms that the options leave open. `seccomp` is the supervisor.
pub fn candidates(options: &Options) -> Vec<Mechanism> {
    let is_open = |mechanism: &Mechanism| !(options.no_supervisor && *mechanism == Mechanism::Seccomp);
    options.mechanism.map_or_else(|| Mechanism::ALL.into_iter().filter(is_open).collect(), |one| vec![one])
}

/// Binds by one mechanism and verifies it.
pub fn attempt(mechanism: Mechanism, request: &Request) -> Result<Binding, Unavailable> {
    let bound = |guard| binding(request.device, By::Mechanism(mechanism), guard);
    match mechanism {
        Mechanism::Bpf => bpf::bind(request.device, request.options.strict).map(|held| match held {
            Held::Now(gaps) => bound(Guard::Cgroup(gaps)),
            Held::Before => binding(request.device, By::Outer, Guard::Outer),
        }),
        Mechanism::Preload => preload::bind(request).map(|preloaded| {
            let mut binding = bound(preloaded.guard);
            binding.environment.extend(preloaded.variables.into_iter());
            binding
        }),
        Mechanism::Seccomp => seccomp::bind(request).map(bound),
    }
}

/// In the VRF already, by whatever an outer process did: the kernel says so, or the outer run's gate does.
fn is_already_bound(request: &Request) -> bool {
    if verify::is_bound(request.device).is_ok() {
        return verify::holds_mptcp(request.device);
    }
    let is_gated =
        shim::outer_cookie(request.device).is_some_and(|cookie| verify::is_gated(request.device, cookie).is_ok());
    is_gated && preload::enterable(&request.kind()).is_ok()
}

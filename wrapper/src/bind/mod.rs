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

use std::path::{Path, PathBuf};

use binding::{Binding, By, Guard, Request};
use bpf::Held;
use preload::shim;
use seccomp::trace::About;

use crate::error::Error;
use crate::error::unavailable::{CALLS_ALLOWED, Unavailable};
use crate::options::{Mechanism, Options};
use crate::program::environment::Environment;
use crate::program::user::Account;
use crate::sys::feature::Feature;
use crate::sys::seccomp::is_filtered;
use crate::sys::{pidfd, process, syscall};
use crate::vrf::device::Device;

/// Binds this process to the device by the first mechanism that can be verified.
pub fn bind(request: &Request) -> Result<Binding, Error> {
    let mut unavailable = Vec::new();
    for mechanism in candidates(request.options) {
        match by(mechanism, request) {
            Ok(binding) => return trace(binding, request.options, Some(request.device)),
            Err(reason) => unavailable.push((mechanism, reason)),
        }
    }
    if let [(Mechanism::Bpf, reason @ Unavailable { hint: None, .. })] = &mut unavailable[..] {
        reason.hint = instead_of_bpf(request);
    }
    Err(Error::NoMechanism { device: request.device.vrf().to_owned(), unavailable })
}

/// The shim, if the program's sockets depend on it alone: what root can read, the user that root becomes may not, and then
/// the dynamic linker leaves it out.
pub fn shim_alone(by: By, guard: &Guard, device: &str) -> Result<Option<PathBuf>, Error> {
    let is_alone = matches!(guard, Guard::None | Guard::Gate(_));
    if !is_alone || by != By::Mechanism(Mechanism::Preload) {
        return Ok(None);
    }
    shim::object().map(Some).map_err(no_shim(device))
}

/// Under `--strict`: the user that the program will be of cannot leave the cgroup.
pub fn check_user(account: Option<&Account>, options: &Options, device: &Device) -> Result<(), Error> {
    let account = account.filter(|_| options.strict);
    account.map_or(Ok(()), bpf::above::holds).map_err(|reason| {
        let reason = Unavailable { why: format!("--strict: {}", reason.why), ..reason };
        Error::NoMechanism { device: device.vrf().to_owned(), unavailable: vec![(Mechanism::Bpf, reason)] }
    })
}

/// Asks for it once more, as that user.
pub fn check_shim(shim: &Path, device: &str) -> Result<(), Error> {
    shim::check_object(shim).map_err(no_shim(device))
}

fn no_shim(device: &str) -> impl FnOnce(Unavailable) -> Error {
    move |reason| Error::NoMechanism { device: device.into(), unavailable: vec![(Mechanism::Preload, reason)] }
}

/// Under `--trace`: a supervisor beside the program that only looks, where none binds. There is no other mechanism to try
/// for want of one: each needs the same.
pub fn trace(binding: Binding, options: &Options, device: Option<&Device>) -> Result<Binding, Error> {
    let Some(format) = options.trace.filter(|_| binding.guard != Guard::Supervisor) else { return Ok(binding) };
    let by = device.map(|_| binding.by.name());
    seccomp::watch(About { format, by, device, cookie: None }).map_err(Error::NoTrace)?;
    Ok(binding)
}

/// What could be typed instead, where nothing above this process forbids it.
fn instead_of_bpf(request: &Request) -> Option<String> {
    match verify::is_bindable(request.device, None) {
        Ok(()) if request.options.strict => {
            Some("--strict needs root and a writable cgroup2; without it, -m preload needs no privilege".into())
        }
        Ok(()) => Some("vrfrun -m preload needs no privilege".into()),
        Err(reason) => reason.hint,
    }
}

fn binding(device: &Device, by: By, guard: Guard) -> Binding {
    Binding { by, device: Some(device.description()), guard, environment: Environment::of(device) }
}

/// The same for a program that needs no shim: that of an outer run would move its sockets to the outer run's VRF.
fn binding_without_shim(device: &Device, by: By, guard: Guard) -> Binding {
    let mut binding = binding(device, by, guard);
    shim::remove_from(&mut binding.environment);
    binding
}

/// The mechanisms that the options leave open. `seccomp` is the supervisor.
pub fn candidates(options: &Options) -> Vec<Mechanism> {
    let is_open = |mechanism: &Mechanism| !(options.no_supervisor && *mechanism == Mechanism::Seccomp);
    options.mechanism.map_or_else(|| Mechanism::ALL.into_iter().filter(is_open).collect(), |one| vec![one])
}

/// Binds by one mechanism, unless what binds this process already is enough.
pub fn by(mechanism: Mechanism, request: &Request) -> Result<Binding, Unavailable> {
    // What another manager's cgroup leaves open, `bpf` holds; a filter cannot be put under a filter.
    let is_filtered = is_filtered();
    let may_be_enough = mechanism != Mechanism::Bpf || is_filtered;
    if let Some(binding) = may_be_enough.then(|| already_bound(request)).flatten() {
        return Ok(binding);
    }
    if is_filtered {
        is_permitted(mechanism)?;
    }
    attempt(mechanism, request)
}

/// Binds by one mechanism and verifies it.
fn attempt(mechanism: Mechanism, request: &Request) -> Result<Binding, Unavailable> {
    let bound = |guard| binding_without_shim(request.device, By::Mechanism(mechanism), guard);
    match mechanism {
        Mechanism::Bpf => bpf::bind(request.device, request.options.strict).map(|held| match held {
            Held::Now(gaps) => bound(Guard::Cgroup(gaps)),
            Held::Before => binding_without_shim(request.device, By::Outer, Guard::Outer),
        }),
        Mechanism::Preload => preload::bind(request).map(|preloaded| {
            let mut binding = binding(request.device, By::Mechanism(mechanism), preloaded.guard);
            binding.environment.extend(preloaded.variables.into_iter());
            binding
        }),
        Mechanism::Seccomp => seccomp::bind(request).map(bound),
    }
}

/// The filter above does not end this process for a call that the mechanism makes, as one of a systemd unit does.
fn is_permitted(mechanism: Mechanism) -> Result<(), Unavailable> {
    let calls = match mechanism {
        Mechanism::Bpf => "bpf, fsopen, fsconfig or fsmount",
        Mechanism::Preload | Mechanism::Seccomp => "seccomp or pidfd_getfd",
    };
    let make_them = || match mechanism {
        Mechanism::Bpf => drop((Feature::CgroupPrograms.probe(), syscall::detached_cgroup2())),
        Mechanism::Preload | Mechanism::Seccomp => drop((Feature::Filter.probe(), pidfd::own_descriptor())),
    };
    if process::survives(make_them) {
        return Ok(());
    }
    Err(Unavailable::new(format!("a seccomp filter above ends who calls {calls}")).hint(CALLS_ALLOWED))
}

/// In the VRF already, by whatever an outer process did: the kernel says so, or the outer run's gate does. Never under
/// `--strict`, which an outer run may not have held to.
fn already_bound(request: &Request) -> Option<Binding> {
    if request.options.strict {
        return None;
    }
    let device = request.device;
    if verify::is_bound(device).is_ok() {
        if !verify::holds_mptcp(device) {
            return None;
        }
        // The shim stays where its cookie passes the filter that is here; any other binds elsewhere, or in vain.
        let passes = |cookie| is_filtered() && verify::is_bindable(device, Some(cookie)).is_ok();
        let has_shim = shim::outer_cookie(device).is_some_and(passes);
        let binding = if has_shim { binding } else { binding_without_shim };
        return Some(binding(device, By::Outer, Guard::Outer));
    }
    let is_gated = |cookie| verify::is_gated(device, cookie).is_ok() && preload::enterable(&request.kind()).is_ok();
    shim::outer_cookie(device).is_some_and(is_gated).then(|| binding(device, By::Outer, Guard::Outer))
}

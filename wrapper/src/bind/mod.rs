//! Chooses a mechanism: each in its turn, until one is proved.

pub mod bpf;
pub mod preload;
pub mod seccomp;
pub mod trial;
pub mod verify;

use std::fmt::{self, Display, Formatter};

use crate::bind::bpf::cgroup;
use crate::bind::preload::shim;
use crate::bind::seccomp::filter::{self, Policy, Unbound};
use crate::bind::seccomp::install;
use crate::bind::seccomp::io_uring;
use crate::bind::seccomp::supervisor::{self, Failure};
use crate::error::unavailable::Refusal;
use crate::error::{self, Error, note};
use crate::options::Options;
use crate::program::elf::{self, Kind};
use crate::program::environment::Environment;
use crate::program::exec::Program;
use crate::program::user::Account;
use crate::vrf::device::Device;

/// How sockets get into the VRF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// A BPF program on a cgroup of our own.
    Bpf,
    /// The shim in each process, a filter behind it.
    Preload,
    /// The supervisor alone.
    Seccomp,
}

impl Mechanism {
    /// All of them, in the order in which `auto` tries them.
    pub const ALL: [Mechanism; 3] = [Mechanism::Bpf, Mechanism::Preload, Mechanism::Seccomp];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Mechanism::Bpf => "bpf",
            Mechanism::Preload => "preload",
            Mechanism::Seccomp => "seccomp",
        }
    }
}

impl Display for Mechanism {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What stands behind the mechanism.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Guard {
    /// The cgroup holds every socket of every kind.
    Cgroup,
    /// What the shim did not make is made by the supervisor.
    Supervisor,
    /// What the shim did not make is denied; the reason why there is no supervisor.
    Gate(String),
    /// Nothing.
    None,
    /// An outer run's.
    Outer,
}

impl Display for Guard {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Guard::Cgroup => f.write_str("cgroup"),
            Guard::Supervisor => f.write_str("supervisor"),
            Guard::Gate(why) => write!(f, "gate ({why})"),
            Guard::None => f.write_str("none"),
            Guard::Outer => f.write_str("outer"),
        }
    }
}

/// What was engaged.
#[derive(Debug)]
pub struct Engaged {
    /// The line for `-v`.
    pub summary: String,
    /// What the program needs in its environment.
    pub environment: Environment,
}

/// Binds this process to the device by the first mechanism that can be proved.
pub fn engage(
    device: &Device,
    options: &Options,
    program: &Program,
    account: Option<&Account>,
) -> Result<Engaged, Error> {
    if !options.strict && is_already_bound(device, program) {
        return Ok(engaged("already bound", &Guard::Outer, Environment::of(device), device));
    }
    let mut refusals = Vec::new();
    for mechanism in candidates(options) {
        let mut environment = Environment::of(device);
        let kind = || elf::kind_of(&program.path);
        match attempt(mechanism, device, options, &kind, account, &mut environment) {
            Ok(guard) => return Ok(engaged(mechanism.name(), &guard, environment, device)),
            Err(refusal) => refusals.push((mechanism, refusal)),
        }
    }
    Err(Error::NoMechanism { device: device.name.clone(), refusals, is_strict: options.strict })
}

/// The mechanisms that the options leave open.
pub fn candidates(options: &Options) -> Vec<Mechanism> {
    options.mechanism.map_or_else(|| Mechanism::ALL.to_vec(), |one| vec![one])
}

/// Engages one mechanism for a program of this kind and proves it.
pub fn attempt(
    mechanism: Mechanism,
    device: &Device,
    options: &Options,
    kind: &dyn Fn() -> Kind,
    account: Option<&Account>,
    environment: &mut Environment,
) -> Result<Guard, Refusal> {
    match mechanism {
        Mechanism::Bpf => bpf::engage(device, options.strict).map(|()| Guard::Cgroup),
        Mechanism::Preload => preload(device, options, kind, account, environment),
        Mechanism::Seccomp => supervise(device, None, account).map_err(|failure| match failure {
            Failure::NoListener(why) => Refusal::new(why),
            Failure::Refused(refusal) => refusal,
        }),
    }
}

fn preload(
    device: &Device,
    options: &Options,
    kind: &dyn Fn() -> Kind,
    account: Option<&Account>,
    environment: &mut Environment,
) -> Result<Guard, Refusal> {
    let object = shim::find()?;
    let kind = kind();
    startable(&kind)?;
    verify::is_bindable(device, None)?;
    let guard = guard(device, options, &kind, account)?;
    environment.set(shim::PRELOAD, shim::preload_list(std::env::var_os(shim::PRELOAD), &object));
    environment.set(shim::VARIABLE, shim::configuration(guard.1, device));
    Ok(guard.0)
}

/// Puts the filter behind the shim, with a supervisor where there can be one; and the cookie that passes it.
fn guard(
    device: &Device,
    options: &Options,
    kind: &Kind,
    account: Option<&Account>,
) -> Result<(Guard, Option<u64>), Refusal> {
    if options.unguarded {
        enterable(kind)?;
        note(&"warning: --unguarded: static and set-uid programs, io_uring and cleared environments are not bound");
        return Ok((Guard::None, None));
    }
    let cookie = cookie()?;
    let without = if options.no_supervisor {
        "--no-supervisor".into()
    } else {
        match supervise(device, Some(cookie), account) {
            Ok(guard) => return Ok((guard, Some(cookie))),
            Err(Failure::NoListener(why)) => why,
            Err(Failure::Refused(refusal)) => return Err(refusal),
        }
    };
    enterable(kind)?;
    let policy = Policy { unbound: Unbound::Denied, cookie: Some(cookie), io_uring: io_uring::deny_sockets() };
    install::install(&filter::assemble(&policy)).map_err(Refusal::kernel("install the seccomp filter"))?;
    verify::is_gated(device, cookie)?;
    Ok((Guard::Gate(without), Some(cookie)))
}

fn supervise(device: &Device, cookie: Option<u64>, account: Option<&Account>) -> Result<Guard, Failure> {
    // What binds the supervisor's sockets elsewhere can be named only before they are its own affair.
    verify::is_bindable(device, None)?;
    let policy = Policy { unbound: Unbound::Supervised, cookie, io_uring: io_uring::deny_sockets() };
    supervisor::engage(device, &policy, account)?;
    verify::is_supervised(device, cookie)?;
    Ok(Guard::Supervisor)
}

/// Without a supervisor, a program that the shim cannot enter would have all its sockets denied: say it at once.
fn enterable(kind: &Kind) -> Result<(), Refusal> {
    let what = match kind {
        Kind::Static => "statically linked",
        Kind::Foreign => "of another architecture",
        Kind::Dynamic | Kind::Sanitized | Kind::Script(_) | Kind::Unknown => return Ok(()),
    };
    Err(Refusal::new(format!("the program is {what}: the shim cannot enter it, and there is no supervisor"))
        .hint("vrfrun -m seccomp …, or -m bpf as root"))
}

/// AddressSanitizer's runtime ends a program that starts with any object before it, unless it was told not to look.
fn startable(kind: &Kind) -> Result<(), Refusal> {
    let is_lenient = || {
        let options = std::env::var_os("ASAN_OPTIONS").unwrap_or_default();
        options.to_string_lossy().contains("verify_asan_link_order=0")
    };
    if *kind != Kind::Sanitized || is_lenient() {
        return Ok(());
    }
    Err(Refusal::new("the program is built with AddressSanitizer, which starts behind no preloaded object")
        .hint("vrfrun -m seccomp …, or -m bpf as root"))
}

/// A random number of which neither half is zero: registers that nobody set often are.
fn cookie() -> Result<u64, Refusal> {
    let mut bytes = [0; 8];
    // SAFETY: the kernel writes at most eight bytes into a live array.
    let got = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    if got != bytes.len() as isize {
        return Err(Refusal::new("the kernel gave no random number"));
    }
    Ok(u64::from_ne_bytes(bytes) | 1 << 32 | 1)
}

/// In the VRF already, by whatever an outer process did: the kernel says so, or the outer run's gate does.
fn is_already_bound(device: &Device, program: &Program) -> bool {
    if verify::is_bound(device).is_ok() {
        return true;
    }
    let is_gated = shim::outer_cookie(device).is_some_and(|cookie| verify::is_gated(device, cookie).is_ok());
    is_gated && enterable(&elf::kind_of(&program.path)).is_ok()
}

/// VRF `default`: this process's sockets are unbound, or leave where that can be done.
pub fn leave() -> Result<Engaged, Error> {
    let bound = || verify::binding().map_err(Error::kernel("open a socket outside any VRF"));
    if let Some(device) = bound()? {
        cgroup::leave_ours();
        if bound()?.is_some() {
            let why =
                format!("sockets are bound by something else than a cgroup of vrfrun: '{}'", error::text(&device));
            return Err(Error::CannotLeave { device, why });
        }
    }
    let summary = "mechanism=none device=default guard=none".into();
    Ok(Engaged { summary, environment: Environment::of_default() })
}

fn engaged(mechanism: &str, guard: &Guard, environment: Environment, device: &Device) -> Engaged {
    let summary = format!("mechanism={mechanism} device={} guard={guard}", error::text(&device.name));
    Engaged { summary, environment }
}

//! What goes into a mechanism and what comes out of it, as plain values.

use std::fmt::{self, Display, Formatter};

use vrfbpf::set::Gaps;

use crate::options::{Mechanism, Options};
use crate::program::elf::{self, Kind};
use crate::program::environment::Environment;
use crate::program::exec::Program;
use crate::vrf::device::Device;

/// What a mechanism is asked to do.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The device to bind to.
    pub device: &'a Device,
    /// What the user asked for.
    pub options: &'a Options,
    /// The program that will run; None if nothing is to be run.
    pub program: Option<&'a Program>,
}

impl Request<'_> {
    /// The program's kind. Reads the file: only for the mechanisms that depend on it.
    pub fn kind(&self) -> Kind {
        self.program.map_or(Kind::Unknown, |program| elf::kind_of(&program.path))
    }
}

/// What stands behind the mechanism.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Guard {
    /// The cgroup holds every socket of every kind, but for these gaps.
    Cgroup(Gaps),
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
            Guard::Cgroup(gaps) if gaps.is_empty() => f.write_str("cgroup"),
            Guard::Cgroup(gaps) => write!(f, "cgroup ({gaps})"),
            Guard::Supervisor => f.write_str("supervisor"),
            Guard::Gate(why) => write!(f, "gate ({why})"),
            Guard::None => f.write_str("none"),
            Guard::Outer => f.write_str("outer"),
        }
    }
}

/// Who binds the sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// This run.
    Mechanism(Mechanism),
    /// An outer run, or whatever else it was.
    Outer,
    /// Nobody: VRF `default`.
    Nobody,
}

impl By {
    /// As it is shown.
    pub fn name(self) -> &'static str {
        match self {
            By::Mechanism(mechanism) => mechanism.name(),
            By::Outer => "already bound",
            By::Nobody => "none",
        }
    }
}

/// How this process is bound. Shown as the line for `-v`.
#[derive(Debug)]
pub struct Binding {
    /// Who binds.
    pub by: By,
    /// The device; None outside any VRF.
    pub device: Option<String>,
    /// What stands behind it.
    pub guard: Guard,
    /// What the program needs in its environment.
    pub environment: Environment,
}

impl Display for Binding {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mechanism = self.by.name();
        let device = self.device.as_deref().unwrap_or("default");
        write!(f, "mechanism={mechanism} device={device} guard={}", self.guard)
    }
}

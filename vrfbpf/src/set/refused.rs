//! What the kernel refused, so that there is no set of programs.

use std::fmt::{self, Display, Formatter};

use nix::errno::Errno;

use crate::set::gaps::Place;

/// What was tried, and what the kernel said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What was tried.
    pub step: Step,
    /// What the kernel said.
    pub errno: Errno,
}

/// A step on the way to a set of programs, or away from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// To lock the cgroup's directory.
    Lock,
    /// To make the list of ports, write it or ask for its id.
    Ports,
    /// To load the program of this place.
    Load(Place),
    /// To attach it to the cgroup. EPERM: a program of an ancestor allows no other below it.
    Attach(Place),
    /// To detach it.
    Detach(Place),
    /// To write or remove the record.
    Record,
}

impl Step {
    /// For `map_err`.
    pub(crate) fn refused(self) -> impl FnOnce(Errno) -> Refused {
        move |errno| Refused { step: self, errno }
    }
}

impl Display for Step {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Step::Lock => f.write_str("lock the cgroup"),
            Step::Ports => f.write_str("write the list of ports"),
            Step::Load(place) => write!(f, "load the BPF program {}", place.name()),
            Step::Attach(place) => write!(f, "attach the BPF program {}", place.name()),
            Step::Detach(place) => write!(f, "detach the BPF program {}", place.name()),
            Step::Record => f.write_str("write on the cgroup"),
        }
    }
}

/// The end of a sentence; the kernel's words last.
impl Display for Refused {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}: {}", self.step, self.errno.desc())
    }
}

impl std::error::Error for Refused {}

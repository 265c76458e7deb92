//! Why one mechanism is not used: a reason, and at most one command that would change that.

use std::fmt::{self, Display, Formatter};

use nix::errno::Errno;

/// For EMFILE. vrfrun itself needs about a dozen.
pub const MORE_DESCRIPTORS: &str = "ulimit -n 64";

/// For a filter above that denies what a mechanism does.
pub const CALLS_ALLOWED: &str = "allow close_range, pidfd_getfd and seccomp in the filter above; in a unit: \
    SystemCallFilter=@system-service seccomp pidfd_getfd";

/// A mechanism's own reason why it is not available here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable {
    /// The reason, as the end of a sentence.
    pub why: String,
    /// What can be typed to fix it.
    pub hint: Option<String>,
}

impl Unavailable {
    /// Without a hint.
    pub fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), hint: None }
    }

    /// Adds what can be typed to fix it.
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Names what stands behind this reason, which has the better hint, if any.
    pub fn because(self, cause: &Unavailable) -> Self {
        Self { why: format!("{} ({})", self.why, cause.why), hint: cause.hint.clone() }
    }

    /// For `map_err`: what was tried, and what the kernel said.
    pub fn kernel(tried: impl Into<String>) -> impl FnOnce(Errno) -> Unavailable {
        let tried = tried.into();
        move |errno| {
            let hint = (errno == Errno::EMFILE).then(|| MORE_DESCRIPTORS.into());
            Unavailable { why: format!("cannot {tried}: {}", errno.desc()), hint }
        }
    }
}

impl Display for Unavailable {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

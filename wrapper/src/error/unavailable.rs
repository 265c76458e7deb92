//! Why one mechanism is not used: a reason, and at most one command that would change that.

use std::fmt::{self, Display, Formatter};

use nix::errno::Errno;

/// A mechanism's own word on why it cannot be had here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The reason, as the end of a sentence.
    pub why: String,
    /// What can be typed to fix it.
    pub hint: Option<String>,
}

impl Refusal {
    /// A refusal without a hint.
    pub fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), hint: None }
    }

    /// Adds what can be typed to fix it.
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// For `map_err`: what was tried, and what the kernel said.
    pub fn kernel(tried: impl Into<String>) -> impl FnOnce(Errno) -> Refusal {
        let tried = tried.into();
        move |errno| Refusal::new(format!("cannot {tried}: {}", errno.desc()))
    }
}

impl Display for Refusal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

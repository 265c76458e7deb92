//! A command to be judged: its words, its user, its environment. Pure.

use std::ffi::{OsStr, OsString};
use std::time::Duration;

/// The plain user of the world.
pub const USER: u32 = 1000;
/// Only a command that hangs takes this long, even in an emulated machine on a busy host; and a daemon runs for as long as
/// its test does.
const LIMIT: Duration = Duration::from_secs(900);

/// A command to be judged.
#[derive(Clone, Debug)]
pub struct Order {
    pub(super) words: Vec<OsString>,
    pub(super) user: Option<u32>,
    pub(super) environment: Vec<(OsString, OsString)>,
    pub(super) limit: Duration,
}

/// A command line, as root.
pub fn root<W: AsRef<OsStr>>(words: impl IntoIterator<Item = W>) -> Order {
    Order {
        words: words.into_iter().map(|word| word.as_ref().to_owned()).collect(),
        user: None,
        environment: Vec::new(),
        limit: LIMIT,
    }
}

/// A command line, as a plain user without any capability.
pub fn user<W: AsRef<OsStr>>(words: impl IntoIterator<Item = W>) -> Order {
    Order { user: Some(USER), ..root(words) }
}

impl Order {
    /// With one more variable in its environment.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// With another limit than that.
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }
}

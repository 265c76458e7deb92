//! An interface as requests and messages name it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::model::shell;

/// An interface, by the two things that requests and messages need.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// The index; 0 for one that the kernel has yet to make.
    pub ifindex: u32,
    pub name: String,
}

impl Device {
    /// Its name as it stands in a command.
    pub fn word(&self) -> Cow<'_, str> {
        shell::word(&self.name)
    }
}

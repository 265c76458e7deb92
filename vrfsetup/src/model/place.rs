//! Where the sockets of a user are.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::shell;

/// The name of no VRF, for users who are to be in one that nobody can tell: no interface can have it, so their sockets fail.
pub const NOWHERE: &str = ".";

/// A VRF, and whether there is a way out of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The name of the VRF, or [`NOWHERE`].
    pub vrf: String,
    /// Whether the user's processes in group `vrf-default` are left in the default domain.
    pub may_leave: bool,
    /// Whether the user's logins have the files of the VRF.
    #[serde(default)]
    pub has_etc: bool,
}

impl Place {
    /// Without a VRF and without a network.
    pub fn nowhere() -> Self {
        Self { vrf: NOWHERE.to_owned(), may_leave: false, has_etc: false }
    }

    /// Whether it is no VRF.
    pub fn is_nowhere(&self) -> bool {
        self.vrf == NOWHERE
    }
}

/// As `vrfsetup user` takes it.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let option = |is_given, option| if is_given { option } else { "" };
        let options = [option(self.may_leave, " --allow-default"), option(self.has_etc, " --etc")];
        write!(f, "{}{}", shell::word(&self.vrf), options.concat())
    }
}

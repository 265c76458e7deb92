//! `vrfsetup user`: who is in which VRF.

use std::fmt;

use serde::Serialize;

use crate::error::Error;
use crate::sys::{accounts, run_dir, users};

/// A user whose sockets are in a VRF.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The name, or the number where there is none.
    pub user: String,
    pub uid: u32,
    pub vrf: String,
    /// The index that the sockets are bound to; none while there is no such VRF.
    pub ifindex: Option<u32>,
}

/// All of them. In another network namespace than the machine's they are in no VRF.
///
/// # Errors
/// The kernel will not say.
pub fn all() -> Result<Vec<Entry>, Error> {
    let state = users::read().map_err(Error::unreadable("the users of VRFs"))?;
    // Only who may read them can be told anything of process 1.
    if !run_dir::is_first_netns() {
        return Ok(Vec::new());
    }
    Ok(entries(state))
}

/// The same for who can do without: nothing where it may not be read.
pub fn visible() -> Vec<Entry> {
    if run_dir::is_first_netns() { entries(users::visible()) } else { Vec::new() }
}

fn entries(state: users::State) -> Vec<Entry> {
    let entry = |users::Assigned { uid, vrf, ifindex }| Entry { user: accounts::name_of(uid), uid, vrf, ifindex };
    state.users.into_iter().map(entry).collect()
}

/// One line: the user, and the VRF.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let missing = match self.ifindex {
            Some(_) => "",
            None if self.vrf == users::NOWHERE => "  (its line in vrf.toml has a mistake: sockets fail)",
            None => "  (no such VRF: sockets fail)",
        };
        writeln!(f, "{:16}  {}{missing}", self.user, self.vrf)
    }
}

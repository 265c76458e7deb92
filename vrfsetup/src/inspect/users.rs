//! `vrfsetup user`: who is in which VRF, and whose sockets fail.

use std::fmt;

use serde::Serialize;

use crate::error::Error;
use crate::model::link::Link;
use crate::sys::netlink::Kernel;
use crate::sys::users::Assigned;
use crate::sys::{accounts, run_dir, users};

/// A user whose sockets are in a VRF, or fail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The name, or the number where there is none.
    pub user: String,
    pub uid: u32,
    /// None where it was to be in one that nobody can tell.
    pub vrf: Option<String>,
    /// The index that the sockets are bound to; none while there is no such VRF.
    pub ifindex: Option<u32>,
    /// Whether its processes in group `vrf-default` are left in the default domain.
    pub allow_default: bool,
    /// Whether its logins have the files of the VRF.
    pub etc: bool,
    pub state: State,
    /// Why not bound.
    pub reason: Option<Reason>,
}

/// What becomes of a user's sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// They are in the VRF.
    Bound,
    /// They fail.
    Closed,
    /// Some may be in the default domain.
    Open,
}

/// Why they are not in the VRF.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The user's line in vrf.toml has a mistake.
    Mistake,
    NoSuchVrf,
    /// Others have made the VRF again.
    StaleVrf,
    /// Others have detached a program.
    NoProgram,
}

/// All of them. In another network namespace than the machine's they are in no VRF.
///
/// # Errors
/// The kernel will not say.
pub fn all(kernel: &Kernel) -> Result<Vec<Entry>, Error> {
    let state = users::read().map_err(Error::unreadable("the users of VRFs"))?;
    // Only who may read them can be told anything of process 1.
    if !run_dir::is_first_netns() {
        return Ok(Vec::new());
    }
    users::expect_root().map_err(Error::unreadable(users::ROOT))?;
    if state.users.is_empty() {
        return Ok(Vec::new());
    }
    Ok(entries(state, &kernel.links().map_err(Error::unreadable("the interfaces"))?))
}

/// The same for who can do without: nothing where it may not be read. `links`: all of the network namespace.
///
/// # Errors
/// Nobody can tell whether there are users, or whose logins have files.
pub fn visible(links: &[Link]) -> Result<Vec<Entry>, Error> {
    if !run_dir::is_first_netns() {
        return Ok(Vec::new());
    }
    let state = users::known().and_then(users::State::whole).map_err(Error::unreadable("the users of VRFs"))?;
    Ok(entries(state, links))
}

fn entries(state: users::State, links: &[Link]) -> Vec<Entry> {
    let lacks_programs = state.lacks_programs;
    state.users.into_iter().map(|user| entry(user, lacks_programs, links)).collect()
}

fn entry(user: Assigned, lacks_programs: bool, links: &[Link]) -> Entry {
    let reason = reason(&user, lacks_programs, links);
    let state = match reason {
        None => State::Bound,
        Some(Reason::NoProgram) => State::Open,
        Some(_) => State::Closed,
    };
    let is_nowhere = user.place().is_nowhere();
    let Assigned { uid, vrf, ifindex, group, has_etc: etc } = user;
    let vrf = (!is_nowhere).then_some(vrf);
    Entry { user: accounts::name_of(uid), uid, vrf, ifindex, allow_default: group.is_some(), etc, state, reason }
}

fn reason(user: &Assigned, lacks_programs: bool, links: &[Link]) -> Option<Reason> {
    let index = links.iter().find(|link| link.name == user.vrf && link.is_vrf()).map(|link| link.ifindex);
    match index {
        _ if lacks_programs => Some(Reason::NoProgram),
        _ if user.place().is_nowhere() => Some(Reason::Mistake),
        None => Some(Reason::NoSuchVrf),
        Some(_) if index != user.ifindex => Some(Reason::StaleVrf),
        Some(_) => None,
    }
}

impl Reason {
    fn text(self) -> &'static str {
        match self {
            Self::Mistake => "closed: its line in vrf.toml has a mistake",
            Self::NoSuchVrf => "closed: no such VRF",
            Self::StaleVrf => "closed: the VRF was made again since",
            Self::NoProgram => "open: somebody has detached programs",
        }
    }
}

/// One line: the user, the VRF, and what is special.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:16}  {}", self.user, self.vrf.as_deref().unwrap_or("-"))?;
        if self.allow_default {
            f.write_str("  --allow-default")?;
        }
        if self.etc {
            f.write_str("  --etc")?;
        }
        self.reason.map_or(Ok(()), |reason| write!(f, "  ({})", reason.text()))?;
        f.write_str("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::place::NOWHERE;

    #[test]
    fn who_is_closed_is_told_from_who_is_bound_and_why() {
        let links = [Link::plain(7, "blue", Some(10)), Link::plain(8, "red", None)];
        let told = |vrf: &str, ifindex, lacks_programs| {
            let user = Assigned { uid: 4_294_967_000, vrf: vrf.to_owned(), ifindex, group: None, has_etc: false };
            let entry = entry(user, lacks_programs, &links);
            (entry.vrf.clone(), entry.state, entry.reason, entry.to_string())
        };
        let line = |rest: &str| format!("4294967000        {rest}\n");
        let blue = || Some("blue".to_owned());
        assert_eq!(told("blue", Some(7), false), (blue(), State::Bound, None, line("blue")));
        let (vrf, state, reason, text) = told("blue", Some(6), false);
        assert_eq!((vrf, state, reason), (blue(), State::Closed, Some(Reason::StaleVrf)));
        assert_eq!(text, line("blue  (closed: the VRF was made again since)"));
        assert_eq!(told("red", None, false).2, Some(Reason::NoSuchVrf));
        assert_eq!(told("blue", Some(7), true).1, State::Open);
        let (vrf, state, reason, text) = told(NOWHERE, None, false);
        assert_eq!((vrf, state, reason), (None, State::Closed, Some(Reason::Mistake)));
        assert_eq!(text, line("-  (closed: its line in vrf.toml has a mistake)"));
    }
}

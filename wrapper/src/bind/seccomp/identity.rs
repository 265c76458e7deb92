//! As whom the supervisor makes a socket: as its caller. A socket belongs to the user and group of its maker, and the
//! kernel asks the maker's groups whether there is a ping socket to be had.
//!
//! It stays the last caller until another comes, and the real user stays its own, so that no caller can send it a signal
//! that its own user could not.

use nix::errno::Errno;
use nix::unistd::{Gid, Uid, getegid, geteuid, setfsgid, setfsuid, setgroups, setresgid, setresuid};

use crate::bind::seccomp::status::Credentials;
use crate::sys::capability::{CAP_SETGID, CAP_SETUID, Kept, bit};
use crate::sys::pidfd::Ids;

/// Leaves an id as it is.
const SAME: u32 = u32::MAX;

/// As whom sockets are to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acting {
    /// As the caller, or not at all.
    AsCaller,
    /// As the supervisor's own user, who can be nobody else and owns the user namespaces of all callers.
    AsItself,
}

/// As whom this process acts.
pub struct Identity {
    acting: Acting,
    taken: Option<Credentials>,
}

impl Identity {
    /// As it began.
    pub fn new(own: Credentials, acting: Acting) -> Self {
        Self { acting, taken: Some(own) }
    }

    /// Acts as the caller from now on, or not at all.
    pub fn take(&mut self, wanted: &Credentials, kept: &Kept) -> nix::Result<()> {
        if self.acting == Acting::AsItself || self.taken.as_ref() == Some(wanted) {
            return Ok(());
        }
        let rights = bit(CAP_SETUID) | bit(CAP_SETGID);
        // Who may not set groups has changed nothing yet, and stays who it was.
        kept.with(rights, || set_groups(&wanted.groups)).map_err(|_| Errno::EACCES)?;
        self.taken = None;
        let outcome = kept.with(rights, || become_them(wanted.ids));
        // To become root puts everything into effect.
        kept.lay_down();
        outcome.map_err(|_| Errno::EACCES)?;
        kept.with(rights, || own_files_as(wanted.ids));
        if acts_as() != wanted.ids {
            return Err(Errno::EACCES);
        }
        self.taken = Some(wanted.clone());
        Ok(())
    }
}

fn set_groups(groups: &[u32]) -> nix::Result<()> {
    setgroups(&groups.iter().copied().map(Gid::from_raw).collect::<Vec<_>>())
}

/// The group first: after the user has changed, nothing may be changed any more.
fn become_them(ids: Ids) -> nix::Result<()> {
    let (same_user, same_group) = (Uid::from_raw(SAME), Gid::from_raw(SAME));
    setresgid(same_group, Gid::from_raw(ids.gid), same_group)?;
    setresuid(same_user, Uid::from_raw(ids.uid), same_user)
}

/// Where they are others: setresuid(2) and setresgid(2) have set these too.
fn own_files_as(ids: Ids) {
    if ids.fsgid != ids.gid {
        setfsgid(Gid::from_raw(ids.fsgid));
    }
    if ids.fsuid != ids.uid {
        setfsuid(Uid::from_raw(ids.fsuid));
    }
}

fn acts_as() -> Ids {
    Ids {
        uid: geteuid().as_raw(),
        // These two change nothing when they are asked for nobody, and say who it was.
        fsuid: setfsuid(Uid::from_raw(SAME)).as_raw(),
        gid: getegid().as_raw(),
        fsgid: setfsgid(Gid::from_raw(SAME)).as_raw(),
    }
}

//! What one round does with a socket.

use std::os::fd::OwnedFd;

use super::found::Found;
use super::judge::{Decision, Target};
use super::place::Places;
use super::tag::Tags;
use super::verdict::Fate;
use super::{Request, rebind};
use crate::sys::netlink::errno_text;

/// What a round asks of each socket.
pub struct Round<'a> {
    pub target: &'a Target<'a>,
    /// Of the sockets of users.
    pub tags: &'a Tags,
    /// The network namespace.
    pub netns: u64,
    pub places: &'a Places<'a>,
    pub request: &'a Request<'a>,
    /// The processes that are in their cgroups.
    pub moved: &'a [Found],
}

impl Round<'_> {
    /// What becomes of a socket, and why.
    pub fn carry_out(&self, decision: Decision, socket: &OwnedFd) -> (Fate, Option<String>) {
        match decision {
            Decision::Leave if self.request.is_dry => (Fate::Unchanged, None),
            // One that an earlier run was killed over may have its old tag.
            Decision::Leave => self.followed(socket, Fate::Unchanged),
            Decision::Stay(why) => (Fate::Stays, Some(why)),
            Decision::Close => (Fate::Stays, None),
            Decision::Rebind if self.request.is_dry => (Fate::Moves, None),
            Decision::Rebind => match rebind(socket, self.target) {
                Ok(()) => self.followed(socket, Fate::Moved),
                Err(errno) => (Fate::Failed, Some(errno_text(errno as i32))),
            },
        }
    }

    fn followed(&self, socket: &OwnedFd, fate: Fate) -> (Fate, Option<String>) {
        match self.tags.follow(socket, self.target) {
            Ok(()) => (fate, None),
            Err(errno) => (Fate::Failed, Some(errno_text(errno as i32))),
        }
    }
}

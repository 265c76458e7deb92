//! The tags of users' sockets (`vrfsetup user`): packets of a socket that has one pass by the VRF of its tag only, so it has to
//! follow the socket.

use std::fs::File;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use vrfbpf::Users;

use super::judge::Target;
use crate::sys::users;

/// The map of them; none where no user is in a VRF.
pub struct Tags(Option<Users>);

impl Tags {
    /// Looks for it.
    pub fn find() -> Self {
        let of_root = |root: File| Users::find(root).ok().flatten();
        Self(users::root().ok().flatten().and_then(of_root))
    }

    /// Gives a socket that is bound to the wanted VRF the tag of this one, if it has another.
    pub fn follow(&self, socket: &OwnedFd, target: &Target<'_>) -> Result<(), Errno> {
        match (&self.0, &target.vrf) {
            (Some(users), Some(vrf)) => users.retag(socket, vrf.ifindex),
            _ => Ok(()),
        }
    }
}

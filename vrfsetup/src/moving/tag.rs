//! The tags of users' sockets (`vrfsetup user`): packets of a socket that has one pass by the VRF of its tag only, so it has to
//! follow the socket.

use std::io;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use vrfbpf::Users;
use vrfsock::device;

use super::judge::Target;
use crate::sys::users;

/// The map of them; none where no user is in a VRF.
pub struct Tags(Option<Users>);

impl Tags {
    /// Looks for it.
    ///
    /// # Errors
    /// Nobody can tell whether sockets have tags: one that keeps its old tag would lose all its packets.
    pub fn find() -> io::Result<Self> {
        let Some(root) = users::root()? else {
            let is_nobodys = users::visible().users.is_empty();
            return if is_nobodys { Ok(Self(None)) } else { users::expect_root().map(|()| Self(None)) };
        };
        match Users::find(root) {
            // A kernel without programs of cgroups.
            Err(Errno::EINVAL | Errno::ENOSYS) => Ok(Self(None)),
            found => Ok(Self(found?)),
        }
    }

    /// Gives a socket that is bound to the wanted VRF the tag of this one, if it has another; one that has come into the
    /// default domain has none any more.
    pub fn follow(&self, socket: &OwnedFd, target: &Target<'_>) -> Result<(), Errno> {
        match (&self.0, &target.vrf) {
            (Some(users), Some(vrf)) => users.retag(socket, vrf.ifindex),
            (Some(users), None) if device::of(socket)? == 0 => users.untag(socket),
            _ => Ok(()),
        }
    }
}

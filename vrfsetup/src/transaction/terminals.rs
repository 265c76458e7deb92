//! Sessions whose other end only a program knows: a UDP socket that is not connected, of a program that holds the master side
//! of a pseudoterminal (mosh-server).

use std::cell::OnceCell;

use crate::error::Error;
use crate::sys::open_files;
use crate::sys::sock_diag::{self, Connection};

/// Those of this network namespace, looked for once: all of /proc is read for them.
#[derive(Default)]
pub struct Terminals(OnceCell<Vec<Connection>>);

impl Terminals {
    /// Their sockets, as far as those have an address of their own that others can reach. Those of programs whose descriptors
    /// this process may not see are not among them.
    ///
    /// # Errors
    /// The kernel does not list UDP sockets.
    pub fn sockets(&self) -> Result<&[Connection], Error> {
        if let Some(known) = self.0.get() {
            return Ok(known);
        }
        let mut all = sock_diag::unconnected().map_err(Error::unreadable("the UDP sockets"))?;
        all.retain(|socket| !socket.local.0.is_loopback());
        if !all.is_empty() {
            let beside = open_files::sockets_beside_terminals();
            all.retain(|socket| beside.contains(&socket.inode.into()));
        }
        Ok(self.0.get_or_init(|| all))
    }
}

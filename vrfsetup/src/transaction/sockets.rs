//! The sockets of this network namespace that may be somebody's session, and those that have a port. Each list is read once
//! in a run: a thousand VRFs may ask for it.

use std::cell::OnceCell;

use crate::error::Error;
use crate::sys::netlink::KernelError;
use crate::sys::open_files;
use crate::sys::sock_diag::{self, Connection};

/// What was listed so far.
#[derive(Default)]
pub struct Sockets {
    established: OnceCell<Vec<Connection>>,
    of_terminals: OnceCell<Vec<Connection>>,
    listening: OnceCell<Vec<Connection>>,
    tcp: OnceCell<Vec<Connection>>,
}

impl Sockets {
    /// TCP connections and connected UDP sockets.
    ///
    /// # Errors
    /// The kernel does not list them.
    pub fn established(&self) -> Result<&[Connection], Error> {
        once(&self.established, sock_diag::established, "the established connections")
    }

    /// Sessions whose other end only a program knows: UDP sockets that are not connected, of programs that hold the master side
    /// of a pseudoterminal (mosh-server), as far as they have an address of their own that others can reach. All of /proc is
    /// read for them; those of programs whose descriptors this process may not see are not among them.
    ///
    /// # Errors
    /// The kernel does not list UDP sockets.
    pub fn of_terminals(&self) -> Result<&[Connection], Error> {
        once(&self.of_terminals, of_terminals, "the UDP sockets")
    }

    /// TCP sockets that listen.
    ///
    /// # Errors
    /// The kernel does not list them.
    pub fn listening(&self) -> Result<&[Connection], Error> {
        once(&self.listening, sock_diag::listening, "the listening sockets")
    }

    /// All TCP sockets, also what is left of connections.
    ///
    /// # Errors
    /// The kernel does not list them.
    pub fn tcp(&self) -> Result<&[Connection], Error> {
        once(&self.tcp, sock_diag::tcp, "the TCP sockets")
    }
}

fn once<'a>(
    known: &'a OnceCell<Vec<Connection>>,
    list: impl FnOnce() -> Result<Vec<Connection>, KernelError>,
    what: &str,
) -> Result<&'a [Connection], Error> {
    if let Some(known) = known.get() {
        return Ok(known);
    }
    let all = list().map_err(Error::unreadable(what))?;
    Ok(known.get_or_init(|| all))
}

fn of_terminals() -> Result<Vec<Connection>, KernelError> {
    let mut all = sock_diag::unconnected()?;
    all.retain(|socket| !socket.local.0.is_loopback());
    if !all.is_empty() {
        let beside = open_files::sockets_beside_terminals();
        all.retain(|socket| beside.contains(&socket.inode.into()));
    }
    Ok(all)
}

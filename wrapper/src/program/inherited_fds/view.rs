//! What becomes of one descriptor that the program would inherit. Changes nothing.

use std::cell::OnceCell;
use std::os::fd::{AsFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::socket::{SockaddrStorage, getpeername};

use vrfabi::socket::IPPROTO_SMC;

use crate::error::text;
use crate::program::inherited_fds::descriptors::{Descriptors, What};
use crate::program::inherited_fds::family::Family;
use crate::program::inherited_fds::port;
use crate::sys::process::descriptor;
use crate::sys::socket;
use crate::vrf::device::Device;
use crate::vrf::netns;

/// What becomes of a descriptor.
pub enum Fate {
    /// The program gets it as it is.
    Nothing,
    /// It is bound first.
    Bind,
    /// The program gets it, and a line says so: what it is.
    Warn(String),
    /// Nothing is run: what it is.
    Refuse(String),
}

/// What descriptors are judged by.
pub struct View<'a> {
    /// Where the program is to be.
    pub device: &'a Device,
    /// Whether no socket is taken.
    pub is_strict: bool,
    /// This process's.
    pub descriptors: &'a Descriptors,
    /// The cookie of this process's network namespace, once it was asked for.
    pub netns: OnceCell<nix::Result<u64>>,
}

impl View<'_> {
    /// Decides. What cannot be looked at, because a security module withholds it, is refused.
    pub fn judge(&self, fd: RawFd) -> Fate {
        let fate = match self.descriptors.what(fd) {
            Ok(What::Socket) if is_kept(fd) => self.judge_socket(fd),
            Ok(What::Ring) if is_kept(fd) => Ok(refused("an io_uring instance, which makes sockets outside it")),
            Err(errno) if is_kept(fd) => Err(errno),
            Ok(What::Socket | What::Ring | What::Other) | Err(_) => Ok(Fate::Nothing),
        };
        fate.unwrap_or_else(|errno| Fate::Refuse(format!("nothing that can be looked at: {}", errno.desc())))
    }

    fn judge_socket(&self, fd: RawFd) -> nix::Result<Fate> {
        match Family::of(socket::domain_of(&descriptor(fd))?) {
            Family::Local => Ok(Fate::Nothing),
            // The programs of --strict hold what is made in their cgroup, and these were made outside it.
            Family::Other(what) if self.is_strict => Ok(Fate::Refuse(format!("{what}, and --strict takes none"))),
            _ if self.is_strict => Ok(refused("an inherited socket, and --strict takes none")),
            Family::Other(what) => Ok(Fate::Warn(what)),
            Family::Smc => Ok(holds_others("SMC")),
            Family::Inet => self.judge_inet(fd),
        }
    }

    fn judge_inet(&self, fd: RawFd) -> nix::Result<Fate> {
        let socket = descriptor(fd);
        // A name and an index mean other devices there: before anything else, for they would be believed.
        match self.is_own_netns(&socket) {
            Ok(true) => {}
            Ok(false) => return Ok(refused("a socket of another network namespace")),
            Err(Errno::EPERM) => {
                let why = "before Linux 5.14 only root can tell";
                return Ok(Fate::Refuse(format!("a socket of this or another network namespace ({why})")));
            }
            Err(errno) => return Err(errno),
        }
        let protocol = socket::protocol_of(&socket)?;
        match protocol {
            libc::IPPROTO_MPTCP => return Ok(holds_others("MPTCP")),
            IPPROTO_SMC => return Ok(holds_others("SMC")),
            _ => {}
        }
        match socket::device_of(&socket) {
            Ok(Some(name)) if name == self.device.name => bound_already(&socket),
            Ok(Some(name)) => Ok(Fate::Refuse(format!("a socket bound to '{}'", text(&name)))),
            // Nothing leaves by it.
            Err(Errno::ENODEV) => Ok(refused("a socket bound to a device that is gone")),
            Err(errno) => Err(errno),
            Ok(None) => judge_unbound(fd, protocol, self.device),
        }
    }

    fn is_own_netns(&self, socket: &impl AsFd) -> nix::Result<bool> {
        let own =
            self.netns.get_or_init(|| socket::netns_cookie_of(&socket::open(libc::AF_UNIX, libc::SOCK_DGRAM, 0)?));
        match own {
            Ok(own) => Ok(socket::netns_cookie_of(socket)? == *own),
            Err(Errno::ENOPROTOOPT) => Ok(vrfsock::device::netns(socket)? == netns::inode()?),
            Err(errno) => Err(*errno),
        }
    }
}

/// It may be bound, unless it talks to somebody outside the VRF.
fn judge_unbound(fd: RawFd, protocol: libc::c_int, device: &Device) -> nix::Result<Fate> {
    let socket = descriptor(fd);
    match socket::type_of(&socket)? {
        libc::SOCK_STREAM if protocol != libc::IPPROTO_TCP => return Ok(unknown(protocol)),
        libc::SOCK_DCCP => return Ok(unknown(protocol)),
        libc::SOCK_STREAM if socket::is_connecting(&socket)? => {
            return Ok(refused("a connection in progress outside it"));
        }
        _ => {}
    }
    if protocol == libc::IPPROTO_SCTP && socket::has_associations(&socket)? {
        return Ok(refused("an SCTP socket with associations outside it"));
    }
    match getpeername::<SockaddrStorage>(fd) {
        Err(Errno::ENOTCONN) if protocol == libc::IPPROTO_TCP => judge_port(&socket, device),
        Err(Errno::ENOTCONN) => Ok(Fate::Bind),
        _ => Ok(refused("an established connection outside it")),
    }
}

/// Its port stays in the list of the domain that it was bound in.
fn judge_port(socket: &impl AsFd, device: &Device) -> nix::Result<Fate> {
    let domain = port::devices_around(device)?;
    if domain.is_empty() {
        return Ok(Fate::Bind);
    }
    Ok(match socket::is_listening(socket) {
        true if port::is_in_use(socket, &domain)? => {
            refused("a listener whose port is in use there, if only by a connection that ended within the last minute")
        }
        false if port::has_one(socket)? => refused("a TCP socket that has a port outside it and does not listen yet"),
        _ => Fate::Bind,
    })
}

/// SCTP for one peer, DCCP: the kernel does not tell whether it connects.
fn unknown(protocol: libc::c_int) -> Fate {
    Fate::Refuse(format!("a socket of IP protocol {protocol}, which may be connecting outside it"))
}

fn refused(what: &str) -> Fate {
    Fate::Refuse(what.into())
}

/// Those inside it are the kernel's own, bound by nobody where it was made outside, whatever it says of itself.
fn holds_others(name: &str) -> Fate {
    Fate::Refuse(format!("an {name} socket, and those inside it are bound by nobody"))
}

/// Those of datagrams may lack the options that name the VRF.
fn bound_already(socket: &impl AsFd) -> nix::Result<Fate> {
    Ok(match socket::type_of(socket)? {
        libc::SOCK_DGRAM | libc::SOCK_RAW => Fate::Bind,
        _ => Fate::Nothing,
    })
}

/// Whether exec keeps it.
fn is_kept(fd: RawFd) -> bool {
    fcntl(descriptor(fd), FcntlArg::F_GETFD).is_ok_and(|flags| flags & FdFlag::FD_CLOEXEC.bits() == 0)
}

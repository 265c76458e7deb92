//! Sockets that the program will inherit. Of those that a VRF holds, the ones made by socket activation are bound before
//! the program starts; what already talks to someone outside the VRF, or is of another network namespace, is refused.
//!
//! Looks at descriptors, not into them: a socket in an epoll or io_uring instance, or on its way through an AF_UNIX
//! socket, is not seen.

use std::cell::OnceCell;
use std::ffi::OsString;
use std::os::fd::{AsFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::socket::{SockaddrStorage, getpeername};

use crate::error::{Error, note, text};
use crate::program::accept_queue;
use crate::sys::interface_option::{self, InterfaceOption};
use crate::sys::process::descriptor;
use crate::sys::socket::{self, AF_SMC};
use crate::vrf::device::Device;
use crate::vrf::netns;

/// Families that send packets past any VRF, or lead into the network by another way than IP.
const OTHERS: [(libc::c_int, &str); 8] = [
    (libc::AF_PACKET, "AF_PACKET"),
    (libc::AF_XDP, "AF_XDP"),
    (libc::AF_TIPC, "AF_TIPC"),
    (libc::AF_VSOCK, "AF_VSOCK"),
    (libc::AF_RDS, "AF_RDS"),
    (libc::AF_RXRPC, "AF_RXRPC"),
    (libc::AF_CAN, "AF_CAN"),
    (libc::AF_BLUETOOTH, "AF_BLUETOOTH"),
];

/// Sockets that are to be bound: inherited, inet, unbound, and without a peer.
#[derive(Debug, Default)]
pub struct Inherited(Vec<RawFd>);

/// Looks at every descriptor that exec will keep. Changes nothing.
pub fn look(device: &Device, is_strict: bool) -> Result<Inherited, Error> {
    let failed = |error: std::io::Error| {
        Error::kernel("read /proc/self/fd")(Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))
    };
    let view = View { device, is_strict, netns: OnceCell::new() };
    let mut unbound = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd").map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        // The directory itself is among them, and no socket.
        if let Some(fd) = name.to_str().and_then(|name| name.parse().ok()) {
            match view.judge(fd) {
                Fate::Nothing => {}
                Fate::Bind => unbound.push(fd),
                Fate::Warn(what) => note(&format_args!(
                    "warning: descriptor {fd} is an {what} socket, which no VRF holds: the program gets it as it is"
                )),
                Fate::Refuse(what) => {
                    return Err(Error::ForeignDescriptor { fd, what, device: device.name.clone(), is_strict });
                }
            }
        }
    }
    Ok(Inherited(unbound))
}

impl Inherited {
    /// Whether there is none to bind.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Binds them, and closes the connections that wait in their queues. The sockets are shared with whoever handed
    /// them over, so this comes last.
    pub fn bind(self, device: &Device) -> Result<Bound, Error> {
        let mut bound = Bound { fds: Vec::new(), device: device.name.clone() };
        for fd in self.0 {
            let socket = descriptor(fd);
            let (before, after) = options_of(fd);
            if let Err(errno) = interface_option::bind(&socket, device.name_bytes(), before, after) {
                bound.fds.push(fd); // some of it may be done
                bound.undo();
                return Err(Error::kernel(format!("bind inherited descriptor {fd}"))(errno));
            }
            bound.fds.push(fd);
        }
        for &fd in &bound.fds {
            if let Err(errno) = accept_queue::close_waiting(fd, device) {
                bound.undo();
                return Err(Error::kernel(format!("close what waits at inherited descriptor {fd}"))(errno));
            }
        }
        Ok(bound)
    }
}

/// Inherited sockets that this run has bound.
#[derive(Debug, Default)]
pub struct Bound {
    fds: Vec<RawFd>,
    device: OsString,
}

impl Bound {
    /// The program did not start: unbinds them, for others use them. That takes CAP_NET_RAW.
    pub fn undo(&self) {
        for &fd in &self.fds {
            let (before, after) = options_of(fd);
            if let Err(errno) = interface_option::unbind(&descriptor(fd), before, after) {
                let (device, why) = (text(&self.device), errno.desc());
                note(&format_args!("warning: inherited descriptor {fd} stays bound to '{device}': {why}"));
            }
        }
    }
}

/// The options that name the VRF once `connect(AF_UNSPEC)` has taken the binding; no hook of BPF looks at a socket that
/// was made elsewhere. Whatever they named before is forgotten.
fn options_of(fd: RawFd) -> (&'static [InterfaceOption], &'static [InterfaceOption]) {
    let socket = descriptor(fd);
    let of = |domain| socket::type_of(&socket).map(|kind| interface_option::of(domain, kind));
    socket::domain_of(&socket).and_then(of).unwrap_or_default()
}

enum Fate {
    Nothing,
    Bind,
    /// The name of its family.
    Warn(&'static str),
    /// What it is.
    Refuse(String),
}

/// What descriptors are judged by.
struct View<'a> {
    device: &'a Device,
    is_strict: bool,
    /// The cookie of this process's network namespace, once it was asked for.
    netns: OnceCell<nix::Result<u64>>,
}

impl View<'_> {
    fn judge(&self, fd: RawFd) -> Fate {
        let socket = descriptor(fd);
        // Most descriptors are no sockets: that is asked first.
        let Ok(domain) = socket::domain_of(&socket) else { return Fate::Nothing };
        let is_inet = matches!(domain, libc::AF_INET | libc::AF_INET6 | AF_SMC);
        let other = OTHERS.into_iter().find(|(family, _)| *family == domain).map(|(_, name)| name);
        let is_kept = || fcntl(socket, FcntlArg::F_GETFD).is_ok_and(|flags| flags & FdFlag::FD_CLOEXEC.bits() == 0);
        if !(is_inet || other.is_some()) || !is_kept() {
            return Fate::Nothing;
        }
        match other {
            // The programs of --strict hold what is made in their cgroup, and these were made outside it.
            Some(name) if self.is_strict => Fate::Refuse(format!("an {name} socket, and --strict takes none")),
            None if self.is_strict => Fate::Refuse("an inherited socket, and --strict takes none".into()),
            Some(name) => Fate::Warn(name),
            None => self.judge_inet(fd),
        }
    }

    fn judge_inet(&self, fd: RawFd) -> Fate {
        let socket = descriptor(fd);
        // A name and an index mean other devices there: before anything else, for they would be believed.
        match self.is_own_netns(&socket) {
            Ok(true) => {}
            Ok(false) => return Fate::Refuse("a socket of another network namespace".into()),
            Err(_) => {
                let why = "before Linux 5.14 only root can tell";
                return Fate::Refuse(format!("a socket of this or another network namespace ({why})"));
            }
        }
        match socket::device_of(&socket) {
            Ok(Some(name)) if name == self.device.name => Fate::Nothing,
            Ok(Some(name)) => Fate::Refuse(format!("a socket bound to '{}'", text(&name))),
            // ENODEV: bound to a device that is gone; nothing leaves by it.
            Err(_) => Fate::Refuse("a socket bound to a device that is gone".into()),
            // Its subflows are the kernel's own, bound by nobody where it was made outside.
            Ok(None) if socket::protocol_of(&socket) == Ok(libc::IPPROTO_MPTCP) => {
                Fate::Refuse("an MPTCP socket that was made outside it".into())
            }
            Ok(None) if socket::is_connecting(&socket) => Fate::Refuse("a connection in progress outside it".into()),
            Ok(None) => match getpeername::<SockaddrStorage>(fd) {
                Err(Errno::ENOTCONN) => Fate::Bind,
                _ => Fate::Refuse("an established connection outside it".into()),
            },
        }
    }

    fn is_own_netns(&self, socket: &impl AsFd) -> nix::Result<bool> {
        let own =
            self.netns.get_or_init(|| socket::netns_cookie_of(&socket::open(libc::AF_UNIX, libc::SOCK_DGRAM, 0)?));
        match own {
            Ok(own) => Ok(socket::netns_cookie_of(socket)? == *own),
            Err(Errno::ENOPROTOOPT) => Ok(socket::netns_inode_of(socket)? == netns::inode()?),
            Err(errno) => Err(*errno),
        }
    }
}

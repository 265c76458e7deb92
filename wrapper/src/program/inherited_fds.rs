//! Inet sockets that the program will inherit: those made by socket activation are bound before it starts, those that
//! already talk to someone outside the VRF are refused.

use std::ffi::OsString;
use std::os::fd::{AsFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::socket::{SockaddrStorage, getpeername};

use crate::error::Error;
use crate::sys::process::descriptor;
use crate::sys::socket::{self, AF_SMC};
use crate::vrf::device::Device;

/// Sockets that are to be bound: inherited, inet, unbound, and without a peer.
#[derive(Debug, Default)]
pub struct Inherited(Vec<RawFd>);

/// Looks at every descriptor that exec will keep. Changes nothing. `is_strict`: no inet socket is taken, for the programs of
/// the cgroup do not see those that were made outside it.
pub fn look(device: &Device, is_strict: bool) -> Result<Inherited, Error> {
    let failed = |error: std::io::Error| {
        Error::kernel("read /proc/self/fd")(Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))
    };
    let mut unbound = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd").map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        // The directory itself is among them, and no socket.
        if let Some(fd) = name.to_str().and_then(|name| name.parse().ok()) {
            match judge(fd, device, is_strict) {
                Fate::Nothing => {}
                Fate::Bind => unbound.push(fd),
                Fate::Refuse(what) => return Err(Error::ForeignDescriptor { fd, what, device: device.name.clone() }),
            }
        }
    }
    Ok(Inherited(unbound))
}

impl Inherited {
    /// Binds them. The sockets are shared with whoever handed them over, so this comes last.
    pub fn bind(&self, device: &Device) -> Result<(), Error> {
        self.0.iter().try_for_each(|&fd| {
            socket::bind_to_device(&descriptor(fd), device.name_bytes())
                .map_err(Error::kernel(format!("bind inherited descriptor {fd}")))
        })
    }
}

enum Fate {
    Nothing,
    Bind,
    /// What it is.
    Refuse(String),
}

fn judge(fd: RawFd, device: &Device, is_strict: bool) -> Fate {
    let socket = descriptor(fd);
    // Most descriptors are no sockets: that is asked first.
    let is_kept = || fcntl(socket, FcntlArg::F_GETFD).is_ok_and(|flags| flags & FdFlag::FD_CLOEXEC.bits() == 0);
    if !is_inet(&socket) || !is_kept() {
        return Fate::Nothing;
    }
    if is_strict {
        return Fate::Refuse("a socket that was made outside it, which --strict does not take".into());
    }
    match socket::device_of(&socket) {
        Ok(Some(name)) if name == device.name => Fate::Nothing,
        Ok(Some(name)) => Fate::Refuse(bound_to(&name)),
        // ENODEV: bound to a device that is gone; nothing leaves by it.
        Err(_) => Fate::Refuse("a socket bound to a device that is gone".into()),
        Ok(None) => match getpeername::<SockaddrStorage>(fd) {
            Err(Errno::ENOTCONN) => Fate::Bind,
            _ => Fate::Refuse("an established connection outside it".into()),
        },
    }
}

fn bound_to(name: &OsString) -> String {
    format!("a socket bound to '{}'", crate::error::text(name))
}

fn is_inet(descriptor: &impl AsFd) -> bool {
    socket::domain_of(descriptor).is_ok_and(|domain| matches!(domain, libc::AF_INET | libc::AF_INET6 | AF_SMC))
}

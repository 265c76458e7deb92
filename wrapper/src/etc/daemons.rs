//! Daemons that the C library asks for names: they answer from outside the VRF.

use std::ffi::CStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use nix::sys::stat::{SFlag, stat};

/// One of them.
pub struct Daemon {
    /// Its name.
    pub name: &'static str,
    /// How the sources in the line `hosts:` of nsswitch.conf begin that lead to it; None: it is asked before that line.
    source: Option<&'static str>,
    /// Where it listens.
    pub sockets: &'static [&'static CStr],
}

/// nscd; and whom nss-resolve, nss-mdns and nss-wins ask.
pub const DAEMONS: [Daemon; 4] = [
    Daemon { name: "nscd", source: None, sockets: &[c"/run/nscd/socket", c"/var/run/nscd/socket"] },
    Daemon {
        name: "systemd-resolved",
        source: Some("resolve"),
        sockets: &[c"/run/systemd/resolve/io.systemd.Resolve"],
    },
    Daemon { name: "avahi-daemon", source: Some("mdns"), sockets: &[c"/run/avahi-daemon/socket"] },
    Daemon {
        name: "winbindd",
        source: Some("wins"),
        sockets: &[c"/run/samba/winbindd/pipe", c"/var/run/samba/winbindd/pipe"],
    },
];

/// Everywhere that they listen.
pub fn sockets() -> impl Iterator<Item = &'static CStr> {
    DAEMONS.iter().flat_map(|daemon| daemon.sockets.iter().copied())
}

impl Daemon {
    /// Whether a source of nsswitch.conf leads to it: mdns4_minimal as well as mdns.
    pub fn is_asked_by(&self, source: &[u8]) -> bool {
        self.source.is_some_and(|name| source.starts_with(name.as_bytes()))
    }

    /// Whether it is asked whatever nsswitch.conf says.
    pub fn is_asked_first(&self) -> bool {
        self.source.is_none()
    }

    /// Whether it listens. A mask over its socket is none. nscd leaves its socket behind, so that it has to be asked;
    /// the others are not, for a connection may start them.
    pub fn is_there(&self) -> bool {
        let path = |socket: &'static CStr| Path::new(std::ffi::OsStr::from_bytes(socket.to_bytes()));
        let is_alive = |socket| !self.is_asked_first() || UnixStream::connect(path(socket)).is_ok();
        self.sockets.iter().any(|socket| is_socket(socket) && is_alive(socket))
    }
}

fn is_socket(path: &CStr) -> bool {
    stat(path).is_ok_and(|found| found.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFSOCK.bits())
}

//! Where the agent listens: its socket, which it makes for its own user alone and removes, or that which systemd hands over.

use std::ffi::OsStr;
use std::fmt::{self, Display, Formatter};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use nix::sys::stat::{Mode, umask};
use nix::unistd::geteuid;

use crate::error::{Error, text};
use crate::sys::kernel::errno_of;
use crate::sys::process::descriptor;
use crate::sys::socket::is_listening;

const NAME: &str = "oci-agent.sock";
/// The first descriptor that systemd hands over (sd_listen_fds(3)).
const FIRST_HANDED_OVER: i32 = 3;

/// A listening socket.
pub struct Place {
    listener: UnixListener,
    /// To be removed; None where the socket is somebody else's.
    path: Option<PathBuf>,
}

/// The path, as it stands in a profile.
pub fn path(asked: Option<&Path>) -> Result<PathBuf, Error> {
    match (asked, env::var_os("XDG_RUNTIME_DIR")) {
        (Some(path), _) => std::path::absolute(path).map_err(failed("find the current directory")),
        (None, _) if geteuid().is_root() => Ok(Path::new("/run/vrfrun").join(NAME)),
        (None, Some(directory)) if !directory.is_empty() => Ok(Path::new(&directory).join("vrfrun").join(NAME)),
        _ => Err(Error::Usage("XDG_RUNTIME_DIR is not set: --socket PATH says where to listen".into())),
    }
}

impl Place {
    /// Listens.
    pub fn open(asked: Option<&Path>) -> Result<Self, Error> {
        if let Some(listener) = handed_over()? {
            return Ok(Self { listener, path: None });
        }
        let path = path(asked)?;
        let tried = format!("listen at '{}'", text(path.as_os_str()));
        if let Some(directory) = path.parent().filter(|_| asked.is_none()) {
            make(directory).map_err(failed(&tried))?;
        }
        let former = umask(Mode::from_bits_truncate(0o177));
        let outcome = bind(&path);
        umask(former);
        Ok(Self { listener: outcome.map_err(failed(&tried))?, path: Some(path) })
    }

    /// The socket.
    pub fn listener(&self) -> &UnixListener {
        &self.listener
    }

    /// Removes what was made.
    pub fn close(self) {
        if let Some(path) = self.path {
            let _ = fs::remove_file(&path);
            // What else is in it is not the agent's.
            let _ = path
                .parent()
                .filter(|directory| directory.file_name() == Some(OsStr::new("vrfrun")))
                .map(fs::remove_dir);
        }
    }
}

impl Display for Place {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(f, "'{}'", text(path.as_os_str())),
            None => f.write_str("the socket of its unit"),
        }
    }
}

fn failed(tried: &str) -> impl FnOnce(io::Error) -> Error + use<> {
    let tried = tried.to_owned();
    move |error| Error::Kernel { tried, errno: errno_of(&error) }
}

/// For its own user alone.
fn make(directory: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

/// At the place of a socket at which nobody listens any more, too.
fn bind(path: &Path) -> io::Result<UnixListener> {
    match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_left_over(path) => {
            fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        outcome => outcome,
    }
}

/// A connection to a file that is no socket is refused as well.
fn is_left_over(path: &Path) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    let refusal = UnixStream::connect(path).err().map(|error| error.kind());
    is_socket && refusal == Some(io::ErrorKind::ConnectionRefused)
}

fn handed_over() -> Result<Option<UnixListener>, Error> {
    let number = |name: &str| env::var(name).ok().and_then(|value| value.parse::<u32>().ok());
    if number("LISTEN_PID") != Some(std::process::id()) {
        return Ok(None);
    }
    let first = descriptor(FIRST_HANDED_OVER);
    if number("LISTEN_FDS") != Some(1) || !is_listening(&first) {
        return Err(Error::Usage("LISTEN_FDS: not one socket that listens".into()));
    }
    let socket = first.try_clone_to_owned().map_err(failed("take over the socket of the unit"))?;
    Ok(Some(socket.into()))
}

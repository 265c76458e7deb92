//! The VRF's own files over the system's: /etc/vrf/NAME/* over /etc/*, in a mount namespace of the program's own, as
//! `ip netns exec` does with /etc/netns.
//!
//! With them the sockets of daemons that resolve names are masked: they would answer from outside the VRF. What an outer
//! vrfrun put there for another VRF is taken away (`outer`). Where the VRF has no resolv.conf, one may be found (`names`).

use std::ffi::{CStr, OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::{MsFlags, mount};
use nix::sys::stat::{Mode, lstat};

use crate::error::Error;
use crate::etc::marks::{self, Target};
use crate::etc::names::{self, Names};
use crate::etc::outer::Owner;
use crate::etc::{DIRECTORY, daemons, login, mounted, namespace, outer, ownership};
use crate::options::{DEFAULT, EtcSpec};
use crate::sys::capability::{CAP_SYS_ADMIN, is_effective};
use crate::sys::kernel::{self, errno_of};
use crate::vrf::device::Device;

const RESOLV_CONF: &str = "/etc/resolv.conf";
/// The longest that `--resolv-conf` takes, in bytes.
const LONGEST: u64 = 16 << 20;
/// As many as the kernel follows.
const MAX_LINKS: usize = 40;

/// What to put where.
#[derive(Debug, Default)]
pub struct Plan {
    /// For which VRF.
    vrf: OsString,
    /// Mounts of an outer run for another VRF, to be taken away first.
    outer: Vec<PathBuf>,
    /// (file, what it covers).
    files: Vec<(PathBuf, PathBuf)>,
    /// The text of the resolv.conf that the command line asks for, or that was found.
    resolv_conf: Option<Vec<u8>>,
    /// The program is to resolve names in a VRF.
    has_names: bool,
    /// What was found where it could not.
    names: Option<Names>,
}

/// Finds the VRF's files, and those of an outer run. VRF `default` has none of its own. Changes nothing.
pub fn plan(device: Option<&Device>, spec: &EtcSpec) -> Result<Plan, Error> {
    if spec.nothing {
        return Ok(Plan::default());
    }
    let mounts = kernel::mounts_at_start().map_err(Error::no_mounts)?;
    let vrf = device.map_or_else(|| DEFAULT.into(), |device| device.vrf().to_owned());
    let resolv_conf = given(spec)?;
    let mut files = device.map_or_else(|| Ok(Vec::new()), |device| files_of(device.vrf()))?;
    files.retain(|(_, over)| resolv_conf.is_none() || over != Path::new(RESOLV_CONF));
    let (outer, has_names) = (outer::find(&vrf, mounts)?, device.is_some());
    Ok(Plan { outer, vrf, files, resolv_conf, has_names, names: None })
}

/// The resolv.conf that the command line asks for. A file is read now, as it is: it may be one that the program cannot
/// read, and an outer run's copy is known for what it is.
fn given(spec: &EtcSpec) -> Result<Option<Vec<u8>>, Error> {
    match &spec.resolv_conf {
        Some(file) => {
            let tried = format!("read '{}'", file.display());
            let failed = |error: std::io::Error| Error::kernel(tried)(errno_of(&error));
            read_text(file).map(Some).map_err(failed)
        }
        None => Ok((!spec.dns.is_empty()).then(|| servers(&spec.dns).into_bytes())),
    }
}

/// Reads no more than a resolv.conf can be meant to hold: a device may have no end.
fn read_text(file: &Path) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(file)?.take(LONGEST + 1).read_to_end(&mut text)?;
    if text.len() as u64 > LONGEST { Err(Errno::EFBIG.into()) } else { Ok(text) }
}

fn files_of(vrf: &OsStr) -> Result<Vec<(PathBuf, PathBuf)>, Error> {
    let own = Path::new(DIRECTORY).join(vrf);
    Ok(names_in(&own)?.into_iter().map(|name| (own.join(&name), Path::new("/etc").join(name))).collect())
}

fn servers(dns: &[IpAddr]) -> String {
    dns.iter().map(|address| format!("nameserver {address}\n")).collect()
}

fn names_in(directory: &Path) -> Result<Vec<OsString>, Error> {
    let failed = |error: std::io::Error| Error::Etc {
        tried: format!("read {}", directory.display()),
        errno: errno_of(&error),
        hint: Some("vrfrun --no-etc …".into()),
    };
    // Mostly there is none. A link that leads nowhere was meant to lead to files.
    if lstat(directory) == Err(Errno::ENOENT) {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(directory).map_err(failed)?;
    entries.map(|entry| entry.map(|entry| entry.file_name()).map_err(failed)).collect()
}

impl Plan {
    /// Whether nothing is put over /etc.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.resolv_conf.is_none()
    }

    /// Whether names are resolved by a file of the VRF's own.
    pub fn has_resolver(&self) -> bool {
        self.resolv_conf.is_some() || self.files.iter().any(|(_, over)| over == Path::new(RESOLV_CONF))
    }

    /// Gives this process a mount namespace with the files in it, and warns where this program will not like it; a trial
    /// has none.
    pub fn apply(&mut self, device: Option<&Device>, program: Option<&Path>) -> Result<(), Error> {
        if let Some(point) = self.outer.first() {
            if !is_effective(CAP_SYS_ADMIN) {
                return Err(outer::refused(point));
            }
            namespace::enter(true)?;
            outer::remove(&self.vrf, &self.outer)?;
        }
        if let Some(device) = device {
            self.look_for_servers(device, program);
        }
        if self.is_empty() {
            return Ok(());
        }
        let is_root = is_effective(CAP_SYS_ADMIN);
        self.enter_and_put(is_root)?;
        if let Some(program) = program.filter(|_| !is_root) {
            ownership::check(program);
        }
        Ok(())
    }

    /// Where the program would not resolve names by itself, the servers of the VRF's ports are put in place too, if that
    /// works: nobody asked for them. Whom it would not serve does without.
    fn look_for_servers(&mut self, device: &Device, program: Option<&Path>) {
        if !self.has_names || self.has_resolver() {
            return;
        }
        let Some(mut names) = names::look(device, !self.files.is_empty()) else { return };
        if let Some(given) = &names.given {
            let is_root = is_effective(CAP_SYS_ADMIN);
            self.resolv_conf = Some(given.text().into_bytes());
            let of_ssh = program.filter(|_| !is_root).and_then(ownership::refusal);
            names.refusal = of_ssh.or_else(|| namespace::refusal(|| self.try_put(is_root)));
            self.resolv_conf.take_if(|_| names.refusal.is_some());
        }
        self.names = Some(names);
    }

    /// What --explain says of it: as far as it can be seen without an outer run's files.
    pub fn explain(mut self, device: &Device) -> Option<Names> {
        if self.outer.is_empty() {
            self.look_for_servers(device, None);
        }
        self.names
    }

    /// Puts the files over /etc for a whole login, in the mount namespace that PAM has made for it and that we are run in.
    /// There must be some, and names must be resolved by them or by the program's own sockets.
    pub fn apply_to_login(&mut self, device: &Device) -> Result<(), Error> {
        login::close_namespace()?;
        outer::remove(&self.vrf, &self.outer)?;
        self.outer.clear();
        self.look_for_servers(device, None);
        login::check(device, self.is_empty(), self.names.as_ref())?;
        self.put_and_mask()
    }

    /// Says how names are resolved, if that is to be said.
    pub fn say_names(&self, device: &Device, is_verbose: bool) {
        if let Some(names) = &self.names {
            names.say(device, is_verbose);
        }
    }

    /// In a child process: in a namespace of its own, whose mounts are not this process's.
    fn try_put(&self, is_root: bool) -> Result<(), Error> {
        if !self.outer.is_empty() {
            namespace::enter(is_root)?;
        }
        self.enter_and_put(is_root)
    }

    fn enter_and_put(&self, is_root: bool) -> Result<(), Error> {
        // An outer run's files were removed in such a namespace.
        if self.outer.is_empty() {
            namespace::enter(is_root)?;
        }
        self.put_and_mask()
    }

    fn put_and_mask(&self) -> Result<(), Error> {
        self.put()?;
        daemons::sockets().filter(|socket| exists(socket)).try_for_each(mask)
    }

    /// Everything is open before the first mount: a path may lead into what is mounted.
    fn put(&self) -> Result<(), Error> {
        let files = self.files.iter().map(|(file, over)| Cover::open(file, over)).collect::<Result<Vec<_>, _>>()?;
        let targets: Vec<&Target> = files.iter().map(|cover| &cover.target).collect();
        let resolv_conf = self.resolv_conf.as_ref().map(|text| Ok((text, open_resolv_conf()?))).transpose()?;
        let text = resolv_conf.as_ref().map(|(text, target)| (text.as_slice(), target));
        marks::put(&Owner::here(&self.vrf)?.source(), &targets, text)?;
        files.iter().try_for_each(Cover::put)
    }
}

/// A file of the VRF's, and what it covers.
struct Cover<'a> {
    file: &'a Path,
    from: OwnedFd,
    over: &'a Path,
    target: Target,
}

impl<'a> Cover<'a> {
    fn open(file: &'a Path, over: &'a Path) -> Result<Self, Error> {
        let failed = |errno, hint| Error::Etc { tried: covering(file, over), errno, hint };
        let target = Target::open(over.to_owned()).map_err(|errno| failed(errno, missing(over, errno)))?;
        let from = open(file, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).map_err(|errno| failed(errno, None))?;
        Ok(Self { file, from, over, target })
    }

    fn put(&self) -> Result<(), Error> {
        bind(&self.from, self.over).map_err(|errno| Error::Etc {
            tried: covering(self.file, self.over),
            errno,
            hint: None,
        })
    }
}

fn covering(file: &Path, over: &Path) -> String {
    format!("put '{}' over '{}'", file.display(), over.display())
}

fn open_resolv_conf() -> Result<Target, Error> {
    Target::open(RESOLV_CONF.into()).map_err(|errno| Error::Etc {
        tried: format!("put name servers over '{RESOLV_CONF}'"),
        errno,
        hint: missing(Path::new(RESOLV_CONF), errno),
    })
}

/// How to make a file that is not there; nothing can be put over what is missing. One may be missing behind a symbolic link.
fn missing(path: &Path, errno: Errno) -> Option<String> {
    if errno != Errno::ENOENT {
        return None;
    }
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match std::fs::read_link(&path) {
            Ok(target) => path = path.parent().unwrap_or(Path::new("/")).join(target),
            Err(_) if path.exists() => return None,
            Err(_) => return Some(format!("install -D -m 644 /dev/null '{}'", path.display())),
        }
    }
    None
}

fn bind(from: &OwnedFd, over: &Path) -> nix::Result<()> {
    let (source, target) = (marks::c_path(Path::new(&marks::by_descriptor(from))), marks::c_path(over));
    let place = mounted::place(&source)?;
    mount(Some(&*source), &*target, None::<&CStr>, MsFlags::MS_BIND, None::<&CStr>)?;
    mounted::is_at(place, &target)
}

fn mask(socket: &CStr) -> Result<(), Error> {
    let over = Path::new(OsStr::from_bytes(socket.to_bytes()));
    let null = open("/dev/null", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty());
    null.and_then(|null| bind(&null, over)).map_err(|errno| Error::Etc {
        tried: covering(Path::new("/dev/null"), over),
        errno,
        hint: None,
    })
}

fn exists(path: &CStr) -> bool {
    nix::sys::stat::stat(path).is_ok()
}

#[cfg(test)]
mod tests;

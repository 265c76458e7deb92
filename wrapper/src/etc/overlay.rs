//! The VRF's own files over the system's: /etc/vrf/NAME/* over /etc/*, in a mount namespace of the program's own, as
//! `ip netns exec` does with /etc/netns.
//!
//! With them the sockets of daemons that resolve names are masked: they would answer from outside the VRF. What an outer
//! vrfrun put there for another VRF is taken away (`outer`).

use std::ffi::{CStr, CString, OsStr, OsString};
use std::io::Write;
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::{Mode, SFlag, fchmod, fstat};
use nix::unistd::{getgid, getuid};

use crate::error::Error;
use crate::etc::mounted::{self, Place};
use crate::etc::{daemons, outer, ownership};
use crate::options::{DEFAULT, EtcSpec};
use crate::sys::capability::{CAP_SYS_ADMIN, is_effective};
use crate::sys::kernel;
use crate::vrf::device::Device;

/// Where a VRF's files are kept.
pub const DIRECTORY: &str = "/etc/vrf";
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// What to put where.
#[derive(Debug, Default)]
pub struct Plan {
    /// For which VRF.
    vrf: OsString,
    /// Mounts of an outer run for another VRF, to be taken away first.
    outer: Vec<PathBuf>,
    /// (file, what it covers).
    files: Vec<(PathBuf, PathBuf)>,
    /// The text of the resolv.conf that the command line asks for.
    resolv_conf: Option<Vec<u8>>,
}

/// Finds the VRF's files, and those of an outer run. VRF `default` has none of its own. Changes nothing.
pub fn plan(device: Option<&Device>, spec: &EtcSpec) -> Result<Plan, Error> {
    if spec.nothing {
        return Ok(Plan::default());
    }
    let mounts = kernel::mounts_at_start().map_err(Error::kernel("read /proc/self/mountinfo"))?;
    let vrf = device.map_or_else(|| DEFAULT.into(), |device| device.name.clone());
    let resolv_conf = given(spec)?;
    let mut files = device.map_or_else(|| Ok(Vec::new()), |device| files_of(&device.name))?;
    files.retain(|(_, over)| resolv_conf.is_none() || over != Path::new(RESOLV_CONF));
    Ok(Plan { outer: outer::find(&vrf, mounts), vrf, files, resolv_conf })
}

/// The resolv.conf that the command line asks for. A file is read now, as it is: it may be one that the program cannot
/// read, and an outer run's copy is known for what it is.
fn given(spec: &EtcSpec) -> Result<Option<Vec<u8>>, Error> {
    match &spec.resolv_conf {
        Some(file) => {
            let tried = format!("read '{}'", file.display());
            let failed = |error: std::io::Error| {
                Error::kernel(tried)(Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))
            };
            std::fs::read(file).map(Some).map_err(failed)
        }
        None => Ok((!spec.dns.is_empty()).then(|| servers(&spec.dns).into_bytes())),
    }
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
        errno: Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)),
        hint: Some("vrfrun --no-etc …".into()),
    };
    match std::fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(failed(error)),
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.file_name()).map_err(failed)).collect(),
    }
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

    /// Gives this process a mount namespace with the files in it, and warns where this program will not like it.
    pub fn apply(&self, program: &Path) -> Result<(), Error> {
        if self.is_empty() && self.outer.is_empty() {
            return Ok(());
        }
        let is_root = is_effective(CAP_SYS_ADMIN);
        if let Some(point) = self.outer.first().filter(|_| !is_root) {
            return Err(outer::refused(point));
        }
        enter_namespace(is_root)?;
        if !is_root {
            ownership::check(program);
        }
        outer::remove(&self.vrf, &self.outer)?;
        if self.is_empty() {
            return Ok(());
        }
        for (file, over) in &self.files {
            bind(&c_path(file), over)?;
        }
        if let Some(text) = &self.resolv_conf {
            bind_text(text, &outer::source(&self.vrf))?;
        }
        daemons::sockets().filter(|socket| exists(socket)).try_for_each(mask)
    }
}

/// A mount namespace of our own, from which nothing gets out; through a user namespace where there is no right to one.
fn enter_namespace(is_root: bool) -> Result<(), Error> {
    let before = mounted::namespace()?;
    let forbidden = |tried: &str| {
        let tried = tried.to_owned();
        |errno| Error::Etc { tried, errno, hint: Some(namespace_hint()) }
    };
    if is_root {
        unshare(CloneFlags::CLONE_NEWNS).map_err(forbidden("make a mount namespace"))?;
    } else {
        let (uid, gid) = (getuid(), getgid());
        unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS).map_err(forbidden("make a user namespace"))?;
        let write = |path: &str, text: String| {
            let done =
                std::fs::OpenOptions::new().write(true).open(path).and_then(|mut file| file.write_all(text.as_bytes()));
            done.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))
                .map_err(forbidden(&format!("write {path}")))
        };
        write("/proc/self/setgroups", "deny".into())?;
        write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
        write("/proc/self/gid_map", format!("{gid} {gid} 1"))?;
    }
    let flags = MsFlags::MS_REC | MsFlags::MS_SLAVE;
    mount(None::<&CStr>, c"/", None::<&CStr>, flags, None::<&CStr>).map_err(forbidden("keep mounts to the program"))?;
    mounted::is_private(before)
}

fn namespace_hint() -> String {
    let is_set = |path: &str, value: u8| kernel::read(path).is_ok_and(|text| text.first() == Some(&value));
    if is_set("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", b'1') {
        "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or vrfrun --no-etc …".into()
    } else if is_set("/proc/sys/kernel/unprivileged_userns_clone", b'0') {
        "sysctl -w kernel.unprivileged_userns_clone=1, or vrfrun --no-etc …".into()
    } else {
        "vrfrun --no-etc …".into()
    }
}

fn bind(file: &CStr, over: &Path) -> Result<(), Error> {
    let target = c_path(over);
    let place = || mounted::place(file);
    place()
        .and_then(|place| {
            mount(Some(file), &*target, None::<&CStr>, MsFlags::MS_BIND, None::<&CStr>)?;
            mounted::is_at(place, &target)
        })
        .map_err(|errno| Error::Etc {
            tried: format!("put '{}' over '{}'", file.to_string_lossy(), over.display()),
            errno,
            hint: (errno == Errno::ENOENT && !over.exists()).then(|| format!("touch {}", over.display())),
        })
}

/// Makes a file that is on no disk: a file system in memory stands over /etc for as long as it takes to bind its one
/// file to where it belongs. Nothing else runs in this mount namespace meanwhile.
fn bind_text(text: &[u8], source: &OsStr) -> Result<(), Error> {
    let failed = |errno| Error::Etc { tried: format!("make a {RESOLV_CONF}"), errno, hint: None };
    let target = open(RESOLV_CONF, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).map_err(|errno| Error::Etc {
        tried: format!("put name servers over '{RESOLV_CONF}'"),
        errno,
        hint: Some(format!("touch {RESOLV_CONF}")),
    })?;
    let options = Some(c"mode=0755,size=64k");
    mount(Some(source), c"/etc", Some(c"tmpfs"), MsFlags::empty(), options).map_err(failed)?;
    let outcome = write_new(text).and_then(|place| {
        let target = format!("/proc/self/fd/{}", target.as_raw_fd());
        mount(Some(RESOLV_CONF), target.as_str(), None::<&CStr>, MsFlags::MS_BIND, None::<&CStr>).map(|()| place)
    });
    umount2(c"/etc", MntFlags::MNT_DETACH).and(outcome).and_then(mounted::is_alone).map_err(failed)
}

/// Returns where the file is.
fn write_new(text: &[u8]) -> nix::Result<Place> {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
    let file = open(RESOLV_CONF, flags, Mode::from_bits_truncate(0o644))?;
    // Before its mode is changed: a sandbox whose open(2) lies may have given us another file, such as /dev/null.
    if fstat(&file)?.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFREG.bits() {
        return Err(Errno::EIO);
    }
    fchmod(&file, Mode::from_bits_truncate(0o644))?; // whatever the umask took away
    if nix::unistd::write(&file, text)? != text.len() {
        return Err(Errno::EIO);
    }
    mounted::place(c_path(Path::new(RESOLV_CONF)).as_c_str())
}

fn mask(socket: &CStr) -> Result<(), Error> {
    bind(c"/dev/null", Path::new(OsStr::from_bytes(socket.to_bytes())))
}

fn exists(path: &CStr) -> bool {
    nix::sys::stat::stat(path).is_ok()
}

fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap_or_default() // no path holds a NUL
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device() -> Device {
        Device { name: "no-such-vrf".into(), ifindex: 7, table: None }
    }

    #[test]
    fn given_servers_are_the_resolver() {
        let spec =
            EtcSpec { dns: vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()], ..EtcSpec::default() };
        for device in [Some(&device()), None] {
            let plan = plan(device, &spec).unwrap();
            assert_eq!(plan.resolv_conf.as_deref(), Some(&b"nameserver 192.0.2.1\nnameserver 2001:db8::1\n"[..]));
            assert!(plan.has_resolver());
        }
    }

    #[test]
    fn a_vrf_without_files_needs_no_namespace() {
        assert!(plan(Some(&device()), &EtcSpec::default()).unwrap().is_empty());
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let spec = EtcSpec { resolv_conf: Some("/no/such".into()), ..EtcSpec::default() };
        let error = plan(None, &spec).unwrap_err().to_string();
        assert_eq!(error, "cannot read '/no/such': No such file or directory");
    }
}

//! Binds a cgroup that somebody else has made (a login's, a container's), or that is made for processes that run already.
//!
//! Not a transaction: the programs end with the cgroup, and nothing of it is to be undone.

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use vrfbpf::set::{self, Device};

use crate::error::Error;
use crate::plan::emulate;
use crate::plan::system::{self, System};
use crate::sys::netlink::Kernel;
use crate::sys::{cgroup, run_dir};

/// Ports may change while they are read; more often than this it is something else.
const TRIES: usize = 8;

/// A cgroup, by its path.
pub struct Cgroup {
    /// As in /proc/PID/cgroup.
    pub path: String,
    /// Its directory.
    pub directory: OwnedFd,
}

impl Cgroup {
    /// Opens it.
    ///
    /// # Errors
    /// There is none of this path here.
    pub fn open(path: String) -> Result<Self, Error> {
        let directory = cgroup::open(&path).map_err(Error::unreadable(format!("the cgroup '{path}'")))?;
        Ok(Self { path, directory })
    }

    /// The last part of its path.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// Puts the programs on it. `by`: which verb does, for those who look at processes. Returns the VRF.
    ///
    /// # Errors
    /// There is no such VRF, the kernel refused, or the cgroup is bound to another one.
    pub fn bind(&self, kernel: &Kernel, vrf: &str, by: &str) -> Result<Vrf, Error> {
        let vrf = self.put_programs(kernel, vrf)?;
        // A kernel that cannot keep it (before 5.7) binds all the same.
        let _ = set::set_label(&self.directory, &format!("{by} {}", vrf.name));
        Ok(vrf)
    }

    /// The same of a cgroup that tells the VRF by its name.
    ///
    /// # Errors
    /// As [`Cgroup::bind`].
    pub fn put_programs(&self, kernel: &Kernel, vrf: &str) -> Result<Vrf, Error> {
        let cannot = |why: String| Error::CannotBind { what: format!("'{}'", self.name()), vrf: vrf.to_owned(), why };
        let netns = run_dir::netns().map_err(Error::unreadable("the network namespace"))?;
        let mut written = None;
        for _ in 0..TRIES {
            let found = Vrf::find(kernel, vrf)?;
            if written.as_ref() == Some(&found) {
                return Ok(found);
            }
            let device = Device { name: found.device.as_bytes(), ifindex: found.devices[0], netns };
            set::bind(&device, &self.directory, &found.devices, false).map_err(|refused| match refused.errno {
                Errno::EBUSY => cannot("it is bound to another device".to_owned()),
                _ => cannot(refused.to_string()),
            })?;
            written = Some(found);
        }
        Err(cannot("the VRF's ports keep changing".to_owned()))
    }
}

/// What a cgroup is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vrf {
    /// The VRF's name.
    pub name: String,
    /// What its sockets are bound to: the VRF's device, or the one port of a VRF that is emulated.
    pub device: String,
    /// By which devices its packets leave, that one first.
    devices: Vec<u32>,
}

impl Vrf {
    /// The VRF of this name, as it is now.
    ///
    /// # Errors
    /// There is none, or it is something else.
    pub fn find(kernel: &Kernel, name: &str) -> Result<Self, Error> {
        let system = System::read(kernel)?;
        let link = system.existing(name)?;
        // Of a name of its own no rule makes it another thing than it is.
        let is_emulated = || Ok(link.name != name && emulate::table_of(&system::rules(kernel)?, name).is_some());
        if !link.is_vrf() && is_emulated()? {
            return Ok(Self { name: name.to_owned(), device: link.name.clone(), devices: vec![link.ifindex] });
        }
        let link = system.existing_vrf(name)?;
        let ports = system.ports(link).map(|port| port.ifindex);
        let (name, devices) = (link.name.clone(), std::iter::once(link.ifindex).chain(ports).collect());
        Ok(Self { device: name.clone(), name, devices })
    }
}

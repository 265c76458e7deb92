//! Binds a cgroup that somebody else has made (a login's, a container's), or that is made for processes that run already.
//!
//! Not a transaction: the programs end with the cgroup, and nothing of it is to be undone.

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use vrfbpf::set::{self, Device};

use crate::error::Error;
use crate::model::link::Link;
use crate::plan::system::System;
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

    /// Puts the programs on it. `by`: which verb does, for those who look at processes.
    ///
    /// # Errors
    /// There is no such VRF, the kernel refused, or the cgroup is bound to another one.
    pub fn bind(&self, kernel: &Kernel, vrf: &str, by: &str) -> Result<(), Error> {
        let name = self.put_programs(kernel, vrf)?;
        // A kernel that cannot keep it (before 5.7) binds all the same.
        let _ = set::set_label(&self.directory, &format!("{by} {name}"));
        Ok(())
    }

    /// The same of a cgroup that tells the VRF by its name; the name of the VRF.
    ///
    /// # Errors
    /// As [`Cgroup::bind`].
    pub fn put_programs(&self, kernel: &Kernel, vrf: &str) -> Result<String, Error> {
        let cannot = |why: String| Error::CannotBind { what: format!("'{}'", self.name()), vrf: vrf.to_owned(), why };
        let netns = run_dir::netns().map_err(Error::unreadable("the network namespace"))?;
        let mut written = None;
        for _ in 0..TRIES {
            let (link, devices) = devices(kernel, vrf)?;
            if written.as_ref() == Some(&devices) {
                return Ok(link.name);
            }
            let device = Device { name: link.name.as_bytes(), ifindex: link.ifindex, netns };
            set::bind(&device, &self.directory, &devices, false).map_err(|refused| match refused.errno {
                Errno::EBUSY => cannot("it is bound to another device".to_owned()),
                _ => cannot(refused.to_string()),
            })?;
            written = Some(devices);
        }
        Err(cannot("the VRF's ports keep changing".to_owned()))
    }
}

/// The VRF, and by which devices its packets leave.
fn devices(kernel: &Kernel, vrf: &str) -> Result<(Link, Vec<u32>), Error> {
    let system = System::read(kernel)?;
    let link = system.existing_vrf(vrf)?;
    let ports = system.links.iter().filter(|port| port.master == Some(link.ifindex)).map(|port| port.ifindex);
    Ok((link.clone(), std::iter::once(link.ifindex).chain(ports).collect()))
}

//! The device that sockets are bound to: found by name, and known to be a VRF unless the user said otherwise.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use vrfnl::link::{self, Link};

use crate::error::{Error, note};
use crate::options::Options;
use crate::vrf::netlink::Netlink;

/// A VRF device, or with `--interface` any other.
#[derive(Clone, Debug)]
pub struct Device {
    /// Its own name, by which the shim binds to it.
    pub name: OsString,
    /// Its index in this network namespace, by which BPF binds to it.
    pub ifindex: u32,
    /// Its routing table, if it is a VRF.
    pub table: Option<u32>,
}

impl Device {
    /// Finds what the options name. None for VRF `default`.
    pub fn resolve(netlink: &mut Netlink, options: &Options) -> Result<Option<Self>, Error> {
        if options.is_default() {
            return Ok(None);
        }
        let name = &options.vrf;
        let (link, own_name) = find(netlink, name).map_err(|errno| match errno {
            Errno::ENODEV if !options.any_interface && has_no_vrfs() => Error::NoVrfs(name.clone()),
            Errno::ENODEV => Error::NoSuchDevice { name: name.clone(), is_vrf: !options.any_interface },
            errno => Error::Kernel { tried: format!("look up '{}'", crate::error::text(name)), errno },
        })?;
        if link.vrf_table.is_none() && !options.any_interface {
            return Err(Error::NotVrf(name.clone()));
        }
        let device = Self { name: own_name, ifindex: link.ifindex, table: link.vrf_table };
        if !link.is_up {
            note(&format_args!("warning: '{0}' is down: nothing gets through it", crate::error::text(name)));
        }
        Ok(Some(device))
    }

    /// The name's bytes.
    pub fn name_bytes(&self) -> &[u8] {
        self.name.as_bytes()
    }
}

/// The kernel's code for VRFs stands here when it is loaded, and when it is built in (it has a version).
fn has_no_vrfs() -> bool {
    Path::new("/sys/module").exists() && !Path::new("/sys/module/vrf").exists()
}

/// Looks a link up by name (`ip link show NAME`), which may be an alternative one; its own is what sockets say. ENODEV also
/// for what no link can be called.
fn find(netlink: &mut Netlink, name: &OsStr) -> nix::Result<(Link, OsString)> {
    let request = link::get(name.as_bytes()).ok_or(Errno::ENODEV)?;
    let mut found = None;
    netlink.ask(&request, false, |body| {
        let own_name = link::name(body).map(|name| OsStr::from_bytes(name).to_owned());
        found = link::parse(body).zip(own_name);
    })?;
    found.ok_or(Errno::EPROTO)
}

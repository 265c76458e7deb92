//! The device that sockets are bound to: found by name, and known to be a VRF, or the port that emulates one, unless the user
//! said otherwise.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use vrfnl::link::{self, Link};

use crate::error::{Error, note};
use crate::options::Options;
use crate::vrf::emulated::Tables;
use crate::vrf::netlink::Netlink;

/// A VRF device, or with `--interface` any other.
#[derive(Clone, Debug)]
pub struct Device {
    /// Its own name, by which the shim binds to it.
    pub name: OsString,
    /// Its index in this network namespace, by which BPF binds to it.
    pub ifindex: u32,
    /// Its routing table, if it is a VRF or emulates one.
    pub table: Option<u32>,
    /// The name of the VRF that it emulates.
    pub emulates: Option<OsString>,
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
        let (mut table, mut emulates) = (link.vrf_table, None);
        if table.is_none() && !options.any_interface {
            // Of a name of its own no rule makes it another thing than it is.
            table = if own_name == *name { None } else { Tables::read(netlink)?.of(name) };
            emulates = Some(name.clone());
            table.ok_or_else(|| Error::NotVrf(name.clone()))?;
        }
        let device = Self { name: own_name, ifindex: link.ifindex, table, emulates };
        if !link.is_up {
            note(&format_args!("warning: '{0}' is down: nothing gets through it", crate::error::text(name)));
        }
        Ok(Some(device))
    }

    /// The VRF's name, which an emulated one has beside the device's.
    pub fn vrf(&self) -> &OsStr {
        self.emulates.as_deref().unwrap_or(&self.name)
    }

    /// The VRF's name, and what emulates it.
    pub fn description(&self) -> String {
        let vrf = crate::error::text(self.vrf());
        match self.emulates {
            Some(_) => format!("{vrf} (emulated by {})", crate::error::text(&self.name)),
            None => vrf,
        }
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
pub(super) fn find(netlink: &mut Netlink, name: &OsStr) -> nix::Result<(Link, OsString)> {
    let name = name.as_bytes();
    let request = link::get(name).or_else(|| link::get_alternative(name)).ok_or(Errno::ENODEV)?;
    let mut found = None;
    netlink.with_room(|netlink| {
        netlink.ask(&request, false, |body| {
            let own_name = link::name(body).map(|name| OsStr::from_bytes(name).to_owned());
            found = link::parse(body).zip(own_name);
        })
    })?;
    found.ok_or(Errno::EPROTO)
}

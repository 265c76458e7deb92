//! The files of a VRF for a whole login: over /etc in the mount namespace that pam_namespace(8) has made for it. `vrfsetup
//! session --etc` has made sure that it is the login's own before it starts us there.

use std::ffi::CStr;

use nix::mount::{MsFlags, mount};

use crate::error::{Error, text};
use crate::etc::names::Names;
use crate::etc::{DIRECTORY, mounted};
use crate::vrf::device::Device;

/// Nothing that is mounted from here on gets out of this mount namespace, which must not be that of process 1.
pub fn close_namespace() -> Result<(), Error> {
    let first = mounted::place(c"/proc/1/ns/mnt").map_err(Error::kernel("read the mount namespace of process 1"))?;
    if mounted::namespace()? == first {
        return Err(Error::login("this is the mount namespace of the whole machine"));
    }
    let flags = MsFlags::MS_REC | MsFlags::MS_SLAVE;
    mount(None::<&CStr>, c"/", None::<&CStr>, flags, None::<&CStr>)
        .map_err(Error::kernel("keep mounts to the login"))?;
    mounted::is_private(first)
}

/// Whether names would come from the VRF: a login that was to have its files must not ask others in silence.
pub fn check(device: &Device, is_empty: bool, names: Option<&Names>) -> Result<(), Error> {
    let vrf = text(device.vrf());
    if let Some(why) = names.and_then(Names::outside) {
        return Err(Error::login(&format!("names may not be resolved in '{vrf}': {why}")));
    }
    if is_empty {
        return Err(Error::login(&format!("there are none in {DIRECTORY}/{vrf}")));
    }
    Ok(())
}

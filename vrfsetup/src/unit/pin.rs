//! Pins a program that binds each new inet socket of a cgroup to a VRF, for BPFProgram= of systemd 249 to 259.

use std::ffi::CString;
use std::fs;
use std::io;
use std::path::Path;

use nix::errno::Errno;
use vrfbpf::Hook;

use crate::error::Error;
use crate::kernel::{Kernel, Refusal};
use crate::process::PINNED;

/// Pins the program of this VRF, in place of an older one.
///
/// # Errors
/// There is no such VRF, bpffs is not mounted, or the kernel refused.
pub fn pin(kernel: &Kernel, vrf: &str) -> Result<(), Error> {
    let link = kernel.link(vrf).map_err(|_| Error::NoSuchLink(vrf.to_owned()))?;
    let path = Path::new(PINNED).join(vrf);
    let refused = |error: io::Error| Error::file(&path, &error);
    let program = vrfbpf::load(Hook::SOCK_CREATE, &vrfbpf::binding(link.ifindex, vrfbpf::netns_cookie()));
    let program = program.map_err(|errno| Error::Refused {
        step: format!("load a program for {vrf}"),
        refusal: Refusal::from_errno(errno as i32),
    })?;
    fs::create_dir_all(PINNED).map_err(refused)?;
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(refused(error)),
        _ => {}
    }
    let name = CString::new(path.as_os_str().as_encoded_bytes()).map_err(|error| refused(error.into()))?;
    vrfbpf::pin(program, &name).map_err(|errno: Errno| refused(errno.into()))
}

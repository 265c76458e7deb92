//! Pins a program that binds each new inet socket of a cgroup to a VRF, for BPFProgram= of systemd 249 to 259.
//!
//! Each start of a service needs a program of its own: systemd takes one that it knows for attached, although the
//! service's cgroup went with its last process (v252; the service would start unbound). Of several that are attached
//! the newest runs last, and so wins.

use std::ffi::CString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use vrfbpf::Hook;
use vrfbpf::programs::{Target, create};

use crate::error::Error;
use crate::model::link::Link;
use crate::plan::unit_files::{PINNED, pin_name, vrf_of_pin};

/// Pins a new program of this VRF in the place of the last.
///
/// # Errors
/// bpffs is not mounted, or the kernel refused.
pub fn pin(vrf: &Link) -> Result<(), Error> {
    let name = &vrf.name;
    let netns = vrfbpf::netns_cookie();
    let target = Target { ifindex: vrf.ifindex, name: name.as_bytes(), netns, tags: None };
    // This program stands alone: what would bind MPTCP's subflows is not there.
    let program = vrfbpf::load(Hook::SOCK_CREATE, &create(&target, false));
    let program = program.map_err(|errno| Error::NoProgram { vrf: name.clone(), refusal: errno.into() })?;
    let path = path(name);
    replace(&program, &path).map_err(|error| Error::file(&path, &error))
}

/// Removes the programs of all other VRFs. A service that runs keeps the one that it has.
pub fn forget_all_but(vrfs: &[String]) {
    for entry in fs::read_dir(PINNED).into_iter().flatten().flatten() {
        if !vrfs.contains(&vrf_of_pin(&entry.file_name().to_string_lossy())) {
            // What stays is a page of the kernel's memory, until the machine ends.
            let _ = fs::remove_file(entry.path());
        }
    }
    // Only an empty one goes.
    let _ = fs::remove_dir(PINNED);
}

fn path(vrf: &str) -> PathBuf {
    Path::new(PINNED).join(pin_name(vrf))
}

/// At no instant is there none: another service of this VRF may be about to start.
fn replace(program: &impl std::os::fd::AsFd, path: &Path) -> io::Result<()> {
    fs::create_dir_all(PINNED)?;
    // No VRF of a unit has a comma in its name.
    let mut new = path.as_os_str().to_owned();
    new.push(",new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let name = CString::new(new.as_encoded_bytes())?;
    vrfbpf::pin(program, &name).map_err(|errno: Errno| io::Error::from(errno))?;
    fs::rename(&new, path)
}

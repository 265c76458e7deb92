//! Whose a cgroup is. Its name is no proof: others may call one so. Ours has the record of a run on it, or belongs to this
//! very user and has a program where sockets are made. What is not ours is not joined, not left and not removed.

use std::os::fd::OwnedFd;
use std::path::Path;

use nix::sys::stat::fstat;
use nix::unistd::geteuid;
use vrfbpf::Hook;
use vrfbpf::set::Record;

use crate::bind::bpf::name;

/// Whether the cgroup at this path binds sockets, as its name says. Who may not ask for its programs believes the name of
/// one that is not vrfrun's.
pub fn binds(path: &Path, cgroup: &OwnedFd) -> bool {
    if path.file_name().is_some_and(name::is_one) { is_ours(cgroup) } else { has_program(cgroup).unwrap_or(true) }
}

/// Whether a run of vrfrun made it.
pub fn is_ours(cgroup: &OwnedFd) -> bool {
    Record::read(cgroup).is_some() || (is_own(cgroup) && has_program(cgroup).unwrap_or(true))
}

/// Whether it belongs to the user of this process.
pub fn is_own(cgroup: &OwnedFd) -> bool {
    fstat(cgroup).is_ok_and(|status| status.st_uid == geteuid().as_raw())
}

fn has_program(cgroup: &OwnedFd) -> nix::Result<bool> {
    vrfbpf::attached(Hook::SOCK_CREATE, cgroup).map(|ids| !ids.is_empty())
}

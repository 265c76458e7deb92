//! Mechanism `bpf`: a cgroup of our own, and a program on it that binds each inet socket when it is made.
//!
//! Holds the cgroups (`cgroup`), loading and attaching (`program`) and what `--strict` adds (`strict`). Leaves no
//! cgroup behind in which it failed.

pub mod cgroup;
pub mod program;
pub mod strict;

use nix::errno::Errno;
use vrfbpf::Hook;

use crate::bind::verify::{self, Failure};
use crate::error::unavailable::Unavailable;
use crate::sys::kernel;
use crate::vrf::device::Device;
use crate::vrf::netns;
use cgroup::Group;
use program::{attach, load};

/// A concurrent run may remove the empty directory before we are in it; more often than this it is something else.
const TRIES: usize = 8;

/// Joins the device's cgroup and verifies that its sockets are bound, and under `--strict` that they stay it; otherwise
/// this process is back where it was.
pub fn bind(device: &Device, is_strict: bool) -> Result<(), Unavailable> {
    let base = cgroup::locate()?;
    let inode = netns::inode().map_err(Unavailable::kernel("read the network namespace"))?;
    let name = cgroup::directory_name(device, inode, is_strict);
    for _ in 0..TRIES {
        let group = base.make(&name)?;
        match group.join() {
            Ok(()) => return attach_ours(device, &group, is_strict).inspect_err(|_| group.leave()),
            Err(Errno::ENOENT | Errno::ENODEV) => {}
            Err(errno) => {
                group.remove();
                return Err(Unavailable::kernel("join a cgroup")(errno));
            }
        }
    }
    Err(Unavailable::new("another process keeps removing the cgroup"))
}

/// Removes the device's cgroup if nobody is in it.
pub fn remove_empty(device: &Device, is_strict: bool) {
    if let (Ok(base), Ok(inode)) = (cgroup::locate(), netns::inode()) {
        base.remove(&cgroup::directory_name(device, inode, is_strict));
    }
}

/// In the cgroup: programs that are already there and work are enough; else attach ours.
fn attach_ours(device: &Device, group: &Group, is_strict: bool) -> Result<(), Unavailable> {
    let is_held =
        || verify::is_bound(device).and_then(|()| if is_strict { Ok(strict::verify(device)?) } else { Ok(()) });
    if !group.is_new() && is_held().is_ok() {
        return if is_strict { strict::refresh(device) } else { Ok(()) };
    }
    let program = load(Hook::SOCK_CREATE, &vrfbpf::binding(device.ifindex, vrfbpf::netns_cookie()))?;
    attach(Hook::SOCK_CREATE, &program, group)?;
    if is_strict {
        strict::guard(device, group)?;
    }
    is_held().map_err(|failure| explain_failure(failure, kernel::release()))?;
    group.remove_empty_siblings();
    Ok(())
}

/// The program is attached, and yet sockets are not bound: say what is known to do that. The release chooses the words
/// only: no probe tells this fault of old kernels from others.
fn explain_failure(failure: Failure, release: kernel::Release) -> Unavailable {
    let reason = match failure {
        Failure::Unbound(reason) => reason,
        Failure::Other(reason) => return reason,
    };
    if release < (5, 14) {
        return Unavailable::new(format!(
            "{reason}: before Linux 5.15 any use of cgroup v1 net_cls or net_prio disables it, and before 5.14 a network \
             namespace other than the first"
        ));
    }
    if release < (5, 15) {
        return Unavailable::new(format!("{reason}: net_cls or net_prio of cgroup v1 is in use (Linux 5.15)"));
    }
    reason
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_old_kernels_do_is_named() {
        let reason = || Unavailable::new("an IPv4 socket stayed unbound");
        let unbound = || Failure::Unbound(reason());
        assert!(explain_failure(unbound(), (5, 10)).why.contains("net_cls"));
        assert_eq!(explain_failure(unbound(), (6, 1)), reason());
        assert_eq!(explain_failure(Failure::Other(reason()), (5, 10)), reason());
    }
}

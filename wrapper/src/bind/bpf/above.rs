//! `--strict` with `--user`: whether that user may move its own processes out of the cgroup. The kernel (cgroup_procs_write,
//! and clone3 with CLONE_INTO_CGROUP alike) asks for the right to write to `cgroup.procs` of a cgroup above ours, which is so
//! where a manager has given a user a part of the tree (systemd's user@UID.service, `Delegate=`, rootless containers).
//!
//! Root may move anything, and is not asked about.

use std::os::fd::AsFd;
use std::path::Path;

use nix::fcntl::AtFlags;
use nix::sys::stat::fstatat;

use crate::bind::bpf::cgroup::{self, PROCS};
use crate::error::unavailable::Unavailable;
use crate::program::user::Account;

const HINT: &str = "start it by systemd-run --scope";

/// Err: the account can leave.
pub fn holds(account: &Account) -> Result<(), Unavailable> {
    if account.is_root() {
        return Ok(());
    }
    // Without cgroup2 the mechanism says so itself.
    let Ok(base) = cgroup::locate() else { return Ok(()) };
    match base
        .parent
        .ancestors()
        .filter(|above| above.starts_with("."))
        .find(|above| is_open_to(account, &base.root, above))
    {
        None => Ok(()),
        Some(above) => Err(Unavailable::new(way_out(account, above)).hint(HINT)),
    }
}

fn way_out(account: &Account, above: &Path) -> String {
    let above = above.strip_prefix(".").unwrap_or(above);
    format!("user {} may move its processes to the cgroup /{}", account.number(), above.display())
}

fn is_open_to(account: &Account, root: impl AsFd, above: &Path) -> bool {
    fstatat(root, &above.join(PROCS), AtFlags::empty()).is_ok_and(|procs| account.may_write(&procs))
}

//! systemd as the manager of this machine's services.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::sys::cgroup;
use crate::sys::netlink::KernelError;

/// Whether it is running.
pub fn is_running() -> bool {
    Path::new("/run/systemd/system").exists()
}

/// What makes it use cgroup2 alone, on the kernel's command line.
pub const UNIFIED: &str = "systemd.unified_cgroup_hierarchy=1";

/// The cgroups that it makes for services and logins. From 258 on there is one kind only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hierarchy {
    /// Of cgroup2, or it is not running.
    Unified,
    /// Of v1, with the same ones of cgroup2 beside them; BPFProgram= has no effect.
    Hybrid,
    /// Of v1 alone.
    Legacy,
}

impl Hierarchy {
    /// Which it is here. A hierarchy of systemd's name without a systemd is somebody else's.
    pub fn read() -> Self {
        let cgroups = if is_running() { std::fs::read("/proc/1/cgroup").unwrap_or_default() } else { Vec::new() };
        Self::of_process_1(&cgroups)
    }

    fn of_process_1(cgroups: &[u8]) -> Self {
        let mut lines = cgroups.split(|byte| *byte == b'\n');
        let is_its_own = |line: &[u8]| line.splitn(3, |byte| *byte == b':').nth(1) == Some(b"name=systemd");
        match cgroup::path_in(cgroups) {
            _ if !lines.any(is_its_own) => Self::Unified,
            None | Some(b"/") => Self::Legacy,
            Some(_) => Self::Hybrid,
        }
    }

    /// Whether services can be bound by their cgroups.
    pub fn binds_services(self) -> bool {
        self == Self::Unified
    }

    /// Whether logins have cgroups that programs can be put on.
    pub fn binds_logins(self) -> bool {
        self != Self::Legacy
    }
}

/// Has it read its unit files again. Where it is not running it reads them when it comes up.
///
/// # Errors
/// systemctl(1) cannot be started, or how it ended.
pub fn reload() -> Result<(), String> {
    if !is_running() {
        return Ok(());
    }
    match Command::new("systemctl").arg("daemon-reload").stdin(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(status.to_string()),
        Err(error) => Err(KernelError::from_io(&error).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hierarchy_is_that_of_process_1() {
        let of = |cgroups: &str| Hierarchy::of_process_1(cgroups.as_bytes());
        assert_eq!(of("3:pids:/init.scope\n1:name=systemd:/init.scope\n0::/init.scope\n"), Hierarchy::Hybrid);
        assert_eq!(of("1:name=systemd:/init.scope\n0::/\n"), Hierarchy::Legacy);
        assert_eq!(of("1:name=systemd:/init.scope"), Hierarchy::Legacy);
        for other in ["0::/init.scope\n", "1:name=openrc:/\n0::/\n", "0::/a:name=systemd:b\n", ""] {
            assert_eq!(of(other), Hierarchy::Unified, "{other}");
        }
    }
}

//! Features of newer kernels: the name of each, the first release that has it, and a probe.
//!
//! The probe decides, for distributions take features into older releases; the release is there to be named to the user.
#![forbid(unsafe_code)]

use nix::errno::Errno;

use crate::sys::kernel::Release;
use crate::sys::{interface_option, io_uring, seccomp, socket, syscall};

/// What a mechanism needs of the kernel, or would rather have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// A seccomp filter.
    Filter,
    /// A filter's listener.
    Listener,
    /// The ioctl that puts a socket into the caller.
    AddDescriptor,
    /// close_range(2).
    CloseRange,
    /// SO_BINDTODEVICE by who has no CAP_NET_RAW.
    UnprivilegedBind,
    /// SO_BINDTODEVICE that says where a socket is.
    BoundDevice,
    /// The options that keep a socket in the VRF which has lost its device.
    UnicastInterface,
    /// Programs that run where a cgroup's sockets are made.
    CgroupPrograms,
    /// A filter over io_uring's operations for a task.
    IoUringFilter,
}

impl Feature {
    /// Its name, as the subject of "… needs Linux …".
    pub fn name(self) -> &'static str {
        match self {
            Feature::Filter => "a seccomp filter",
            Feature::Listener => "a supervisor (SECCOMP_RET_USER_NOTIF)",
            Feature::AddDescriptor => "a supervisor (SECCOMP_IOCTL_NOTIF_ADDFD)",
            Feature::CloseRange => "a supervisor (close_range)",
            Feature::UnprivilegedBind => "an unprivileged SO_BINDTODEVICE",
            Feature::BoundDevice => "a readable SO_BINDTODEVICE",
            Feature::UnicastInterface => "IP_UNICAST_IF",
            Feature::CgroupPrograms => "a BPF program for a cgroup's sockets",
            Feature::IoUringFilter => "a filter over io_uring",
        }
    }

    /// The first release of the kernel's own that has it.
    pub fn since(self) -> Release {
        match self {
            Feature::Filter => (3, 17),
            Feature::Listener => (5, 0),
            Feature::AddDescriptor | Feature::CloseRange => (5, 9),
            Feature::UnprivilegedBind => (5, 7),
            Feature::BoundDevice => (3, 8),
            Feature::UnicastInterface => (3, 4),
            Feature::CgroupPrograms => (4, 10),
            Feature::IoUringFilter => (7, 0),
        }
    }

    /// Asks the kernel, and changes nothing by it. False means that it need not be tried; true is no proof yet.
    pub fn probe(self) -> bool {
        match self {
            Feature::Filter => seccomp::knows_filters(),
            Feature::Listener => seccomp::knows_action(libc::SECCOMP_RET_USER_NOTIF),
            // Only a listener can be asked, and nobody gets rid of one again: the supervisor asks when it has it.
            Feature::AddDescriptor => Feature::Listener.probe(),
            Feature::CloseRange => syscall::close_range(1, 0) == Err(Errno::EINVAL),
            Feature::UnprivilegedBind => socket::may_bind(),
            Feature::BoundDevice => {
                socket::open(libc::AF_INET, libc::SOCK_DGRAM, 0).is_ok_and(|socket| socket::device_of(&socket).is_ok())
            }
            Feature::UnicastInterface => interface_option::is_known(),
            Feature::CgroupPrograms => syscall::knows_bpf(),
            Feature::IoUringFilter => io_uring::knows_filters(),
        }
    }

    /// Why it is not there. A filter above may answer in the kernel's place.
    pub fn missing(self) -> String {
        let (major, minor) = self.since();
        let or_denied = if seccomp::is_filtered() { ", or a seccomp filter above denies it" } else { "" };
        format!("{} needs Linux {major}.{minor}{or_denied}", self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::kernel;

    /// All of them.
    const ALL: [Feature; 9] = [
        Feature::Filter,
        Feature::Listener,
        Feature::AddDescriptor,
        Feature::CloseRange,
        Feature::UnprivilegedBind,
        Feature::BoundDevice,
        Feature::UnicastInterface,
        Feature::CgroupPrograms,
        Feature::IoUringFilter,
    ];

    #[test]
    fn what_the_release_promises_the_probe_finds() {
        for feature in ALL {
            assert!(kernel::release() < feature.since() || feature.probe(), "{feature:?}");
        }
    }

    #[test]
    fn a_missing_feature_is_named_with_its_release() {
        let said = Feature::Listener.missing();
        assert!(said.starts_with("a supervisor (SECCOMP_RET_USER_NOTIF) needs Linux 5.0"), "{said}");
    }
}

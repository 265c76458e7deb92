//! The names of vrfrun's cgroups, see `vrfabi`. Pure.
//!
//! A VRF that was made again has another index, and another network namespace another number: so these are other
//! directories; and so is one whose programs deny more.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use vrfabi::cgroup::{Cgroup, PREFIX, Tail};
use vrfbpf::set;

use crate::vrf::device::Device;

/// The name of the cgroup of this device.
pub fn of(device: &Device, netns: u64, is_strict: bool) -> OsString {
    let mut name = OsString::from(PREFIX);
    name.push(device.vrf());
    name.push(Tail { ifindex: device.ifindex, netns, is_strict }.to_string());
    name
}

/// The device of this network namespace, as the programs of a cgroup know it.
pub fn device(device: &Device, netns: u64) -> set::Device<'_> {
    set::Device { name: device.name_bytes(), ifindex: device.ifindex, netns }
}

/// Whether this is such a name: a device's name, then two numbers.
pub fn is_one(name: &OsStr) -> bool {
    Cgroup::parse(name.as_bytes()).is_some()
}

#[cfg(test)]
mod tests {
    use vrfnl::link::NAME_MAX;

    use super::*;
    use crate::proptests;

    fn device(name: &OsStr, ifindex: u32) -> Device {
        Device { name: name.to_owned(), ifindex, table: None, emulates: None }
    }

    #[test]
    fn what_is_only_called_alike_is_not_ours() {
        for name in ["vrfrun-blue-7-4026531840", "vrfrun-a-b-7-4026531840-strict", "vrfrun-eth0-1-2-3", "vrfrun--7-7-1"]
        {
            assert!(is_one(OsStr::new(name)), "{name}");
        }
        for name in [
            "vrfrun-",
            "vrfrun-tests",
            "vrfrun-blue",
            "vrfrun-blue-7",
            "vrfrun-blue-x-4026531840",
            "vrfrun-blue-7-",
            "vrfrun--7-4026531840",
            "vrfrun-blue-07-4026531840",
            "vrfrun-sixteen-letters-0-1-2",
            "Vrfrun-blue-7-1",
            "vrfrun-blue-7-4026531840-strict-strict",
            "vrfrun-blue-7-4026531840 ",
        ] {
            assert!(!is_one(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn every_name_that_is_made_is_read_back() {
        proptests::check(
            (proptests::path(), proptest::prelude::any::<u32>(), proptest::prelude::any::<u64>()),
            |(bytes, ifindex, netns)| {
                let letters: Vec<u8> = bytes.into_iter().filter(|byte| *byte != b'/').take(NAME_MAX).collect();
                let (ifindex, netns) = (ifindex.max(1), netns.max(1));
                if !letters.is_empty() {
                    let device = device(OsStr::from_bytes(&letters), ifindex);
                    assert!(is_one(&of(&device, netns, false)) && is_one(&of(&device, netns, true)), "{device:?}");
                }
            },
        );
    }
}

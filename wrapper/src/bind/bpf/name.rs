//! The names of vrfrun's cgroups: `vrfrun-NAME-IFINDEX-NETNS`, and `-strict` behind it. Pure.
//!
//! A VRF that was made again has another index, and another network namespace another number: so these are other
//! directories; and so is one whose programs deny more. A name is read back whole, for others may call a cgroup
//! `vrfrun-something` too.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use vrfnl::link::NAME_MAX;

use crate::vrf::device::Device;

const PREFIX: &[u8] = b"vrfrun-";
const STRICT: &[u8] = b"-strict";

/// The name of the cgroup of this device.
pub fn of(device: &Device, netns: u64, is_strict: bool) -> OsString {
    let mut name = OsString::from_vec(PREFIX.to_vec());
    name.push(&device.name);
    name.push(format!("-{}-{netns}", device.ifindex));
    name.push(OsStr::from_bytes(if is_strict { STRICT } else { b"" }));
    name
}

/// Whether this is such a name: a device's name, then two numbers.
pub fn is_one(name: &OsStr) -> bool {
    let bytes = name.as_bytes();
    let Some(rest) = bytes.strip_prefix(PREFIX) else { return false };
    // From the end: a device's name may have dashes and digits.
    let mut fields = rest.strip_suffix(STRICT).unwrap_or(rest).rsplitn(3, |&byte| byte == b'-');
    let (netns, ifindex, device) = (fields.next(), fields.next(), fields.next());
    let is_device = device.is_some_and(|name| (1..=NAME_MAX).contains(&name.len()) && !name.contains(&b'/'));
    is_device && ifindex.is_some_and(is_number) && netns.is_some_and(is_number)
}

/// A number as it is written: not zero, no zero before it.
fn is_number(digits: &[u8]) -> bool {
    digits.first().is_some_and(|first| *first != b'0') && digits.iter().all(u8::is_ascii_digit) && digits.len() <= 20
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proptests;

    fn device(name: &OsStr, ifindex: u32) -> Device {
        Device { name: name.to_owned(), ifindex, table: None }
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

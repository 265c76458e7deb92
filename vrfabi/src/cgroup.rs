//! The names of vrfrun's cgroups: `vrfrun-NAME-IFINDEX-NETNS`, and `-strict` behind it. vrfrun makes them, and vrfsetup
//! tells by them which VRF a process is in.
//!
//! A name is read back whole, for others may call a cgroup `vrfrun-something` too.

use core::fmt::{self, Display, Formatter};

use vrfnl::link::NAME_MAX;

/// What stands before the device's name.
pub const PREFIX: &str = "vrfrun-";
const STRICT: &str = "-strict";

/// What a name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cgroup<'a> {
    /// The name of the VRF device.
    pub device: &'a [u8],
    /// What follows it.
    pub tail: Tail,
}

/// What stands behind the device's name; displayed as it is written there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail {
    /// The index of the VRF device.
    pub ifindex: u32,
    /// The inode of the network namespace.
    pub netns: u64,
    /// Whether its programs are those of `--strict`.
    pub is_strict: bool,
}

impl Display for Tail {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "-{}-{}{}", self.ifindex, self.netns, if self.is_strict { STRICT } else { "" })
    }
}

impl<'a> Cgroup<'a> {
    /// Reads a name; None if vrfrun never gives it.
    pub fn parse(name: &'a [u8]) -> Option<Self> {
        let rest = name.strip_prefix(PREFIX.as_bytes())?;
        let is_strict = rest.ends_with(STRICT.as_bytes());
        // From the end: a device's name may have dashes and digits.
        let mut fields = rest.strip_suffix(STRICT.as_bytes()).unwrap_or(rest).rsplitn(3, |&byte| byte == b'-');
        let (netns, ifindex, device) = (number(fields.next()?)?, number(fields.next()?)?, fields.next()?);
        let is_device = (1..=NAME_MAX).contains(&device.len()) && !device.contains(&b'/');
        let tail = Tail { ifindex: u32::try_from(ifindex).ok()?, netns, is_strict };
        is_device.then_some(Self { device, tail })
    }
}

/// A number as it is written: not zero, no zero before it.
fn number(digits: &[u8]) -> Option<u64> {
    let is_written_so = digits.first().is_some_and(|first| *first != b'0') && digits.iter().all(u8::is_ascii_digit);
    core::str::from_utf8(digits).ok().filter(|_| is_written_so)?.parse().ok()
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        for (device, is_strict) in [("blue", false), ("a-b-7", true), ("x-strict", true), ("-", false)] {
            let tail = Tail { ifindex: u32::MAX, netns: 4026531840, is_strict };
            let name = std::format!("{PREFIX}{device}{tail}");
            assert_eq!(Cgroup::parse(name.as_bytes()), Some(Cgroup { device: device.as_bytes(), tail }), "{name}");
        }
    }

    #[test]
    fn a_number_that_no_index_or_inode_can_be_is_none_of_ours() {
        for name in ["vrfrun-blue-4294967296-1", "vrfrun-blue-1-18446744073709551616", "vrfrun-blue-0-1"] {
            assert_eq!(Cgroup::parse(name.as_bytes()), None, "{name}");
        }
    }
}

//! What everybody may read on a bound cgroup whose name does not say it: the extended attribute `user.vrfrun` (5.7), one
//! line for those who look at processes. Believed for nothing else.

use std::os::fd::AsFd;

use crate::set::attribute;

const ATTRIBUTE: &std::ffi::CStr = c"user.vrfrun";
/// Longer than any line: a word and the name of a device.
const LONGEST: usize = 64;

/// Reads it; None if there is none.
pub fn label(cgroup: impl AsFd) -> Option<String> {
    let mut text = [0; LONGEST];
    let length = attribute::get(cgroup, ATTRIBUTE, &mut text).ok()?;
    Some(String::from_utf8_lossy(&text[..length]).into_owned())
}

/// Writes it.
///
/// # Errors
/// EOPNOTSUPP before 5.7; else as setxattr(2).
pub fn set_label(cgroup: impl AsFd, text: &str) -> nix::Result<()> {
    attribute::set(cgroup, ATTRIBUTE, text.as_bytes())
}

/// Removes it, if it is there.
pub(crate) fn remove_label(cgroup: impl AsFd) {
    let _ = attribute::remove(cgroup, ATTRIBUTE);
}

//! Cgroups of vrfrun's, of `ip vrf exec` and of earlier moves: which one a process is in.

use std::os::fd::OwnedFd;

use vrfabi::cgroup::{Cgroup as Name, Tail};
use vrfbpf::Hook;
use vrfbpf::set::Record;

use crate::sys::cgroup;

/// Where a cgroup of ours stands, and whose it is.
pub struct Ours {
    /// The cgroup that it is in.
    pub parent: String,
    /// Its own path.
    pub path: String,
    /// What the name of one of vrfrun's says.
    pub tail: Option<Tail>,
}

/// The outermost cgroup of vrfrun's, or of `ip vrf exec`, on the way to this one: programs of ancestors run last and win.
pub fn ours(path: &str) -> Option<Ours> {
    let parts: Vec<&str> = path.split('/').collect();
    let at = |end: usize| parts[..end].join("/");
    let is_bound = |end: usize| cgroup::open(&at(end)).is_ok_and(|directory| binds(&directory));
    let one = |end: usize, above: usize, tail| {
        let parent = at(above);
        Ours { parent: if parent.is_empty() { "/".to_owned() } else { parent }, path: at(end), tail }
    };
    for end in 1..=parts.len() {
        let tail = Name::parse(parts[end - 1].as_bytes()).map(|name| name.tail);
        if tail.is_some() && is_bound(end) {
            return Some(one(end, end - 1, tail));
        }
    }
    let end = parts.len();
    (end > 2 && parts[end - 2] == "vrf" && is_bound(end)).then(|| one(end, end - 2, None))
}

/// Whether there is a program, or was when a run that gave the cgroup up was killed.
pub fn binds(directory: &OwnedFd) -> bool {
    Record::read(directory).is_some()
        || Record::read_given_up(directory).is_some()
        || vrfbpf::attached(Hook::SOCK_CREATE, directory).is_ok_and(|ids| !ids.is_empty())
}

/// Whether a path is this one or leads below it.
pub fn is_at_or_below(path: &str, wanted: &str) -> bool {
    path.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_begins_alike_is_not_below() {
        assert!(is_at_or_below("/a/b", "/a/b") && is_at_or_below("/a/b/c", "/a/b"));
        assert!(!is_at_or_below("/a/bc", "/a/b") && !is_at_or_below("/a", "/a/b"));
    }

    #[test]
    fn a_cgroup_that_only_has_the_name_is_not_left() {
        for path in ["/", "/vrfrun-blue-7-4026531840", "/user.slice/vrf/blue", "/no/such"] {
            assert!(ours(path).is_none(), "{path}");
        }
    }
}

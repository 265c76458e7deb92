//! Kernel features that vrfsetup asks for, each with the first release that has it and a probe. The probe decides: distributions
//! carry features back into older releases, and take some out.

use std::fs;
use std::sync::OnceLock;
use std::thread;

use nix::sched::{CloneFlags, unshare};

use crate::model::family::Family;
use crate::model::rule::Rule;
use crate::model::step::Step;
use crate::sys::btf;
use crate::sys::netlink::Kernel;
use crate::sys::sysctl;

/// Rules that look packets of every VRF up in its table (4.8). Older kernels take such a rule for another one.
///
/// The setting of UDP (4.11) was built upon them. Where it is not, one is made in a network namespace that ends with the
/// trial. Where no namespace can be made the answer is yes, as on every kernel since 4.8.
pub fn has_l3mdev_rules() -> bool {
    static KNOWN: OnceLock<bool> = OnceLock::new();
    let tried = || thread::spawn(try_l3mdev_rule).join().ok().flatten().unwrap_or(true);
    *KNOWN.get_or_init(|| sysctl::read("net/ipv4/udp_l3mdev_accept").is_some() || tried())
}

/// None where it cannot be tried.
fn try_l3mdev_rule() -> Option<bool> {
    unshare(CloneFlags::CLONE_NEWNET).ok()?;
    let kernel = Kernel::open().ok()?;
    let rule = Rule::l3mdev(Family::V4, 1);
    kernel.make(&Step::AddRule(rule.clone())).ok()?;
    kernel.rules(Family::V4).ok().map(|rules| rules.iter().any(|there| there.priority == 1 && there.looks_up_vrfs()))
}

/// Whether conntrack sees a packet that is made here once, as one that leaves by the port (5.15; 8c9c296adfae). Before, it
/// sees it as one of the VRF's device first, forgets that, and sees it again: two entries, where the second would undo
/// what the first one has translated.
///
/// Nothing but a packet would tell, so the release decides. Where a distribution has carried it back, the answer is no,
/// and such packets are tracked as without zones.
pub fn tracks_local_by_port() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    is_since((5, 15), &release)
}

fn is_since(first: (u32, u32), release: &str) -> bool {
    let mut numbers = release.split(['.', '-']).map_while(|number| number.trim().parse().ok());
    numbers.next().zip(numbers.next()).is_some_and(|release| release >= first)
}

/// Whether a socket knows its cgroup of version 2 beside its class of net_cls and net_prio (5.15, and in some 5.10).
/// Where it does not, one use of these switches all cgroup BPF programs off for sockets until the next boot.
///
/// The kernel's own types tell: the two had one field. None where it has no BTF.
pub fn sockets_have_class_and_cgroup() -> Option<bool> {
    let types = fs::read("/sys/kernel/btf/vmlinux").ok()?;
    btf::has_member(&types, "sock_cgroup_data", "cgroup")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_by_their_numbers() {
        assert!(["5.15.0-91-generic\n", "6.1", "10.0.1"].iter().all(|release| is_since((5, 15), release)));
        assert!(["5.10.0-33-amd64\n", "5.9", "4.19.0", "", "x"].iter().all(|release| !is_since((5, 15), release)));
    }

    #[test]
    fn a_trial_leaves_the_callers_namespace_alone() {
        let namespace = || fs::read_link("/proc/thread-self/ns/net").unwrap();
        let before = namespace();
        // A plain user may not try, this kernel knows such rules.
        let tried = thread::spawn(try_l3mdev_rule).join().unwrap();
        assert_ne!(tried, Some(false));
        assert!(has_l3mdev_rules());
        assert_eq!(namespace(), before);
    }
}

//! The ways into a VRF that every client is tried by: mechanism and user.

use crate::harness::judge::{Order, root, user};

/// One way.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    /// What stands before the client's own words.
    before: &'static [&'static str],
    as_root: bool,
}

const ROOT_BPF: Way = Way { before: &["vrfrun", "-m", "bpf", "blue"], as_root: true };
const ROOT_PRELOAD: Way = Way { before: &["vrfrun", "-m", "preload", "blue"], as_root: true };
const USER_PRELOAD: Way = Way { before: &["vrfrun", "-m", "preload", "blue"], as_root: false };

/// Every way that must work on every kernel.
pub const ALL: [Way; 3] = [ROOT_BPF, ROOT_PRELOAD, USER_PRELOAD];

/// Each mechanism, as root.
pub const ROOTS: [Way; 3] =
    [ROOT_BPF, ROOT_PRELOAD, Way { before: &["vrfrun", "-m", "seccomp", "blue"], as_root: true }];

/// What every user of the project compares with.
pub const IP_VRF_EXEC: Way = Way { before: &["ip", "vrf", "exec", "blue"], as_root: true };

/// Preload with the filter that denies what the shim did not make.
pub const GATED: [Way; 2] = [
    Way { before: &["vrfrun", "-m", "preload", "--no-supervisor", "blue"], as_root: true },
    Way { before: &["vrfrun", "-m", "preload", "--no-supervisor", "blue"], as_root: false },
];

/// No way at all, which proves the judge.
pub const NONE: Way = Way { before: &[], as_root: true };

impl Way {
    /// The client, run this way.
    pub fn order(self, client: &[&str]) -> Order {
        let words = self.before.iter().chain(client);
        if self.as_root { root(words) } else { user(words) }
    }
}

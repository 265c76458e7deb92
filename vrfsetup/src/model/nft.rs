//! The nftables tables that are vrfsetup's, and what nft(8) reads to make one as it should be.

use std::fmt::Write;

use crate::model::shell;

/// A table, or one in each of several families.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// `inet`, `ip6`.
    pub families: &'static [&'static str],
    pub name: &'static str,
    /// What it is for, as errors say it.
    pub what: &'static str,
}

/// That of the conntrack zones.
pub const ZONES: Table = Table { families: &["inet"], name: "vrfsetup_zones", what: "the conntrack zones" };

/// Those by which tunnels receive in their VRFs, and nowhere else.
pub const TUNNELS: Table = Table { families: &["ip", "ip6"], name: "vrfsetup_tunnels", what: "what tunnels receive" };

impl Table {
    /// What puts this text in the place of the table, or removes it: nft makes all of a file or nothing, in one transaction
    /// of the kernel. A table that is not there cannot be deleted, so it is added first.
    pub fn script(self, text: Option<&str>) -> String {
        let mut script = String::new();
        for family in self.families {
            let _ = writeln!(script, "add table {family} {0}\ndelete table {family} {0}", self.name);
        }
        script + text.unwrap_or_default()
    }

    /// The command that does the same.
    pub fn command(self, text: Option<&str>) -> String {
        if text.is_some() {
            return format!("printf '{}' | nft -f -", shell::printed(&self.script(text)));
        }
        let deletions = self.families.iter().map(|family| format!("nft delete table {family} {}", self.name));
        deletions.collect::<Vec<_>>().join("; ")
    }
}

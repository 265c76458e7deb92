//! The columns: the ways into the VRF, each as root or as a plain user. Pure.

use super::setting::{self, Setting};
use crate::harness::judge::USER;

/// One way, as one user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name in the table and in the committed files.
    pub name: &'static str,
    /// What stands before the program; vrfrun's VRF comes from [`Column::words`].
    before: &'static [&'static str],
    /// What is done before and after a cell, where that is not the program's own command line.
    pub setting: Option<Setting>,
    /// Run as root, not as the plain user.
    pub is_root: bool,
    /// What the cells are for.
    pub purpose: Purpose,
}

/// What a column's cells are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// No mechanism: shows that the program sends something at all, which the judged cells rely on.
    Reference,
    /// Somebody else's mechanism: shown, never judged.
    Comparison,
    /// Ours, behind which every kind of program is held.
    Full,
    /// Ours, which closes what it cannot bind.
    Gate,
}

const VRFRUN: &str = "vrfrun";
/// Starts a program where a [`Setting`] wants it ([`super::into`]).
const INTO: &[&str] = &["vrfguest", "into"];

/// All columns, as the table shows them.
pub const ALL: [Column; 16] = [
    column("none/root", &[], Purpose::Reference),
    column("none/user", &[], Purpose::Reference),
    column("ip-vrf/root", &["ip", "vrf", "exec"], Purpose::Comparison),
    column("bpf/root", &[VRFRUN, "-m", "bpf"], Purpose::Full),
    column("preload/root", &[VRFRUN, "-m", "preload"], Purpose::Full),
    column("preload/user", &[VRFRUN, "-m", "preload"], Purpose::Full),
    column("gate/root", &[VRFRUN, "-m", "preload", "--no-supervisor"], Purpose::Gate),
    column("gate/user", &[VRFRUN, "-m", "preload", "--no-supervisor"], Purpose::Gate),
    column("seccomp/root", &[VRFRUN, "-m", "seccomp"], Purpose::Full),
    column("seccomp/user", &[VRFRUN, "-m", "seccomp"], Purpose::Full),
    Column { setting: Some(setting::USER), ..column("user/user", &[], Purpose::Full) },
    Column { setting: Some(setting::SESSION), ..column("session/root", INTO, Purpose::Full) },
    Column { setting: Some(setting::SESSION), ..column("session/user", INTO, Purpose::Full) },
    Column { setting: Some(setting::HOOK), ..column("hook/root", INTO, Purpose::Full) },
    Column { setting: Some(setting::AGENT), ..column("agent/root", INTO, Purpose::Full) },
    Column { setting: Some(setting::AGENT), ..column("agent/user", INTO, Purpose::Full) },
];

const fn column(name: &'static str, before: &'static [&'static str], purpose: Purpose) -> Column {
    let word = name.as_bytes();
    let is_root = word[word.len() - 1] == b't';
    Column { name, before, setting: None, is_root, purpose }
}

/// The column of that name.
pub fn named(name: &str) -> Option<Column> {
    ALL.into_iter().find(|column| column.name == name)
}

/// The column that shows what the same user's program does without a mechanism.
pub fn reference_of(column: Column) -> Column {
    let is_it = |other: &Column| other.purpose == Purpose::Reference && other.is_root == column.is_root;
    ALL.into_iter().find(is_it).unwrap_or(column)
}

impl Column {
    /// Whether its cells can fail.
    pub fn is_judged(self) -> bool {
        matches!(self.purpose, Purpose::Full | Purpose::Gate)
    }

    /// `root` or `user`.
    pub fn user(self) -> &'static str {
        if self.is_root { "root" } else { "user" }
    }

    /// Its user's number.
    pub fn uid(self) -> u32 {
        if self.is_root { 0 } else { USER }
    }

    /// The way, without the user.
    fn way(self) -> &'static str {
        self.name.split('/').next().unwrap_or_default()
    }

    /// Whether vrfrun's options are of use to it; what is not ours does without them.
    pub fn takes_options(self) -> bool {
        self.setting.is_none()
    }

    /// Whether root starts what stands before the program, which becomes the user by itself.
    pub fn is_started_by_root(self) -> bool {
        self.is_root || self.before == INTO
    }

    /// What stands before the program; `options` are vrfrun's, and `--interface` where there are no VRFs.
    pub fn words(self, options: &[String], has_vrfs: bool) -> Vec<String> {
        let mut words: Vec<String> = self.before.iter().map(|word| (*word).to_owned()).collect();
        if self.before.first() == Some(&VRFRUN) {
            words.extend(options.iter().cloned());
            words.extend((!has_vrfs).then(|| "--interface".to_owned()));
        }
        if self.before == INTO {
            words.extend([self.way().to_owned(), self.uid().to_string()]);
        } else if !self.before.is_empty() {
            words.push("blue".to_owned());
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_started_by_root_becomes_the_columns_user() {
        let session = named("session/user").expect("the column");
        assert_eq!(session.words(&[], true), ["vrfguest", "into", "session", "1000"]);
        assert!(session.is_started_by_root() && !session.is_root);
        let user = named("user/user").expect("the column");
        assert!(user.words(&[], true).is_empty() && !user.is_started_by_root());
    }

    #[test]
    fn options_are_vrfruns_and_stand_before_the_vrf() {
        let options = ["--strict".to_owned()];
        let bpf = named("bpf/root").expect("the column");
        assert_eq!(bpf.words(&options, true), ["vrfrun", "-m", "bpf", "--strict", "blue"]);
        let ip = named("ip-vrf/root").expect("the column");
        assert_eq!(ip.words(&options, true), ["ip", "vrf", "exec", "blue"]);
        assert!(ALL[0].words(&options, true).is_empty());
    }
}

//! The columns: the ways into the VRF, each as root or as a plain user. Pure.

/// One way, as one user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name in the table and in the committed files.
    pub name: &'static str,
    /// What stands before the program; vrfrun's VRF comes from [`Column::words`].
    before: &'static [&'static str],
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

/// All columns, as the table shows them.
pub const ALL: [Column; 10] = [
    column("none/root", &[], true, Purpose::Reference),
    column("none/user", &[], false, Purpose::Reference),
    column("ip-vrf/root", &["ip", "vrf", "exec"], true, Purpose::Comparison),
    column("bpf/root", &[VRFRUN, "-m", "bpf"], true, Purpose::Full),
    column("preload/root", &[VRFRUN, "-m", "preload"], true, Purpose::Full),
    column("preload/user", &[VRFRUN, "-m", "preload"], false, Purpose::Full),
    column("gate/root", &[VRFRUN, "-m", "preload", "--no-supervisor"], true, Purpose::Gate),
    column("gate/user", &[VRFRUN, "-m", "preload", "--no-supervisor"], false, Purpose::Gate),
    column("seccomp/root", &[VRFRUN, "-m", "seccomp"], true, Purpose::Full),
    column("seccomp/user", &[VRFRUN, "-m", "seccomp"], false, Purpose::Full),
];

const fn column(name: &'static str, before: &'static [&'static str], is_root: bool, purpose: Purpose) -> Column {
    Column { name, before, is_root, purpose }
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

    /// What stands before the program; `options` are vrfrun's, and `--interface` where there are no VRFs.
    pub fn words(self, options: &[String], has_vrfs: bool) -> Vec<String> {
        let mut words: Vec<String> = self.before.iter().map(|word| (*word).to_owned()).collect();
        if self.before.first() == Some(&VRFRUN) {
            words.extend(options.iter().cloned());
            words.extend((!has_vrfs).then(|| "--interface".to_owned()));
        }
        if !self.before.is_empty() {
            words.push("blue".to_owned());
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

//! Routing table numbers: which are taken, and the first that is free.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use crate::model::step::Step;
use crate::sys::run_dir;

/// The first number that is tried: above those that people give by hand.
pub const FIRST: u32 = 1001;
/// The first line of the files that name a table.
const MARK: &str = "# made by vrfsetup\n";
const RESERVED: [u32; 4] = [0, 253, 254, 255];

/// The lowest free number from [`FIRST`] on.
pub fn first_free(taken: &BTreeSet<u32>) -> u32 {
    (FIRST..u32::MAX).find(|table| !taken.contains(table) && !RESERVED.contains(table)).unwrap_or(FIRST)
}

/// Whether a VRF may have this number at all.
pub fn is_usable(table: u32) -> bool {
    !RESERVED.contains(&table)
}

/// What has a name, read once: rt_tables and rt_tables.d, in /etc and, from iproute2 6.7 on, in /usr.
pub struct Names {
    numbers: HashMap<u32, Vec<PathBuf>>,
    names: HashMap<String, Vec<PathBuf>>,
    are_ours_to_give: bool,
}

impl Names {
    /// Reads the files that are there.
    pub fn read() -> Self {
        let are_ours_to_give = run_dir::is_first_netns();
        let mut all = Self { numbers: HashMap::new(), names: HashMap::new(), are_ours_to_give };
        for path in files() {
            let Ok(text) = fs::read(&path) else { continue };
            for (number, name) in entries(&text) {
                all.numbers.entry(number).or_default().push(path.clone());
                all.names.entry(name).or_default().push(path.clone());
            }
        }
        all
    }

    /// The numbers that have a name.
    pub fn numbers(&self) -> impl Iterator<Item = u32> {
        self.numbers.keys().copied()
    }

    /// The step that makes `ip route show table NAME` work. None where the number or the name has another meaning, and
    /// in other network namespaces than the first: the file is one for the whole machine.
    pub fn step(&self, name: &str, table: u32) -> Option<Step> {
        if !self.are_ours_to_give {
            return None;
        }
        let path = name_file(name);
        let from = fs::read_to_string(&path).ok();
        let to = format!("{MARK}{table}\t{name}\n");
        let is_ours = from.as_ref().is_none_or(|text| text.starts_with(MARK));
        let is_elsewhere = |files: Option<&Vec<PathBuf>>| files.into_iter().flatten().any(|file| *file != path);
        let means_another = is_elsewhere(self.numbers.get(&table)) || is_elsewhere(self.names.get(name));
        let differs = from.as_ref() != Some(&to);
        (is_ours && !means_another && differs).then_some(Step::WriteFile { path, from, to: Some(to) })
    }
}

fn files() -> Vec<PathBuf> {
    let directories = ["/etc/iproute2", "/usr/share/iproute2", "/usr/lib/iproute2"].map(Path::new);
    let mut files: Vec<_> = directories.iter().map(|directory| directory.join("rt_tables")).collect();
    for directory in directories {
        let entries = fs::read_dir(directory.join("rt_tables.d")).into_iter().flatten().flatten();
        files.extend(entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "conf")));
    }
    files
}

/// The table that the VRF had when it was last made here, if its name is still about: it gets it again.
pub fn remembered(name: &str) -> Option<u32> {
    let text = fs::read_to_string(name_file(name)).ok().filter(|text| text.starts_with(MARK))?;
    entries(text.as_bytes()).first().map(|(table, _)| *table).filter(|table| is_usable(*table))
}

/// The step that takes the name away again, if it is of our making.
pub fn unname_step(name: &str) -> Option<Step> {
    let path = name_file(name);
    let from = fs::read_to_string(&path).ok()?;
    (from.starts_with(MARK) && run_dir::is_first_netns()).then_some(Step::WriteFile {
        path,
        from: Some(from),
        to: None,
    })
}

fn name_file(name: &str) -> PathBuf {
    Path::new("/etc/iproute2/rt_tables.d").join(format!("vrf-{name}.conf"))
}

/// Lines of "number name", the number in decimal or after 0x in hexadecimal; `#` begins a comment.
fn entries(file: &[u8]) -> Vec<(u32, String)> {
    let text = String::from_utf8_lossy(file);
    let entry = |line: &str| {
        let mut words = line.split_whitespace();
        let number = words.next()?;
        let number = match number.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16).ok()?,
            None => number.parse().ok()?,
        };
        Some((number, words.next().unwrap_or_default().to_owned()))
    };
    text.lines().filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_free_table_skips_those_taken() {
        assert_eq!(first_free(&BTreeSet::from([1001, 1002, 1004])), 1003);
    }

    #[test]
    fn numbers_are_read_in_both_bases_and_comments_skipped() {
        let entries = entries(b"# reserved\n255\tlocal\n0x3e9 blue\n\n#1 inr.ruhep\nnot a line\n7\n");
        assert_eq!(entries, [(255, "local".into()), (1001, "blue".into()), (7, String::new())]);
    }

    #[test]
    fn the_kernels_own_tables_are_not_usable() {
        assert!([0, 253, 254, 255].iter().all(|&table| !is_usable(table)));
        assert!(is_usable(10));
    }
}

//! The names of routing tables: rt_tables and rt_tables.d, in /etc and, from iproute2 6.7 on, in /usr.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::sys::run_dir;

/// What has a name, read once.
#[derive(Debug, Default)]
pub struct Names {
    /// Whether these files are about the tables of this network namespace: they are the machine's, and so is its first one.
    is_first_netns: bool,
    numbers: HashMap<u32, Vec<PathBuf>>,
    names: HashMap<String, Vec<PathBuf>>,
    /// What each file holds, where it is text: there may be one for each of thousands of VRFs.
    texts: HashMap<PathBuf, String>,
}

impl Names {
    /// Reads the files that are there.
    pub fn read() -> Self {
        let mut all = Self { is_first_netns: run_dir::is_first_netns(), ..Self::default() };
        for path in files() {
            let Ok(text) = fs::read(&path) else { continue };
            for (number, name) in entries(&text) {
                all.numbers.entry(number).or_default().push(path.clone());
                all.names.entry(name).or_default().push(path.clone());
            }
            all.texts.extend(String::from_utf8(text).ok().map(|text| (path, text)));
        }
        all
    }

    /// None are there, in the first network namespace.
    #[cfg(test)]
    pub fn none() -> Self {
        Self { is_first_netns: true, ..Self::default() }
    }

    /// Whether they are about the tables of this network namespace, the machine's first.
    pub fn are_of_these_tables(&self) -> bool {
        self.is_first_netns
    }

    /// The numbers that have a name.
    pub fn numbers(&self) -> impl Iterator<Item = u32> {
        self.numbers.keys().copied()
    }

    /// What this file holds, if it is there.
    pub fn text(&self, path: &Path) -> Option<&str> {
        self.texts.get(path).map(String::as_str)
    }

    /// Whether another file than this one gives the number a name, or the name a number.
    pub fn is_taken_outside(&self, path: &Path, name: &str, table: u32) -> bool {
        let is_elsewhere = |files: Option<&Vec<PathBuf>>| files.into_iter().flatten().any(|file| file != path);
        is_elsewhere(self.numbers.get(&table)) || is_elsewhere(self.names.get(name))
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

/// The file that names the table of one VRF.
pub fn file_of(vrf: &str) -> PathBuf {
    Path::new("/etc/iproute2/rt_tables.d").join(format!("vrf-{vrf}.conf"))
}

/// The VRFs whose table has such a file.
pub fn vrfs() -> Vec<String> {
    let files = fs::read_dir("/etc/iproute2/rt_tables.d").into_iter().flatten().flatten();
    let name = |file: fs::DirEntry| {
        let name = file.file_name().into_string().ok()?;
        Some(name.strip_prefix("vrf-")?.strip_suffix(".conf")?.to_owned())
    };
    files.filter_map(name).collect()
}

/// What it holds, if it is there.
pub fn read_file_of(vrf: &str) -> Option<String> {
    fs::read_to_string(file_of(vrf)).ok()
}

/// Lines of "number name", the number in decimal or after 0x in hexadecimal; `#` begins a comment.
pub fn entries(file: &[u8]) -> Vec<(u32, String)> {
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
    fn numbers_are_read_in_both_bases_and_comments_skipped() {
        let entries = entries(b"# reserved\n255\tlocal\n0x3e9 blue\n\n#1 inr.ruhep\nnot a line\n7\n");
        assert_eq!(entries, [(255, "local".into()), (1001, "blue".into()), (7, String::new())]);
    }
}

//! Routing table numbers: which are taken, and the first that is free.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::state;
use crate::step::Step;

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

/// The numbers that have names: rt_tables and rt_tables.d, in /etc and, from iproute2 6.7 on, in /usr.
pub fn named() -> BTreeSet<u32> {
    texts(None).iter().flat_map(|text| numbers(text.as_bytes())).collect()
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

/// The step that makes `ip route show table NAME` work. None where the number or the name has another meaning, and in
/// other network namespaces than the first: the file is one for the whole machine.
pub fn name_step(name: &str, table: u32) -> Option<Step> {
    let path = name_file(name);
    let from = fs::read_to_string(&path).ok();
    let to = format!("{MARK}{table}\t{name}\n");
    let is_ours = from.as_ref().is_none_or(|text| text.starts_with(MARK));
    let others: Vec<String> = texts(Some(&path));
    let means_another = others
        .iter()
        .any(|text| numbers(text.as_bytes()).contains(&table) || second_words(text).iter().any(|other| other == name));
    (is_ours && !means_another && from.as_ref() != Some(&to) && state::is_first_netns()).then_some(Step::WriteFile {
        path,
        from,
        to: Some(to),
    })
}

/// The table that the VRF had when it was last made here, if its name is still about: it gets it again.
pub fn remembered(name: &str) -> Option<u32> {
    let text = fs::read_to_string(name_file(name)).ok().filter(|text| text.starts_with(MARK))?;
    numbers(text.as_bytes()).first().copied().filter(|table| is_usable(*table))
}

/// The step that takes the name away again, if it is of our making.
pub fn unname_step(name: &str) -> Option<Step> {
    let path = name_file(name);
    let from = fs::read_to_string(&path).ok()?;
    (from.starts_with(MARK) && state::is_first_netns()).then_some(Step::WriteFile { path, from: Some(from), to: None })
}

fn name_file(name: &str) -> PathBuf {
    Path::new("/etc/iproute2/rt_tables.d").join(format!("vrf-{name}.conf"))
}

/// What stands in the files, except this one.
fn texts(except: Option<&Path>) -> Vec<String> {
    let others = files().into_iter().filter(|path| Some(path.as_path()) != except);
    others.filter_map(|path| fs::read_to_string(path).ok()).collect()
}

fn second_words(text: &str) -> Vec<String> {
    let entries = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    entries.filter_map(|line| line.split_whitespace().nth(1)).map(str::to_owned).collect()
}

/// Lines of "number name", the number in decimal or after 0x in hexadecimal; `#` begins a comment.
fn numbers(file: &[u8]) -> Vec<u32> {
    let text = String::from_utf8_lossy(file);
    let number = |line: &str| {
        let word = line.split_whitespace().next()?;
        match word.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16).ok(),
            None => word.parse().ok(),
        }
    };
    text.lines().filter_map(number).collect()
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
        assert_eq!(numbers(b"# reserved\n255\tlocal\n0x3e9 blue\n\n#1 inr.ruhep\nnot a line\n"), [255, 1001]);
    }

    #[test]
    fn the_kernels_own_tables_are_not_usable() {
        assert!([0, 253, 254, 255].iter().all(|&table| !is_usable(table)));
        assert!(is_usable(10));
    }
}

//! The rows: kinds of programs, as `tests/leaks/rows.toml` lists them. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::column::Column;

/// `tests/leaks/rows.toml`, as it stood when the tests were built.
const LIST: &str = include_str!("../../leaks/rows.toml");

/// What the committed files call the kernel of the machine that builds.
pub const NATIVE: &str = "native";

/// One kind of program.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Its name in the table.
    pub name: String,
    /// The program and its arguments; `{bin}` is the directory with the test programs.
    pub run: Vec<String>,
    /// What stands before vrfrun itself: `env LD_PRELOAD=…`.
    #[serde(default)]
    pub outer: Vec<String>,
    /// More options for vrfrun.
    #[serde(default)]
    pub options: Vec<String>,
    /// A shell's line, run once as root, before the row.
    pub prepare: Option<String>,
    /// A shell's line, run as root before each cell.
    pub before_as_root: Option<String>,
    /// A shell's line, run as the cell's user before each cell; its packets are not counted.
    pub before: Option<String>,
    /// A shell's line, run as the cell's user after each cell.
    pub after: Option<String>,
    /// Users for whom the program sends nothing at all, even outside every VRF, and why.
    #[serde(default)]
    pub quiet: BTreeMap<String, String>,
    /// Why its exit code or its answers need not be those of the reference, where they are not.
    pub differs: Option<String>,
    /// Words that must stand in what it says, for these users, by the columns that are ours.
    #[serde(default)]
    pub says: BTreeMap<String, String>,
    /// Kernels that cannot run it, and why.
    #[serde(default)]
    pub absent: BTreeMap<String, String>,
    /// What the machine that builds may lack, without which the row is not run there.
    pub native: Option<Need>,
    /// Why `--trace` has nothing to show of it, by the mechanisms that make no sockets of their own.
    pub untraced: Option<String>,
    /// The only columns in which it makes sense; all, where there are none.
    #[serde(default)]
    pub only: Vec<String>,
    /// A part of `make test`, too.
    #[serde(default)]
    pub slice: bool,
    /// Needs the larger image with the heavy packages.
    #[serde(default)]
    pub heavy: bool,
    /// How long a cell may take, in seconds.
    #[serde(default = "default_limit")]
    pub limit: u64,
}

/// What a machine has or has not, and this decides.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Need {
    /// A shell's line, run as root in a world, that succeeds where it is there.
    pub needs: String,
    /// Why it may not be there.
    pub why: String,
}

const fn default_limit() -> u64 {
    20
}

impl Row {
    /// Whether it makes sense by this column.
    pub fn has(&self, column: Column) -> bool {
        let is_named = self.only.is_empty() || self.only.iter().any(|name| name == column.name);
        is_named && (self.options.is_empty() || column.takes_options())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    row: Vec<Row>,
}

/// All rows, in the order of the file.
///
/// # Panics
/// When the committed file is wrong: there is no matrix without it.
pub fn all() -> Vec<Row> {
    match toml::from_str::<List>(LIST) {
        Ok(list) => list.row,
        Err(error) => panic!("tests/leaks/rows.toml: {error}"),
    }
}

/// The row of that name.
pub fn named(name: &str) -> Option<Row> {
    all().into_iter().find(|row| row.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::kernels;
    use crate::matrix::column;

    #[test]
    fn no_two_rows_share_a_name_and_each_runs_something() {
        let mut names: Vec<_> = all().into_iter().map(|row| row.name).collect();
        assert!(all().iter().all(|row| !row.run.is_empty() && column::named(&row.name).is_none()));
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn rows_speak_of_users_columns_and_kernels_that_exist() {
        for row in all() {
            let users = row.quiet.keys().chain(row.says.keys());
            assert!(users.into_iter().all(|user| ["root", "user"].contains(&user.as_str())), "{}", row.name);
            assert!(row.only.iter().all(|name| column::named(name).is_some()), "{}", row.name);
            assert!(row.absent.keys().all(|name| kernels::named(name).is_some()), "{}", row.name);
        }
    }

    #[test]
    fn the_slice_needs_no_heavy_package() {
        assert!(all().iter().any(|row| row.slice));
        assert!(all().iter().all(|row| !(row.slice && row.heavy)));
    }
}

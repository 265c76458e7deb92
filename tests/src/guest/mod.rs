//! The tests that run inside a virtual machine, as root, on a kernel with VRFs. Each runs in a
//! process of its own, from the same state; what it leaves is its failure (`clean`).
//!
//! To add one: write a function in a file of this folder and name it in the file's `guest_tests!`;
//! a new file is one line in [`MODULES`].

pub mod booted;
pub mod init;

mod clean;
mod runner;

mod apply_again;
mod at_once;
mod beside;
mod bind_on_use;
mod boot;
mod capi;
mod clients;
mod completions;
mod containers;
mod curl;
mod escapes;
mod explain;
mod exported;
mod gate;
mod inherited;
mod leaks;
mod logins;
mod names;
mod neighbours;
mod net_cls;
mod port_keeps;
mod promises;
mod random_worlds;
mod recipes;
mod recipes_services;
mod refusals;
mod rollback;
mod rules;
mod sealing;
mod setup;
mod setup_declared;
mod setup_knowing;
mod setup_ports;
mod surroundings;
mod transactions;
mod unit_names;
mod units;
mod ways;
mod without_bpf;

use crate::kernels::{Feature, Kernel};

/// A registered test. It fails by panicking.
#[derive(Debug)]
pub struct Test {
    path: &'static str,
    needs: &'static [Feature],
    run: fn(),
}

/// Lists a file's tests: `guest_tests! { one, another needs [Supervisor] }`.
macro_rules! guest_tests {
    ($($name:ident $(needs [$($feature:ident),+])?),+ $(,)?) => {
        /// The tests of this file.
        pub const TESTS: &[$crate::guest::Test] = &[$(
            $crate::guest::Test::new(
                concat!(module_path!(), "::", stringify!($name)),
                &[$($($crate::kernels::Feature::$feature),+)?],
                $name,
            )
        ),+];
    };
}
use guest_tests;

const MODULES: &[&[Test]] = &[
    names::TESTS,
    promises::TESTS,
    surroundings::TESTS,
    capi::TESTS,
    curl::TESTS,
    escapes::TESTS,
    bind_on_use::TESTS,
    without_bpf::TESTS,
    clients::TESTS,
    containers::TESTS,
    gate::TESTS,
    inherited::TESTS,
    recipes::TESTS,
    recipes_services::TESTS,
    completions::TESTS,
    explain::TESTS,
    refusals::TESTS,
    sealing::TESTS,
    rules::TESTS,
    setup_ports::TESTS,
    transactions::TESTS,
    port_keeps::TESTS,
    neighbours::TESTS,
    apply_again::TESTS,
    random_worlds::TESTS,
    setup_knowing::TESTS,
    setup_declared::TESTS,
    leaks::TESTS,
    at_once::TESTS,
    // The last: what it may do to an old kernel is undone by a boot only.
    net_cls::TESTS,
];

impl Test {
    /// What [`guest_tests!`] makes of a name.
    const fn new(path: &'static str, needs: &'static [Feature], run: fn()) -> Self {
        Self { path, needs, run }
    }

    /// Its name: file and function.
    fn name(&self) -> &'static str {
        self.path.rsplit_once("guest::").map_or(self.path, |(_, name)| name)
    }
}

/// Those that want a systemd as process 1.
const UNDER_SYSTEMD: &[&[Test]] =
    &[boot::TESTS, units::TESTS, unit_names::TESTS, logins::TESTS, rollback::TESTS, exported::TESTS, beside::TESTS];

/// The names of the tests that must run, and pass, under a systemd.
pub fn expected_under_systemd() -> impl Iterator<Item = String> {
    UNDER_SYSTEMD.iter().copied().flatten().map(|test| test.name().to_owned())
}

/// The names of the tests that must run, and pass, on `kernel`.
pub fn expected_on(kernel: &Kernel) -> impl Iterator<Item = String> {
    let tests = MODULES.iter().copied().flatten();
    tests.filter(|test| test.needs.iter().all(|need| kernel.works.contains(need))).map(|test| test.name().to_owned())
}

/// Runs one test in this process. Says whether there is one of that name.
pub fn run(name: &str) -> bool {
    match all().find(|test| test.name() == name) {
        Some(test) => {
            (test.run)();
            let left = clean::processes_left();
            assert!(left.is_empty(), "it left behind:\n  {}", left.join("\n  "));
            true
        }
        None => false,
    }
}

fn all() -> impl Iterator<Item = &'static Test> {
    MODULES.iter().chain(UNDER_SYSTEMD).copied().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::image::top;

    /// docs/recipes.md names below each recipe the tests that run it.
    #[test]
    fn every_recipe_names_tests_that_there_are() {
        let page = include_str!("../../../docs/recipes.md");
        let recipes: Vec<&str> = page.split("\n## ").skip(1).collect();
        assert!(recipes.len() > 6, "{}", recipes.len());
        for recipe in recipes {
            let (title, _) = recipe.split_once('\n').expect("a title");
            let tested = recipe.lines().find_map(|line| line.strip_prefix("Tested: ")).expect(title);
            for name in tested.split(", ").map(|name| name.trim_matches('`')) {
                if name.ends_with(".rs") {
                    assert!(top().join(name).exists(), "{title}: there is no {name}");
                    continue;
                }
                assert!(all().any(|test| test.name() == name), "{title}: there is no test {name}");
            }
        }
    }

    #[test]
    fn no_two_guest_tests_share_a_name() {
        let mut names: Vec<_> = all().map(Test::name).collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}

//! What the pages say of the tests, and the list of tests of itself.

use super::*;
use crate::harness::kernels;
use crate::harness::vm::image::top;

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

/// SECURITY.md names in brackets the files of tests that keep it.
#[test]
fn security_names_tests_that_there_are() {
    let page = include_str!("../../../SECURITY.md");
    let files: Vec<&str> = page.split('`').filter(|word| word.ends_with(".rs")).collect();
    assert!(files.len() > 20, "{}", files.len());
    for file in files {
        assert!(top().join(file).exists(), "there is no {file}");
    }
    let both = page.split("## Reporting").next().expect("what is promised, and what is not");
    for line in both.split("\n- ").skip(1) {
        // By a test, a row of the leak matrix, or another program's source.
        let is_kept = [".rs`", "`docs/leak-matrix.md`", "crun runs no hooks"].iter().any(|word| line.contains(word));
        assert!(is_kept, "no test keeps: {line}");
    }
}

#[test]
fn every_kernel_of_another_machine_runs_the_slice_or_what_its_line_names() {
    for kernel in [Arch::Aarch64, Arch::Riscv64].into_iter().flat_map(kernels::of) {
        let expected: Vec<String> = expected_on(&kernel).collect();
        assert!(expected.len() == slice::SLICE.len() || !kernel.tests.is_empty(), "{}", kernel.name);
        for beginning in &kernel.tests {
            assert!(expected.iter().any(|name| name.starts_with(beginning)), "{}: {beginning}", kernel.name);
        }
    }
}

#[test]
fn what_a_system_names_there_is_and_each_daemon_has_a_system() {
    let systems = kernels::systems();
    for (system, beginning) in systems.iter().flat_map(|system| system.tests.iter().map(move |one| (system, one))) {
        assert!(all().any(|test| test.name().starts_with(beginning.as_str())), "{}: {beginning}", system.name);
    }
    let expected: Vec<String> = systems.iter().flat_map(expected_under_systemd).collect();
    for test in UNDER_SYSTEMD.iter().chain(BESIDE_ONE_DAEMON).copied().flatten() {
        assert!(expected.iter().any(|name| name == test.name()), "{} runs nowhere", test.name());
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

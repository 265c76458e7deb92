//! What goes to crates.io: the crates that others can use, and nothing else.

use std::collections::BTreeSet;

use serde_json::Value;
use vrftests::harness::vm::image::top;

use super::{path, run, text};

const PUBLISHED: [&str; 3] = ["vrfnl", "vrfabi", "vrfbpf"];

fn packages() -> Vec<Value> {
    let output = run("cargo", ["metadata", "--format-version", "1", "--no-deps", "--offline"]);
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    metadata["packages"].as_array().expect("a list").clone()
}

#[test]
fn the_crates_that_others_can_use_say_what_crates_io_asks_for_and_no_other_can_be_published() {
    let packages = packages();
    let is_published = |package: &&Value| package["publish"].is_null();
    let published: BTreeSet<_> =
        packages.iter().filter(is_published).filter_map(|package| package["name"].as_str()).collect();
    assert_eq!(published, BTreeSet::from(PUBLISHED));
    for package in packages.iter().filter(is_published) {
        for key in ["description", "license", "repository", "readme", "rust_version"] {
            assert!(package[key].is_string(), "{}: no {key}", package["name"]);
        }
    }
}

/// `cargo publish --dry-run` without the network: what each needs of the others is taken from here.
#[test]
fn the_crates_that_others_can_use_are_packed_with_their_sources() {
    let directory = tempfile::tempdir().expect("a directory");
    let local = ["vrfnl", "vrfabi"].map(|name| format!("patch.crates-io.{name}.path=\"{}\"", path(&top().join(name))));
    for name in PUBLISHED {
        let mut words = vec!["package", "--quiet", "--no-verify", "--offline", "--allow-dirty", "-p", name];
        words.extend(["--target-dir", path(directory.path())]);
        // A patch for a crate that is not asked for would be warned of.
        let needed = local.iter().filter(|_| name != "vrfnl");
        words.extend(needed.flat_map(|patch| ["--config", patch.as_str()]));
        run("cargo", &words);
        let archive = directory.path().join(format!("package/{name}-{}.crate", env!("CARGO_PKG_VERSION")));
        let listed = text(&run("tar", ["--strip-components=1", "-tzf", path(&archive)]).stdout);
        for file in ["src/lib.rs", "README.md", "Cargo.toml"] {
            assert!(listed.lines().any(|line| line.ends_with(&format!("/{file}"))), "{name}: {file}: {listed}");
        }
    }
}

//! `make CROSS=…`: what cannot be built is said in one line. What can is built, and run, by `tools/vm arm64_6_1` and
//! `tools/vm riscv64_6_12`.

use std::process::{Command, Output};

use vrftests::harness::vm::image::top;

fn make(words: &[&str]) -> Output {
    Command::new("make").arg("-s").args(words).current_dir(top()).env_remove("MAKEFLAGS").output().expect("make")
}

fn refusal(words: &[&str]) -> String {
    let output = make(words);
    assert!(!output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    said.lines().find(|line| !line.starts_with("make:")).expect("a reason").to_owned()
}

#[test]
fn what_cannot_be_built_is_named_with_its_reason() {
    let said = refusal(&["CROSS=sparc64-unknown-linux-gnu"]);
    assert!(said.starts_with("cross-cargo: cannot build for sparc64-unknown-linux-gnu: "), "{said}");
    let said = refusal(&["deb", "CROSS=sparc64-unknown-linux-gnu"]);
    assert!(said.starts_with("make deb: cannot name sparc64-unknown-linux-gnu"), "{said}");
}

#[test]
fn without_cross_make_builds_as_ever_and_with_it_installs_what_was_built_for_it() {
    let plan = |words: &[&str]| {
        String::from_utf8_lossy(&make(&[words, &["-n", "build", "install"]].concat()).stdout).into_owned()
    };
    assert!(plan(&[]).starts_with("cargo build --release\n"), "{}", plan(&[]));
    for (triple, gnu) in
        [("aarch64-unknown-linux-gnu", "aarch64-linux-gnu"), ("riscv64gc-unknown-linux-gnu", "riscv64-linux-gnu")]
    {
        let cross = plan(&[&format!("CROSS={triple}")]);
        assert!(cross.contains(&format!("/lib/{gnu}'")) && cross.contains(&format!("/{triple}/release'")), "{cross}");
    }
}

//! Every guest test on every kernel of `tests/kernels.toml`: one test here is one virtual machine.

use std::path::Path;

use vrftests::kernels;
use vrftests::vm::run::{self, Runner};

fn boot_and_test(name: &str) {
    let kernel = kernels::named(name).expect("a kernel of tests/kernels.toml");
    let runner = Runner::new(Path::new(env!("CARGO_BIN_EXE_vrfguest")), Path::new(env!("CARGO_BIN_EXE_vrfpeer")));
    let ended = runner.and_then(|runner| run::tests(&kernel, &runner, &[]));
    assert!(ended.is_ok(), "{}", ended.unwrap_err());
}

#[test]
fn debian_5_10() {
    boot_and_test("debian_5_10");
}

#[test]
fn debian_6_1() {
    boot_and_test("debian_6_1");
}

#[test]
fn debian_6_12() {
    boot_and_test("debian_6_12");
}

#[test]
fn debian_sid() {
    boot_and_test("debian_sid");
}

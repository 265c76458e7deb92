//! A slice of the leak matrix: rows marked `slice`, one of each class of programs, by every way of
//! ours, held to the committed expectation. `make leaks` runs all rows.

use super::guest_tests;
use crate::kernels;
use crate::leaks::expect::{Expectations, measure};
use crate::leaks::{column, inside, row};
use crate::world::{Kind, World};

guest_tests! {
    curl,
    getent,
    go_without_cgo,
    static_glibc,
    dynamic_musl,
    i386,
    inline_asm,
    inline_asm_after_the_hook,
    a_cleared_environment,
}

/// Every cell of the row is at least as good as committed, and the program does send something.
fn holds(name: &str) {
    let row = row::named(name).unwrap_or_else(|| panic!("there is no row '{name}'"));
    assert!(row.slice, "'{name}' is not marked as a part of the slice");
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("this kernel's release");
    let kernel = kernels::of_release(&release).expect("a kernel of tests/kernels.toml");
    let expectations = Expectations::read();
    let mut world = World::of_machine(Kind::Vrfs).expect("a world");
    let wanted = |column: column::Column| column.is_judged() || column.name == "none/root";
    for cell in inside::cells(&mut world, &row, wanted) {
        let column = column::named(&cell.column).expect("a column");
        let expected = expectations.of(&row, column, &kernel.name);
        let finding = measure(&expected, Some(&cell));
        assert!(!finding.is_fault(), "{finding:?}: expected {expected:?}, got {cell:?}");
    }
}

fn curl() {
    holds("curl");
}

fn getent() {
    holds("getent");
}

fn go_without_cgo() {
    holds("Go without cgo");
}

fn static_glibc() {
    holds("glibc static");
}

fn dynamic_musl() {
    holds("musl");
}

fn i386() {
    holds("i386");
}

fn inline_asm() {
    holds("inline asm");
}

fn inline_asm_after_the_hook() {
    holds("inline asm after libc's socket");
}

fn a_cleared_environment() {
    holds("env -i");
}

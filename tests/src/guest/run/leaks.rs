//! A slice of the leak matrix: rows marked `slice`, one of each class of programs, by one column of each
//! mechanism or way, held to the committed expectation. `make leaks` runs everything.

use super::guest_tests;
use crate::harness::kernels;
use crate::harness::world::{Kind, World};
use crate::matrix::column::{self, Column};
use crate::matrix::expect::{Expectations, measure};
use crate::matrix::{inside, row};

guest_tests! {
    programs_that_people_run,
    programs_that_no_shim_enters,
    programs_that_make_their_own_system_calls,
    programs_of_users_logins_and_containers needs [Once],
}

/// The reference, and each mechanism as the user whom it is harder for.
const COLUMNS: [&str; 5] = ["none/root", "bpf/root", "preload/user", "gate/user", "seccomp/user"];

/// What is not vrfrun's command line.
const OTHERS: [&str; 6] = ["none/root", "none/user", "user/user", "session/user", "hook/root", "agent/user"];

/// Rows whose program is built for x86 only, or by a compiler that only x86 has here.
const ONLY_ON_X86: [&str; 2] = ["i386", "musl"];

fn programs_that_people_run() {
    hold(&["curl", "getent", "env -i"], &COLUMNS);
}

fn programs_that_no_shim_enters() {
    hold(&["Go without cgo", "glibc static", "i386"], &COLUMNS);
}

fn programs_that_make_their_own_system_calls() {
    hold(&["musl", "inline asm", "inline asm after libc's socket"], &COLUMNS);
}

fn programs_of_users_logins_and_containers() {
    hold(&["curl", "glibc static"], &OTHERS);
}

/// Every cell of these rows is at least as good as committed, and the programs do send something.
fn hold(rows: &[&str], columns: &[&str]) {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("this kernel's release");
    let kernel = kernels::of_release(&release).expect("a kernel of tests/kernels.toml");
    let expectations = Expectations::read();
    let mut world = World::of_machine(Kind::Vrfs).expect("a world");
    let is_built = |name: &&&str| cfg!(target_arch = "x86_64") || !ONLY_ON_X86.contains(*name);
    for name in rows.iter().filter(is_built) {
        let row = row::named(name).unwrap_or_else(|| panic!("there is no row '{name}'"));
        assert!(row.slice, "'{name}' is not marked as a part of the slice");
        let wanted = |column: Column| columns.contains(&column.name);
        for cell in inside::cells(&mut world, &row, wanted) {
            let column = column::named(&cell.column).expect("a column");
            let expected = expectations.of(&row, column, &kernel.name);
            let finding = measure(&expected, Some(&cell));
            assert!(!finding.is_fault(), "{finding:?}: expected {expected:?}, got {cell:?}");
        }
    }
}

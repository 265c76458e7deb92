//! `vrfsetup unit` is whole or not at all: with a fault at each call that it makes from its journal on, the files and
//! what systemd has read of them are what they were. With a fault at every call, not the first and the last of each kind:
//! `tools/vm systemd_bookworm --run env EVERY=1 vrfguest run unit_faults::NAME`.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::guest_tests;
use super::machine::{Machine, machine, systemctl};
use crate::guest::setup::transactions::{text, vrfsetup_idle};
use crate::guest::setup::vrfsetup;
use crate::harness::vm::plan::DIRECTORY;
use crate::harness::world::Kind;

guest_tests! {
    unit_refused_anywhere_changes_nothing,
    unit_killed_anywhere_is_undone_by_the_next_run,
    a_removal_killed_anywhere_is_undone_by_the_next_run,
}

pub(super) const UNITS: &str = "/etc/systemd/system";
const PUT: &str = "unit blue vrftest-own";
const REMOVE: &str = "unit --remove blue vrftest-own";
/// Those that make a change or its journal, with an error of each.
const CALLS: [(&str, &str); 7] = [
    ("openat", "EACCES"),
    ("mkdir", "EACCES"),
    ("write", "ENOSPC"),
    ("fdatasync", "EIO"),
    ("rename", "EPERM"),
    ("unlink", "EPERM"),
    ("rmdir", "EPERM"),
];

/// A call, an error of it, and which of its kind it is.
type Call = (&'static str, &'static str, usize);

pub(super) fn furnished() -> Machine {
    let mut world = machine(Kind::Vrfs);
    fs::write(format!("{UNITS}/vrftest-own.service"), "[Service]\nExecStart=/bin/sleep 60\n").expect("a unit");
    systemctl(&mut world, 0, "daemon-reload");
    world
}

/// All files and directories of units, with their texts, and the drop-ins that systemd has read.
pub(super) fn state() -> BTreeMap<String, String> {
    fn collect(directory: &Path, into: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            // Those of links are none of ours.
            into.insert(path.display().to_string(), fs::read_to_string(&path).unwrap_or_default());
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                collect(&path, into);
            }
        }
    }
    let mut all = BTreeMap::new();
    collect(Path::new(UNITS), &mut all);
    let shown = ["show", "--property=DropInPaths", "--value", "vrftest-own.service"];
    all.insert(
        "systemd has read".to_owned(),
        text(&Command::new("systemctl").args(shown).output().expect("systemctl")),
    );
    all
}

fn under_strace(options: &[&str], words: &str) -> Output {
    let mut strace = Command::new("strace");
    strace.arg("-qq").args(options).arg(format!("{DIRECTORY}/vrfsetup")).args(words.split(' '));
    strace.stdin(Stdio::null()).output().expect("strace")
}

/// The calls above, each with its number, that the command makes once its journal is there.
fn calls(world: &mut Machine, words: &str) -> Vec<Call> {
    let log = world.directory().join("calls").display().to_string();
    let output = under_strace(&["-o", &log], words);
    assert!(output.status.success(), "{output:?}");
    let (mut counts, mut calls, mut has_journal) = (HashMap::new(), Vec::new(), false);
    for line in fs::read_to_string(&log).expect("strace's log").lines() {
        let Some((name, arguments)) = line.split_once('(') else { continue };
        let Some((name, error)) = CALLS.into_iter().find(|(call, _)| *call == name) else { continue };
        let count = counts.entry(name).and_modify(|count| *count += 1).or_insert(1);
        has_journal |= name == "openat" && arguments.contains(".journal\"");
        if has_journal {
            calls.push((name, error, *count));
        }
        // The change is complete: what comes then is no part of it.
        if name == "rename" && arguments.contains(".last\"") {
            break;
        }
    }
    assert!(calls.len() > 6, "{calls:?}");
    calls
}

/// Of each kind: systemd takes its time to read its units again, whatever the fault is.
fn first_and_last(all: &[Call]) -> Vec<Call> {
    let ends = |at: &usize| {
        let is_same = |other: &Call| other.0 == all[*at].0;
        !all[..*at].iter().any(is_same) || !all[*at + 1..].iter().any(is_same)
    };
    (0..all.len()).filter(ends).map(|at| all[at]).collect()
}

/// Has a fault come at each of the calls.
fn is_whole_or_not_at_all(world: &mut Machine, words: &str, fault: impl Fn(&str, &str) -> Option<String>) {
    let before = state();
    let all = calls(world, words);
    println!("{all:?}");
    let all = if std::env::var_os("EVERY").is_some() { all } else { first_and_last(&all) };
    let whole = state();
    assert_ne!(before, whole);
    vrfsetup(world, 0, "rollback");
    assert_eq!(state(), before);
    let mut halfway = 0;
    for (call, error, at) in all {
        let Some(fault) = fault(call, error) else { continue };
        let inject = format!("inject={call}:{fault}:when={at}");
        let met = text(&under_strace(&["-o", "/dev/null", "-e", &inject], words));
        let next = text(&vrfsetup_idle());
        halfway += usize::from(next.contains("is rolled back") || met.contains("nothing is changed"));
        let now = state();
        assert!(now == before || now == whole, "{inject}: {now:?}\n{met}{next}");
        if now == whole {
            vrfsetup(world, 0, "rollback");
            assert_eq!(state(), before, "{inject}");
        }
    }
    assert!(halfway > 1, "met halfway {halfway} times only");
}

fn unit_refused_anywhere_changes_nothing() {
    let mut world = furnished();
    is_whole_or_not_at_all(&mut world, PUT, |_, error| Some(format!("error={error}")));
}

/// A kill comes before the call: at these it comes after each of the others, too.
fn killed(call: &str, _: &str) -> Option<String> {
    ["openat", "write", "rename", "unlink"].contains(&call).then(|| "signal=SIGKILL".to_owned())
}

fn unit_killed_anywhere_is_undone_by_the_next_run() {
    let mut world = furnished();
    is_whole_or_not_at_all(&mut world, PUT, killed);
}

fn a_removal_killed_anywhere_is_undone_by_the_next_run() {
    let mut world = furnished();
    vrfsetup(&mut world, 0, PUT);
    is_whole_or_not_at_all(&mut world, REMOVE, |call, error| {
        killed(call, error).filter(|_| ["rename", "unlink"].contains(&call))
    });
    vrfsetup(&mut world, 0, REMOVE);
}

//! `vrfsetup unit` is whole or not at all: with a fault at each call that it makes from its journal on, the files and
//! what systemd has read of them are what they were. With a fault at every call, not the first and the last of each kind:
//! `tools/vm systemd_bookworm --run env EVERY=1 vrfguest run unit_faults::NAME`.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::guest_tests;
use super::machine::{Machine, machine, systemctl};
use crate::guest::setup::faults::{Fault, text, vrfsetup_idle};
use crate::guest::setup::vrfsetup;
use crate::harness::vm::plan::DIRECTORY;
use crate::harness::world::Kind;

guest_tests! {
    unit_refused_anywhere_changes_nothing,
    unit_killed_anywhere_is_undone_by_the_next_run,
    unit_ended_anywhere_by_a_signal_changes_nothing,
    a_removal_refused_anywhere_changes_nothing,
    a_removal_killed_anywhere_is_undone_by_the_next_run,
    a_removal_ended_anywhere_by_a_signal_changes_nothing,
    a_rollback_of_a_unit_killed_at_a_call_of_each_kind_is_resumed,
    a_systemd_that_does_not_read_its_units_again_is_named,
}

pub(super) const UNITS: &str = "/etc/systemd/system";
const PUT: &str = "unit blue vrftest-own";
const REMOVE: &str = "unit --remove blue vrftest-own";
/// Those that make a change or its journal, or start systemctl(1) and wait for it, with an error of each.
const CALLS: [(&str, &str); 9] = [
    ("openat", "EACCES"),
    ("mkdir", "EACCES"),
    ("write", "ENOSPC"),
    ("fdatasync", "EIO"),
    ("rename", "EPERM"),
    ("unlink", "EPERM"),
    ("rmdir", "EPERM"),
    ("clone3", "EAGAIN"),
    ("wait4", "ECHILD"),
];

/// A call, an error of it, and which of its kind it is.
type Call = (&'static str, &'static str, usize);

pub(super) fn furnished() -> Machine {
    let mut world = machine(Kind::Vrfs);
    let unit = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n";
    fs::write(format!("{UNITS}/vrftest-own.service"), unit).expect("a unit");
    systemctl(&mut world, 0, "daemon-reload");
    // Of one that is not active systemd reads the files whenever it is asked.
    systemctl(&mut world, 0, "start vrftest-own.service");
    world
}

/// In the state: what systemd itself has.
const READ: &str = "systemd has read";

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
    all.insert(READ.to_owned(), text(&Command::new("systemctl").args(shown).output().expect("systemctl")));
    all
}

fn under_strace(options: &[&str], words: &str) -> Output {
    let mut strace = Command::new("strace");
    strace.arg("-qq").args(options).arg(format!("{DIRECTORY}/vrfsetup")).args(words.split(' '));
    strace.stdin(Stdio::null()).output().expect("strace")
}

/// The calls above, each with its number, that the command makes once its journal is there.
fn calls(world: &mut Machine, words: &str) -> Vec<Call> {
    // Makes the lock, which costs calls of its own.
    vrfsetup_idle();
    let log = world.directory().join("calls").display().to_string();
    let output = under_strace(&["-o", &log], words);
    assert!(output.status.success(), "{output:?}");
    let (mut counts, mut calls, mut has_journal) = (HashMap::new(), Vec::new(), false);
    for line in fs::read_to_string(&log).expect("strace's log").lines() {
        let Some((name, arguments)) = line.split_once('(') else { continue };
        let Some((name, error)) = CALLS.into_iter().find(|(call, _)| *call == name) else { continue };
        let count = counts.entry(name).and_modify(|count| *count += 1).or_insert(1);
        has_journal |= name == "openat" && arguments.contains(".journal\"") && arguments.contains("O_CREAT");
        if has_journal {
            calls.push((name, error, *count));
        }
        // The change is complete: what comes then is no part of it.
        if name == "rename" && arguments.contains(".last\"") {
            break;
        }
    }
    assert!(calls.len() > 6 && calls.iter().any(|(name, ..)| *name == "clone3"), "{calls:?}");
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

/// Has a fault come at each of these calls. A signal comes before its call, and so after each of the others, too.
fn is_whole_or_not_at_all(world: &mut Machine, words: &str, fault: Fault, at: &[&str]) {
    let before = state();
    let all: Vec<Call> = calls(world, words).into_iter().filter(|(call, ..)| at.contains(call)).collect();
    println!("{all:?}");
    let all = if std::env::var_os("EVERY").is_some() { all } else { first_and_last(&all) };
    let whole = state();
    assert_ne!(before[READ], whole[READ]);
    vrfsetup(world, 0, "rollback");
    assert_eq!(state(), before);
    let mut halfway = 0;
    for (turn, call) in all.into_iter().enumerate() {
        let (name, error, at) = call;
        let inject = format!("inject={name}:{}:when={at}", fault.injected(error, turn));
        let met = under_strace(&["-o", "/dev/null", "-e", &inject], words);
        let (said, now) = (text(&met), state());
        // Who is refused or ended by a signal leaves nothing to the next run, unless the journal cannot be put away.
        let is_undone = said.contains("nothing is changed");
        match fault {
            Fault::Kill => assert!(!met.status.success(), "{inject}: {said}"),
            _ if is_undone => assert_eq!(now, before, "{inject}: {said}"),
            _ if met.status.success() => assert_eq!(now, whole, "{inject}: {said}"),
            Fault::Refusal => {
                assert!(now == before || said.contains("the change is made"), "{inject}: {said}")
            }
            Fault::Signal => panic!("{inject}: {said}"),
        }
        assert!(!is_undone || met.status.code() == Some(1), "{inject}: {met:?}");
        let next = text(&vrfsetup_idle());
        halfway += usize::from(is_undone || next.contains("is rolled back"));
        let now = state();
        assert!(now == before || now == whole, "{inject}: {said}{next}");
        assert!(!next.contains("could not be undone"), "{inject}: {next}");
        if now == whole {
            vrfsetup(world, 0, "rollback");
            assert_eq!(state(), before, "{inject}");
        }
    }
    assert!(halfway > 1, "met halfway {halfway} times only");
}

fn putting(fault: Fault, at: &[&str]) {
    is_whole_or_not_at_all(&mut furnished(), PUT, fault, at);
}

fn removing(fault: Fault, at: &[&str]) {
    let mut world = furnished();
    vrfsetup(&mut world, 0, PUT);
    is_whole_or_not_at_all(&mut world, REMOVE, fault, at);
    vrfsetup(&mut world, 0, REMOVE);
}

fn unit_refused_anywhere_changes_nothing() {
    putting(Fault::Refusal, &CALLS.map(|(call, _)| call));
}

fn unit_killed_anywhere_is_undone_by_the_next_run() {
    putting(Fault::Kill, &["openat", "write", "rename", "unlink", "wait4"]);
}

fn unit_ended_anywhere_by_a_signal_changes_nothing() {
    putting(Fault::Signal, &["write", "clone3", "wait4"]);
}

fn a_removal_refused_anywhere_changes_nothing() {
    removing(Fault::Refusal, &["unlink", "clone3"]);
}

fn a_removal_killed_anywhere_is_undone_by_the_next_run() {
    removing(Fault::Kill, &["rename", "unlink", "wait4"]);
}

fn a_removal_ended_anywhere_by_a_signal_changes_nothing() {
    removing(Fault::Signal, &["unlink", "clone3", "wait4"]);
}

/// Up to the last call there is something left to undo: that systemd reads its units again.
fn a_rollback_of_a_unit_killed_at_a_call_of_each_kind_is_resumed() {
    let mut world = furnished();
    let before = state();
    for call in ["unlink", "clone3", "wait4"] {
        vrfsetup(&mut world, 0, PUT);
        assert_ne!(state(), before);
        let inject = format!("inject={call}:signal=SIGKILL:when=1");
        let killed = under_strace(&["-o", "/dev/null", "-e", &inject], "rollback");
        assert!(!killed.status.success(), "{inject}: it was not killed");
        let next = text(&vrfsetup_idle());
        assert!(
            next.contains("('vrfsetup unit blue vrftest-own') was not finished and is rolled back"),
            "{inject}: {next}"
        );
        assert_eq!(state(), before, "{inject}: {next}");
    }
}

/// Of a change, which is undone then, and of its rollback, which is left for the next one.
fn a_systemd_that_does_not_read_its_units_again_is_named() {
    let mut world = furnished();
    let before = state();
    let all = calls(&mut world, PUT);
    let whole = state();
    let started = all.iter().find(|(call, ..)| *call == "clone3").expect("systemctl").2;
    let refused = |words: &str, when: String| {
        under_strace(&["-o", "/dev/null", "-e", &format!("inject=clone3:error=EAGAIN:when={when}")], words)
    };
    let left = refused("rollback", "1+".to_owned());
    assert_eq!(left.status.code(), Some(1), "{}", text(&left));
    assert!(text(&left).contains("'systemctl daemon-reload' (Resource temporarily unavailable)"), "{}", text(&left));
    assert!(text(&left).contains("hint: vrfsetup rollback"), "{}", text(&left));
    vrfsetup(&mut world, 0, "rollback");
    assert_eq!(state(), before);
    let left = refused(PUT, format!("{started}+"));
    assert_eq!(left.status.code(), Some(1), "{}", text(&left));
    assert!(text(&left).contains("'systemctl daemon-reload' failed"), "{}", text(&left));
    vrfsetup(&mut world, 0, "rollback");
    assert_eq!(state(), before);
    assert_ne!(whole, before);
}

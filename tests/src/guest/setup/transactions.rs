//! A change of vrfsetup is made whole or not at all, with real VRFs: each verb is refused, killed and interrupted at each
//! message that it sends, and then the kernel's state, as `ip -j` tells it, is what it was. `vrfsetup/tests` has the
//! same for what needs no VRF.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use super::guest_tests;
use super::{assert_same, state, vrfsetup};
use crate::harness::judge::root;
use crate::harness::vm::plan::DIRECTORY;
use crate::harness::world::{Kind, World};

guest_tests! {
    add_refused_anywhere_changes_nothing needs [Once],
    add_killed_anywhere_is_undone_by_the_next_run needs [Once],
    add_ended_anywhere_by_a_signal_changes_nothing needs [Once],
    attach_refused_anywhere_changes_nothing needs [Once],
    attach_killed_anywhere_is_undone_by_the_next_run needs [Once],
    attach_ended_anywhere_by_a_signal_changes_nothing needs [Once],
    detach_refused_anywhere_changes_nothing needs [Once],
    detach_killed_anywhere_is_undone_by_the_next_run needs [Once],
    detach_ended_anywhere_by_a_signal_changes_nothing needs [Once],
    del_refused_anywhere_changes_nothing needs [Once],
    del_killed_anywhere_is_undone_by_the_next_run needs [Once],
    del_ended_anywhere_by_a_signal_changes_nothing needs [Once],
    leak_refused_anywhere_changes_nothing needs [Once],
    leak_killed_anywhere_is_undone_by_the_next_run needs [Once],
    leak_ended_anywhere_by_a_signal_changes_nothing needs [Once],
    apply_refused_anywhere_changes_nothing needs [Once],
    apply_killed_anywhere_is_undone_by_the_next_run needs [Once],
    apply_ended_anywhere_by_a_signal_changes_nothing needs [Once],
    a_rollback_is_resumed_wherever_it_is_killed needs [Once],
    the_names_of_tables_come_and_go_with_the_change needs [Once],
    a_file_is_on_the_disk_before_it_has_its_name needs [Once],
    the_last_change_is_undone_whatever_it_was,
    what_a_rollback_cannot_undo_is_named,
}

/// The messages before only ask what is there; what they meet is in vrfsetup's own tests.
const FIRST: usize = 6;
/// More than any verb here sends.
const MANY: usize = 150;
/// A changing verb that has nothing to do.
const IDLE: &str = "del nosuch";
const SIGNALS: [&str; 3] = ["SIGINT", "SIGTERM", "SIGHUP"];

/// blue0 with addresses of both families and routes that need them, where the first VRF has been met.
fn furnished() -> World {
    let world = World::new(Kind::Bare).expect("a world");
    world.ip("link add first type vrf table 9");
    world.ip("link del first");
    world.ip("addr add 203.0.113.1/24 dev blue0");
    world.ip("addr add 2001:db8:77::1/64 dev blue0 nodad");
    world.ip("route add 198.18.0.0/15 via 203.0.113.254 metric 7 proto static");
    world.ip("-6 route add 2001:db8:99::/48 via 2001:db8:77::fe");
    world
}

/// The same with blue0 as a port of blue.
fn with_blue() -> World {
    let mut world = furnished();
    vrfsetup(&mut world, 0, "add blue --table 10 --port blue0");
    world
}

/// Runs vrfsetup with a fault at one of its system calls.
pub(super) fn faulty(inject: &str, words: &str) -> Output {
    let mut strace = Command::new("strace");
    strace.args(["-qq", "-o", "/dev/null", "-e", &format!("inject={inject}")]);
    if !inject.contains(":signal=") {
        // By a filter (which wants -f) it stops at this call only, which is quicker; a signal cannot be sent from there.
        let call = inject.split(':').next().unwrap_or_default();
        strace.args(["-f", "--seccomp-bpf", "-e", &format!("trace={call}")]);
    }
    strace.arg(format!("{DIRECTORY}/vrfsetup"));
    strace.args(words.split(' ')).output().expect("strace")
}

pub fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

/// What comes between at a message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    Refusal,
    Kill,
    Signal,
}

impl Fault {
    /// For strace, and each signal in its turn.
    fn injected(self, at: usize) -> String {
        match self {
            Self::Refusal => "error=EPERM".to_owned(),
            Self::Kill => "signal=SIGKILL".to_owned(),
            Self::Signal => format!("signal={}", SIGNALS[at % SIGNALS.len()]),
        }
    }
}

/// Has this come at each message of the verb, until it comes through, and undoes that too.
fn is_whole_or_not_at_all(mut world: World, words: &str, fault: Fault) {
    let before = state(&world);
    let mut halfway = 0;
    for at in FIRST..MANY {
        let injected = fault.injected(at);
        let output = faulty(&format!("sendto:{injected}:when={at}"), words);
        if output.status.success() {
            break;
        }
        let next = if fault == Fault::Kill { text(&vrfsetup_idle()) } else { String::new() };
        halfway += usize::from(next.contains("is rolled back") || text(&output).contains("nothing is changed"));
        let said = format!("{words}, {injected} at message {at}: {}{next}", text(&output));
        assert!(!said.contains("could not be undone"), "{said}");
        let now = state(&world);
        if now != before {
            println!("{said}");
        }
        assert_same(&before, &now);
    }
    // A leak is one message for each family.
    let least = if words.starts_with("leak") { 1 } else { 2 };
    assert!(halfway >= least, "{words}: met halfway {halfway} times only");
    assert_ne!(state(&world), before, "{words}");
    vrfsetup(&mut world, 0, "rollback");
    assert_same(&before, &state(&world));
}

pub fn vrfsetup_idle() -> Output {
    let output = Command::new(format!("{DIRECTORY}/vrfsetup")).args(IDLE.split(' ')).output().expect("vrfsetup");
    assert!(output.status.success(), "{}", text(&output));
    output
}

fn adding(fault: Fault) {
    is_whole_or_not_at_all(furnished(), "add blue --table 10 --port blue0", fault);
}

fn attaching(fault: Fault) {
    let mut world = furnished();
    vrfsetup(&mut world, 0, "add blue --table 10");
    is_whole_or_not_at_all(world, "attach blue blue0", fault);
}

fn detaching(fault: Fault) {
    is_whole_or_not_at_all(with_blue(), "detach blue0", fault);
}

fn deleting(fault: Fault) {
    let mut world = with_blue();
    vrfsetup(&mut world, 0, "leak blue default 198.18.0.0/15");
    is_whole_or_not_at_all(world, "del blue", fault);
}

fn leaking(fault: Fault) {
    is_whole_or_not_at_all(with_blue(), "leak blue default 198.18.0.0/15 2001:db8:99::/48", fault);
}

fn applying(fault: Fault) {
    let world = furnished();
    let file = world.directory().join("vrf.toml");
    let declared = "[vrf.blue]\nports = [\"blue0\"]\nroutes = [\"default via 203.0.113.254\"]\n[vrf.red]\ntable = 20\n";
    fs::write(&file, declared).expect("a file");
    is_whole_or_not_at_all(world, &format!("apply {}", file.display()), fault);
}

fn add_refused_anywhere_changes_nothing() {
    adding(Fault::Refusal);
}

fn add_killed_anywhere_is_undone_by_the_next_run() {
    adding(Fault::Kill);
}

fn add_ended_anywhere_by_a_signal_changes_nothing() {
    adding(Fault::Signal);
}

fn attach_refused_anywhere_changes_nothing() {
    attaching(Fault::Refusal);
}

fn attach_killed_anywhere_is_undone_by_the_next_run() {
    attaching(Fault::Kill);
}

fn attach_ended_anywhere_by_a_signal_changes_nothing() {
    attaching(Fault::Signal);
}

fn detach_refused_anywhere_changes_nothing() {
    detaching(Fault::Refusal);
}

fn detach_killed_anywhere_is_undone_by_the_next_run() {
    detaching(Fault::Kill);
}

fn detach_ended_anywhere_by_a_signal_changes_nothing() {
    detaching(Fault::Signal);
}

fn del_refused_anywhere_changes_nothing() {
    deleting(Fault::Refusal);
}

fn del_killed_anywhere_is_undone_by_the_next_run() {
    deleting(Fault::Kill);
}

fn del_ended_anywhere_by_a_signal_changes_nothing() {
    deleting(Fault::Signal);
}

fn leak_refused_anywhere_changes_nothing() {
    leaking(Fault::Refusal);
}

fn leak_killed_anywhere_is_undone_by_the_next_run() {
    leaking(Fault::Kill);
}

fn leak_ended_anywhere_by_a_signal_changes_nothing() {
    leaking(Fault::Signal);
}

fn apply_refused_anywhere_changes_nothing() {
    applying(Fault::Refusal);
}

fn apply_killed_anywhere_is_undone_by_the_next_run() {
    applying(Fault::Kill);
}

fn apply_ended_anywhere_by_a_signal_changes_nothing() {
    applying(Fault::Signal);
}

fn a_rollback_is_resumed_wherever_it_is_killed() {
    let mut world = furnished();
    vrfsetup(&mut world, 0, "add blue --table 10");
    let before = state(&world);
    for at in 1..MANY {
        // All is made, and only the journal is not put away.
        faulty("rename:signal=SIGKILL:when=1", "attach blue blue0");
        assert_ne!(state(&world), before);
        let killed = faulty(&format!("sendto:signal=SIGKILL:when={at}"), IDLE);
        faulty(&format!("write:signal=SIGKILL:when={at}"), IDLE);
        let last = vrfsetup_idle();
        assert!(!text(&last).contains("could not be undone"), "{}", text(&last));
        assert_same(&before, &state(&world));
        if killed.status.success() {
            assert!(at > 4, "it sent {at} messages only");
            return;
        }
    }
    panic!("it sends more messages than this test looks at");
}

/// In the machine's own network namespace, where tables get names in /etc.
fn the_names_of_tables_come_and_go_with_the_change() {
    const NAME: &str = "/etc/iproute2/rt_tables.d/vrf-blue.conf";
    const LASTING: &str = "/var/lib/vrfsetup/files.journal";
    let mut world = World::of_machine(Kind::Bare).expect("a world");
    let before = state(&world);
    for call in ["write", "rename", "fsync", "fdatasync", "unlink"] {
        let mut halfway = 0;
        for at in 1..MANY {
            let killed = faulty(&format!("{call}:signal=SIGKILL:when={at}"), "add blue --table 10");
            if killed.status.success() {
                break;
            }
            halfway += usize::from(text(&vrfsetup_idle()).contains("is rolled back"));
            if state(&world) != before {
                // All was done when it was killed.
                vrfsetup(&mut world, 0, "rollback");
            }
            assert_same(&before, &state(&world));
            assert!(!Path::new(NAME).exists() && !Path::new(LASTING).exists(), "{call} {at}");
        }
        assert!(halfway > 0, "{call}: it was never killed halfway");
        vrfsetup(&mut world, 0, "rollback");
        assert!(!Path::new(NAME).exists() && !Path::new(LASTING).exists(), "{call}");
    }
    // The machine ends before the change is confirmed: the kernel and /run forget it, the disk does not.
    vrfsetup(&mut world, 0, "add blue --table 10 --confirm 3600");
    assert!(Path::new(NAME).exists() && Path::new(LASTING).exists());
    world.ip("link del blue");
    fs::remove_dir_all("/run/vrfsetup").expect("a directory");
    let said = text(&vrfsetup_idle());
    assert!(
        said.contains("('vrfsetup add blue --table 10 --confirm 3600') was cut off by the machine's end"),
        "{said}"
    );
    assert!(!Path::new(NAME).exists() && !Path::new(LASTING).exists());
    // The same for one that is confirmed: nothing is left to undo.
    vrfsetup(&mut world, 0, "add blue --table 10 --confirm 3600");
    vrfsetup(&mut world, 0, "confirm");
    assert!(Path::new(NAME).exists() && !Path::new(LASTING).exists());
    vrfsetup(&mut world, 0, "del blue");
    assert!(!Path::new(NAME).exists() && !Path::new(LASTING).exists());
}

fn the_last_change_is_undone_whatever_it_was() {
    let mut world = with_blue();
    vrfsetup(&mut world, 0, "leak blue default 198.18.0.0/15");
    for words in
        ["add red --table 20 --port red0", "detach blue0", "del blue", "leak blue default 198.18.0.0/15 --remove"]
    {
        let before = state(&world);
        vrfsetup(&mut world, 0, words);
        assert_ne!(state(&world), before, "{words}");
        let verdict = vrfsetup(&mut world, 0, "rollback");
        assert!(verdict.text().contains(&format!("note: 'vrfsetup {words}' is undone")), "{verdict}");
        assert_same(&before, &state(&world));
    }
    vrfsetup(&mut world, 1, "rollback").assert_says(1, "no change to undo");
}

/// The port has gone meanwhile: all else is undone.
fn what_a_rollback_cannot_undo_is_named() {
    let mut world = with_blue();
    vrfsetup(&mut world, 0, "detach blue0");
    world.ip("link del blue0");
    let verdict = vrfsetup(&mut world, 1, "rollback");
    verdict.assert_says(1, "could not be undone: ");
    verdict.assert_says(1, "'ip link set blue0 master blue' (No such device)");
    verdict.assert_says(1, "hint: vrfsetup rollback");
}

/// A power loss leaves no empty file in the place of one that was written.
fn a_file_is_on_the_disk_before_it_has_its_name() {
    let mut world = World::new(Kind::Bare).expect("a world");
    let traced = ["strace", "-qq", "-y", "-e", "trace=fsync,rename"];
    let change = ["vrfsetup", "add", "green", "--table", "30", "--tcp-l3mdev-accept", "on"];
    let verdict = world.judge(&root([&traced[..], &change].concat()));
    assert_eq!(verdict.code, 0, "{verdict}");
    let said = verdict.error_text();
    let calls: Vec<&str> = said.lines().filter(|line| line.contains(".new")).collect();
    assert!(matches!(calls[..], [first, then] if first.contains("fsync(") && then.contains("rename(")), "{verdict}");
    let named = said.find(calls[1]).expect("the rename");
    assert!(said[named..].contains("/run/vrfsetup>)"), "{verdict}");
    vrfsetup(&mut world, 0, "del green");
}

//! What happens at once, on a machine with two processors: runs that share a cgroup, a VRF that goes and comes while
//! programs are started in it, and two of vrfsetup's changing verbs.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};

use super::guest_tests;
use super::state_here;
use crate::harness::judge::root;
use crate::harness::programs;
use crate::harness::vm::plan::DIRECTORY;
use crate::harness::wait;
use crate::harness::world::plan::WEB4;
use crate::harness::world::{Domain, Kind, World, machine};

guest_tests! {
    two_runs_that_enter_and_leave_one_cgroup_are_both_bound needs [TwoProcessors],
    a_vrf_that_goes_and_comes_meanwhile_is_met_or_refused needs [TwoProcessors],
    two_verbs_at_once_end_as_one_after_the_other_add needs [TwoProcessors],
    two_verbs_at_once_end_as_one_after_the_other_add_another needs [TwoProcessors],
    two_verbs_at_once_end_as_one_after_the_other_del needs [TwoProcessors],
    two_verbs_at_once_end_as_one_after_the_other_attach needs [TwoProcessors],
    two_verbs_at_once_end_as_one_after_the_other_detach needs [TwoProcessors],
    two_verbs_at_once_end_as_one_after_the_other_leak needs [TwoProcessors],
    two_verbs_at_once_end_as_one_after_the_other_rules_fix needs [TwoProcessors],
    two_verbs_at_once_end_as_one_after_the_other_rules_undo needs [TwoProcessors],
    two_verbs_at_once_end_as_one_after_the_other_apply needs [TwoProcessors],
    two_verbs_at_once_end_as_one_after_the_other_rollback needs [TwoProcessors],
    two_verbs_at_once_end_as_one_after_the_other_unconfirmed needs [TwoProcessors],
    two_verbs_at_once_end_as_one_after_the_other_zones needs [TwoProcessors],
    two_verbs_at_once_end_as_one_after_the_other_tunnel needs [TwoProcessors],
    two_verbs_at_once_end_as_one_after_the_other_emulated needs [TwoProcessors],
}

/// Prints the name of the domain that answers at the echo port.
fn greet() -> String {
    format!("bash -c 'exec 3<>/dev/tcp/{WEB4}/7 && head -n 1 <&3'")
}

fn two_runs_that_enter_and_leave_one_cgroup_are_both_bound() {
    const RUNS: usize = 12;
    let mut world = World::of_machine(Kind::Vrfs).expect("a world");
    let one = format!("for i in $(seq {RUNS}); do vrfrun -m bpf blue {} || echo failed: $?; done", greet());
    let verdict = world.judge(&root(["bash", "-c", &format!("({one}) & ({one}) & wait")]));
    assert_eq!((verdict.code, verdict.error_text().as_str()), (0, ""), "{verdict}");
    assert_eq!(verdict.text(), "blue\n".repeat(2 * RUNS), "{verdict}");
    verdict.assert_blue();
    let groups = world.judge(&root(["find", "/sys/fs/cgroup", "-name", "vrfrun-*"])).text();
    assert_eq!(groups.lines().count(), 1, "more than the one that is kept: {groups}");
}

/// It runs in blue, or it is told that there is no blue: nothing leaves by another domain.
fn a_vrf_that_goes_and_comes_meanwhile_is_met_or_refused() {
    let again = "link del blue\nlink add blue type vrf table 10\nlink set blue up\nlink set blue0 master blue\n\
                 route replace default via 198.51.100.1 dev blue0 table 10\n\
                 route replace unreachable default metric 4278198272 table 10\n";
    for mechanism in ["bpf", "preload", "seccomp"] {
        let mut world = World::of_machine(Kind::Vrfs).expect("a world");
        drop_resets(&mut world);
        let script = world.directory().join("again");
        std::fs::write(&script, again).expect("a script");
        let come_and_go = format!("for i in $(seq 15); do ip -force -batch {} || :; done", script.display());
        let run =
            format!("for i in $(seq 10); do timeout 5 vrfrun -m {mechanism} blue {}; echo ended: $?; done", greet());
        let verdict = world.judge(&root(["bash", "-c", &format!("({come_and_go}) & ({run}); wait")]));
        assert_eq!(verdict.packets(Domain::Default) + verdict.packets(Domain::Red), 0, "{mechanism}: {verdict}");
        let text = verdict.text();
        let ends = text.lines().filter(|line| line.starts_with("ended: ")).count();
        let others: Vec<&str> = text.lines().filter(|line| !line.starts_with("ended: ") && *line != "blue").collect();
        assert_eq!((ends, others.as_slice()), (10, [].as_slice()), "{mechanism}: {verdict}");
        let unclear = text.lines().filter_map(|line| line.strip_prefix("ended: "));
        // 1: bash could not connect; 124: its connection lost its way; 125: vrfrun refused.
        let unclear: Vec<&str> = unclear.filter(|code| !["0", "1", "124", "125"].contains(code)).collect();
        assert!(unclear.is_empty(), "{mechanism}: {unclear:?}\n{verdict}");
        world.judge(&root(["sh", "-c", &format!("ip -force -batch {}", script.display())]));
        let after = world.judge(&root(["sh", "-c", &format!("vrfrun -m {mechanism} blue {}", greet())]));
        after.assert_blue();
        assert_eq!(world.judge(&root(["nft", "delete table inet t"])).code, 0);
    }
}

/// What still arrives for a connection whose VRF is gone is answered by the kernel itself, with a reset that goes by its
/// default table: no socket sends it, whatever bound it.
fn drop_resets(world: &mut World) {
    let rules = "add table inet t; add chain inet t out { type filter hook output priority 0; }; \
                 add rule inet t out oifname eth0 tcp flags & rst == rst drop";
    let verdict = world.judge(&root(["nft", rules]));
    assert_eq!(verdict.code, 0, "{verdict}");
}

/// From here each of the verbs below does something, and most can be in another's way. Dummies would not do: with the
/// first one the kernel makes one more in the machine's own network namespace.
const START: &str = "link set lo up\nlink add eth0 type veth peer eth1\nlink add blue0 type veth peer blue1\n\
    link add red0 type veth peer red1\nlink set eth1 up\nlink set blue1 up\nlink set red1 up\n\
    link add blue type vrf table 10\nlink add red type vrf table 20\nlink set blue up\nlink set red up\n\
    link set blue0 master blue\nlink set red0 master red\nlink set eth0 up\nlink set blue0 up\nlink set red0 up\n\
    addr add 203.0.113.1/24 dev blue0\naddr add 198.51.100.2/24 dev red0\naddr add 192.0.2.1/24 dev eth0\n\
    link add gre1 type gre local 192.0.2.1 remote 192.0.2.80\n\
    route add 198.18.0.0/15 via 203.0.113.254 dev blue0 table 10\nroute add 198.20.0.0/16 via 192.0.2.254 dev eth0\n";

const ADD: &str = "add green";
const ADD_ANOTHER: &str = "add white --port eth0";
const DEL: &str = "del blue";
const ATTACH: &str = "attach blue eth0";
const DETACH: &str = "detach blue0";
const LEAK: &str = "leak blue red 198.51.100.0/24";
const FIX: &str = "rules fix";
const UNDO: &str = "rules undo";
const APPLY: &str = "apply /run/vrftest-at-once.toml";
/// Of whatever the other one has changed, or of nothing.
const ROLLBACK: &str = "rollback";
/// While it waits nobody else changes anything.
const UNCONFIRMED: &str = "add grey --confirm 600";
/// Which table of nftables there is, is part of the state.
const ZONES: &str = "zones on";
const TUNNEL: &str = "tunnel gre1 --in blue";
const EMULATED: &str = "add violet --emulate --port eth0";
const VERBS: [&str; 14] =
    [ADD, ADD_ANOTHER, DEL, ATTACH, DETACH, LEAK, FIX, UNDO, APPLY, ROLLBACK, UNCONFIRMED, ZONES, TUNNEL, EMULATED];

const FILE: &str = "/run/vrftest-at-once.toml";
const DECLARED: &str = "[vrf.black]\nports = [\"eth0\"]\n[vrf.green]\n";

/// What two commands ended with and what is there then.
#[derive(Clone, Debug, PartialEq, Eq)]
struct End {
    codes: [Option<i32>; 2],
    state: String,
}

impl End {
    /// With the second command's code first.
    fn swapped(mut self) -> Self {
        self.codes.swap(0, 1);
        self
    }
}

/// Runs something in a network namespace of its own that is set up as START says.
fn from_the_start(words: [&str; 2], run: impl FnOnce() -> [Option<i32>; 2]) -> End {
    unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace");
    let mut ip = Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).spawn().expect("ip");
    ip.stdin.take().expect("a pipe").write_all(START.as_bytes()).expect("a script");
    assert!(ip.wait().expect("ip").success());
    let codes = run();
    let mut state = state_here();
    if words.contains(&ZONES) {
        let rules = Command::new("nft").args(["-s", "list", "ruleset"]).output().expect("nft");
        assert!(rules.status.success());
        state += &String::from_utf8_lossy(&rules.stdout);
    }
    // Whoever waits for a confirmation sees that there is none to wait for.
    let rolled_back = vrfsetup(&[], ROLLBACK).stderr(Stdio::null()).status();
    assert!(rolled_back.is_ok_and(|status| matches!(status.code(), Some(0 | 1))));
    wait_for_watchers();
    machine::forget_world(false).expect("what belongs to this network namespace");
    End { codes, state }
}

fn vrfsetup(before: &[&str], words: &str) -> Command {
    let program = format!("{DIRECTORY}/vrfsetup");
    let mut line = before.iter().copied().chain([program.as_str()]).chain(words.split(' '));
    let mut command = Command::new(line.next().expect("a program"));
    // All of these take the default route or a connection with them where there is one: none is here.
    command.args(line).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

fn one_after_the_other(first: &str, second: &str) -> End {
    from_the_start([first, second], || {
        [first, second].map(|words| vrfsetup(&[], words).status().expect("vrfsetup").code())
    })
}

/// The first is held for a while where it waits for the others' end: what it has read by then is out of date.
fn at_once(first: &str, second: &str, is_held: bool) -> End {
    const HELD: [&str; 8] =
        ["strace", "-qq", "-o", "/dev/null", "-e", "trace=flock", "-e", "inject=flock:delay_enter=300000:when=1"];
    from_the_start([first, second], || {
        let before: &[&str] = if is_held { &HELD } else { &[] };
        let mut one = vrfsetup(before, first).spawn().expect("vrfsetup");
        if is_held {
            // Only how hard this test looks depends on it, never what it finds.
            std::thread::sleep(Duration::from_millis(200));
        }
        let mut other = vrfsetup(&[], second).spawn().expect("vrfsetup");
        [&mut one, &mut other].map(|child| child.wait().expect("vrfsetup").code())
    })
}

/// They run in sessions of their own.
fn wait_for_watchers() {
    let is_there = || Command::new("pgrep").args(["-f", "vrfsetup __roll-back"]).stdout(Stdio::null()).status();
    wait::until(|| is_there().expect("pgrep"), |status| !status.success());
}

/// However two of them meet, it ends as if one had waited for the other. Each verb meets itself and those behind it in
/// the list, which have met those before them.
fn ends_as_in_turn(first: &str) {
    assert!(programs::in_guest());
    std::fs::write(FILE, DECLARED).expect("a file");
    let mut wrong = String::new();
    for second in VERBS.into_iter().skip_while(|verb| *verb != first) {
        let there = one_after_the_other(first, second);
        let back = if first == second { there.clone() } else { one_after_the_other(second, first) }.swapped();
        let held = at_once(first, second, true);
        let mut met = vec![("nobody", at_once(first, second, false)), (first, held)];
        if first != second {
            met.push((second, at_once(second, first, true).swapped()));
        }
        for (who, met) in met.iter().filter(|(_, met)| *met != there && *met != back) {
            wrong += &format!("'{first}' and '{second}' at once, held was {who}\n");
            wrong += &format!("against '{first}' first{}", differences(met, &there));
            wrong += &format!("against '{second}' first{}", differences(met, &back));
        }
    }
    std::fs::remove_file(FILE).expect("the file");
    assert!(wrong.is_empty(), "{wrong}");
}

/// Exit codes, and the lines that only one of them has.
fn differences(met: &End, wanted: &End) -> String {
    let only = |one: &End, other: &End, mark: &str| {
        let lines = one.state.lines().filter(|line| !other.state.lines().any(|there| there == *line));
        lines.map(|line| format!("  {mark} {line}\n")).collect::<String>()
    };
    format!(": exit {:?}, not {:?}\n{}{}", met.codes, wanted.codes, only(met, wanted, "+"), only(wanted, met, "-"))
}

fn two_verbs_at_once_end_as_one_after_the_other_add() {
    ends_as_in_turn(ADD);
}

fn two_verbs_at_once_end_as_one_after_the_other_add_another() {
    ends_as_in_turn(ADD_ANOTHER);
}

fn two_verbs_at_once_end_as_one_after_the_other_del() {
    ends_as_in_turn(DEL);
}

fn two_verbs_at_once_end_as_one_after_the_other_attach() {
    ends_as_in_turn(ATTACH);
}

fn two_verbs_at_once_end_as_one_after_the_other_detach() {
    ends_as_in_turn(DETACH);
}

fn two_verbs_at_once_end_as_one_after_the_other_leak() {
    ends_as_in_turn(LEAK);
}

fn two_verbs_at_once_end_as_one_after_the_other_rules_fix() {
    ends_as_in_turn(FIX);
}

fn two_verbs_at_once_end_as_one_after_the_other_rules_undo() {
    ends_as_in_turn(UNDO);
}

fn two_verbs_at_once_end_as_one_after_the_other_apply() {
    ends_as_in_turn(APPLY);
}

fn two_verbs_at_once_end_as_one_after_the_other_rollback() {
    ends_as_in_turn(ROLLBACK);
}

fn two_verbs_at_once_end_as_one_after_the_other_unconfirmed() {
    ends_as_in_turn(UNCONFIRMED);
}

fn two_verbs_at_once_end_as_one_after_the_other_zones() {
    ends_as_in_turn(ZONES);
}

fn two_verbs_at_once_end_as_one_after_the_other_tunnel() {
    ends_as_in_turn(TUNNEL);
}

fn two_verbs_at_once_end_as_one_after_the_other_emulated() {
    ends_as_in_turn(EMULATED);
}

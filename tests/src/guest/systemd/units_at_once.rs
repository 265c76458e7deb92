//! `vrfsetup unit` beside another changing verb: however the two meet, it ends as if one had waited for the other.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::guest_tests;
use super::machine::Machine;
use super::unit_faults::{UNITS, furnished};
use crate::guest::setup::at_once::stopped::{At, Stopped, Waiting, vrfsetup as command};
use crate::guest::setup::vrfsetup;
use crate::harness::judge::root;
use crate::harness::vm::plan::DIRECTORY;

guest_tests! {
    two_verbs_at_once_on_a_unit_end_as_one_after_the_other,
    a_unit_and_each_other_verb_at_once_are_both_done,
}

pub const PUT: &str = "unit blue vrftest-own";

/// What PUT and the other ended with, and the VRF that the unit is in then.
type End = (Option<i32>, Option<i32>, Option<&'static str>);

fn end(put: Option<i32>, other: Option<i32>) -> End {
    let drop_in = fs::read_to_string(format!("{UNITS}/vrftest-own.service.d/50-vrf.conf")).unwrap_or_default();
    let vrf = ["blue", "red"].into_iter().find(|vrf| drop_in.contains(&format!("made by vrfsetup unit {vrf}\n")));
    assert!(vrf.is_some() || drop_in.is_empty(), "{drop_in}");
    (put, other, vrf)
}

/// The other comes while PUT has the lock and has changed nothing yet.
#[track_caller]
fn waits(other: &str) -> End {
    let put = Stopped::start(&At::Journal, |before| command(before, PUT));
    let second = Waiting::start(command(&[], other));
    assert!(second.waits, "'{other}' did not wait");
    let put = put.go_on();
    end(put, second.end())
}

/// The other comes and goes before PUT has the lock: what it has read by then is out of date.
fn overtakes(other: &str) -> End {
    let put = Stopped::start(&At::Lock, |before| command(before, PUT));
    let second = command(&[], other).status().expect("vrfsetup").code();
    end(put.go_on(), second)
}

#[track_caller]
fn take_out(world: &mut Machine) {
    for vrf in ["blue", "red"] {
        vrfsetup(world, 0, &format!("unit --remove {vrf} vrftest-own"));
    }
    assert!(!Path::new(&format!("{UNITS}/vrftest-own.service.d")).exists());
}

fn two_verbs_at_once_on_a_unit_end_as_one_after_the_other() {
    let mut world = furnished();
    let (done, refused) = (Some(0), Some(1));
    let other = "unit red vrftest-own";
    assert_eq!(waits(other), (done, done, Some("red")));
    take_out(&mut world);
    assert_eq!(overtakes(other), (done, done, Some("blue")));
    take_out(&mut world);

    let other = "unit --remove red vrftest-own";
    vrfsetup(&mut world, 0, "unit red vrftest-own");
    assert_eq!(waits(other), (done, done, Some("blue")));
    take_out(&mut world);
    vrfsetup(&mut world, 0, "unit red vrftest-own");
    assert_eq!(overtakes(other), (done, done, Some("blue")));
    take_out(&mut world);

    // It waits for its confirmation: what was put is undone with it.
    assert_eq!(overtakes("unit blue vrftest-own --confirm 600"), (refused, done, Some("blue")));
    let undone = world.judge(&root(["vrfsetup", "rollback"]));
    assert_eq!(undone.code, 0, "{undone}");
    assert!(!Path::new(&format!("{UNITS}/vrftest-own.service.d")).exists());

    assert_eq!(waits("del blue"), (done, refused, Some("blue")));
    assert!(Path::new("/sys/class/net/blue").exists());
    take_out(&mut world);
    assert_eq!(overtakes("del blue"), (refused, done, None));
    assert!(!Path::new("/sys/class/net/blue").exists());
}

/// The other verbs, none of which is in its way: what undoes each, and how the kernel shows that it was done.
const OTHERS: [(&str, &str, &str); 9] = [
    ("add green", "del green", "ip link show green"),
    ("attach blue vrftest-at0", "detach vrftest-at0", "ip link show master blue | grep vrftest-at0"),
    (
        "leak blue red 203.0.115.0/24",
        "leak --remove blue red 203.0.115.0/24",
        "ip route show table 10 | grep 203.0.115",
    ),
    ("apply /run/vrftest-at-once.toml", "del green", "ip link show green"),
    ("rules undo", "rules fix", "! ip rule | grep 'l3mdev-table. unreachable'"),
    ("zones on", "zones off", "nft list tables | grep vrfsetup"),
    ("tunnel vrftest-gre --in blue", "tunnel --remove vrftest-gre", "ip -d link show vrftest-gre | grep 'dev blue'"),
    // A new socket of this user is bound to the VRF.
    (
        "user 4711 blue",
        "user --remove 4711",
        "setpriv --reuid=4711 --regid=4711 --clear-groups $BIN/on_use udp4 bind | grep 'bound blue'",
    ),
    ("move blue $PID", "move default $PID", "grep vrfrun /proc/$PID/cgroup"),
];

/// Ports, rules, altnames, and whether a new socket of the user is bound.
const LOOKS: &str = "ip -br link show master blue; ip rule; ip -6 rule; ip link | grep altname; \
    setpriv --reuid=4711 --regid=4711 --clear-groups $BIN/on_use udp4 bind";

fn here(script: &str) -> String {
    let output = Command::new("sh").args(["-c", &script.replace("$BIN", DIRECTORY)]).output().expect("sh");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn a_unit_and_each_other_verb_at_once_are_both_done() {
    let mut world = furnished();
    fs::write("/run/vrftest-at-once.toml", "[vrf.green]\n").expect("a file");
    world.ip("link add vrftest-at0 type veth peer vrftest-at1");
    world.ip("link add vrftest-gre type gre local 192.0.2.1 remote 192.0.2.80");
    world.ip("route add 203.0.115.0/24 dev red0 vrf red");
    let mut sleeper = Command::new("sleep").arg("600").spawn().expect("sleep");
    let pid = sleeper.id().to_string();
    for words in OTHERS {
        let [other, undo, shown] =
            <[&str; 3]>::from(words).map(|words| words.replace("$PID", &pid).replace("$BIN", DIRECTORY));
        let is_shown = || Command::new("sh").args(["-c", &shown]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        assert!(!is_shown().expect("sh").success(), "{other}");
        assert_eq!(waits(&other), (Some(0), Some(0), Some("blue")), "{other}");
        assert!(is_shown().expect("sh").success(), "{other}");
        vrfsetup(&mut world, 0, &undo);
        take_out(&mut world);
    }
    // What undoes one of the others, and what undoes the unit.
    for (before, other) in [
        ("attach blue vrftest-at0", "detach vrftest-at0"),
        ("rules undo", "rules fix"),
        ("user 4711 blue", "user --remove 4711"),
        ("add green --emulate --port vrftest-at0", "del green"),
    ] {
        let was = here(LOOKS);
        vrfsetup(&mut world, 0, before);
        assert_ne!(here(LOOKS), was, "{before}");
        assert_eq!(waits(other), (Some(0), Some(0), Some("blue")), "{other}");
        assert_eq!(here(LOOKS), was, "{other}");
        take_out(&mut world);
    }
    assert_eq!(waits("rollback"), (Some(0), Some(0), None));
    vrfsetup(&mut world, 0, "add green --confirm 600");
    assert_eq!(overtakes("confirm"), (Some(0), Some(0), Some("blue")));
    take_out(&mut world);
    vrfsetup(&mut world, 0, "del green");
    sleeper.kill().expect("a signal");
    sleeper.wait().expect("its end");
    world.ip("link del vrftest-at0");
    world.ip("link del vrftest-gre");
    world.ip("route del 203.0.115.0/24 dev red0 vrf red");
    fs::remove_file("/run/vrftest-at-once.toml").expect("the file");
}

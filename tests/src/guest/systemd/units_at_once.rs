//! `vrfsetup unit` beside another changing verb: however the two meet, it ends as if one had waited for the other.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::guest_tests;
use super::machine::Machine;
use super::unit_faults::{UNITS, furnished};
use crate::guest::setup::vrfsetup;
use crate::harness::judge::root;

guest_tests! {
    two_verbs_at_once_on_a_unit_end_as_one_after_the_other,
    a_unit_and_each_other_verb_at_once_are_both_done,
}

const PUT: &str = "unit blue vrftest-own";

/// Holds it where it waits for the others' end: what it has read by then is out of date.
const HELD: &str = "exec strace -qq -o /dev/null -e trace=flock -e inject=flock:delay_enter=2000000:when=1 vrfsetup $1";

fn start(script: &str, words: &str) -> Child {
    let mut sh = Command::new("sh");
    sh.args(["-c", script, "sh", words]).stdin(Stdio::null()).stdout(Stdio::null());
    sh.spawn().expect("sh")
}

/// What PUT and the other ended with when they met, and the VRF that the unit is in then.
fn met(other: &str) -> (Option<i32>, Option<i32>, Option<&'static str>) {
    let mut held = start(HELD, PUT);
    // Only how hard this test looks depends on it, never what it finds.
    std::thread::sleep(Duration::from_millis(1200));
    let mut second = start("exec vrfsetup $1", other);
    let [put, other] = [&mut held, &mut second].map(|child| child.wait().expect("vrfsetup").code());
    let drop_in = fs::read_to_string(format!("{UNITS}/vrftest-own.service.d/50-vrf.conf")).unwrap_or_default();
    let vrf = ["blue", "red"].into_iter().find(|vrf| drop_in.contains(&format!("made by vrfsetup unit {vrf}\n")));
    assert!(vrf.is_some() || drop_in.is_empty(), "{drop_in}");
    (put, other, vrf)
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
    let end = met("unit red vrftest-own");
    assert!(matches!(end, (Some(0), Some(0), Some(_))), "{end:?}");
    take_out(&mut world);

    vrfsetup(&mut world, 0, "unit red vrftest-own");
    let end = met("unit --remove red vrftest-own");
    assert_eq!(end, (done, done, Some("blue")));
    take_out(&mut world);

    // It waits for its confirmation, or has nothing to do.
    let end = met("unit blue vrftest-own --confirm 600");
    assert!([refused, done].contains(&end.0) && (end.1, end.2) == (done, Some("blue")), "{end:?}");
    let undone = world.judge(&root(["vrfsetup", "rollback"]));
    assert_eq!(undone.code, 0, "{undone}");
    take_out(&mut world);

    let end = met("del blue");
    let is_there = Path::new("/sys/class/net/blue").exists();
    match end {
        (put, del, Some("blue")) => assert_eq!((put, del, is_there), (done, refused, true)),
        (put, del, vrf) => assert_eq!((put, del, vrf, is_there), (refused, done, None, false)),
    }
    take_out(&mut world);
}

/// The other verbs, none of which is in its way: what undoes each, and how the kernel shows that it was done.
const OTHERS: [(&str, &str, &str); 8] = [
    ("add green", "del green", "ip link show green"),
    ("attach blue vrftest-at0", "detach vrftest-at0", "ip link show master blue | grep vrftest-at0"),
    (
        "leak blue red 203.0.115.0/24",
        "leak --remove blue red 203.0.115.0/24",
        "ip route show table 10 | grep 203.0.115",
    ),
    ("apply /run/vrftest-at-once.toml", "del green", "ip link show green"),
    ("zones on", "zones off", "nft list tables | grep vrfsetup"),
    ("tunnel vrftest-gre --in blue", "tunnel --remove vrftest-gre", "ip -d link show vrftest-gre | grep 'dev blue'"),
    ("user 4711 blue", "user --remove 4711", "vrfsetup user | grep 4711"),
    ("move blue $PID", "move default $PID", "grep vrfrun /proc/$PID/cgroup"),
];

fn a_unit_and_each_other_verb_at_once_are_both_done() {
    let mut world = furnished();
    fs::write("/run/vrftest-at-once.toml", "[vrf.green]\n").expect("a file");
    world.ip("link add vrftest-at0 type veth peer vrftest-at1");
    world.ip("link add vrftest-gre type gre local 192.0.2.1 remote 192.0.2.80");
    world.ip("route add 203.0.115.0/24 dev red0 vrf red");
    let mut sleeper = Command::new("sleep").arg("600").spawn().expect("sleep");
    let pid = sleeper.id().to_string();
    for words in OTHERS {
        let [other, undo, shown] = <[&str; 3]>::from(words).map(|words| words.replace("$PID", &pid));
        let is_shown = || Command::new("sh").args(["-c", &shown]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        assert!(!is_shown().expect("sh").success(), "{other}");
        assert_eq!(met(&other), (Some(0), Some(0), Some("blue")), "{other}");
        assert!(is_shown().expect("sh").success(), "{other}");
        vrfsetup(&mut world, 0, &undo);
        take_out(&mut world);
    }
    sleeper.kill().expect("a signal");
    sleeper.wait().expect("its end");
    world.ip("link del vrftest-at0");
    world.ip("link del vrftest-gre");
    world.ip("route del 203.0.115.0/24 dev red0 vrf red");
    fs::remove_file("/run/vrftest-at-once.toml").expect("the file");
}

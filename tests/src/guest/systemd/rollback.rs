//! `--confirm` where it matters: over a login that the change cuts off, with logind and a booted systemd.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::guest_tests;
use super::logins::ssh;
use super::machine::{Machine, machine, systemctl};
use crate::guest::setup::{assert_same, state, vrfsetup};
use crate::harness::judge::{Running, Verdict, root};
use crate::harness::vm::plan::{DIRECTORY, ROLLBACK};
use crate::harness::wait;
use crate::harness::world::{Domain, Kind, World};

guest_tests! {
    a_login_that_cuts_itself_off_is_rescued,
    a_change_outlives_its_login_when_it_is_confirmed,
    a_unit_that_is_not_confirmed_comes_out_of_its_vrf,
    files_that_a_reboot_finds_unconfirmed_are_undone_before_units_are_started,
    a_named_namespace_is_watched_by_systemd,
}

/// A login over the default domain's link that runs these words and then stays.
fn login(world: &mut World, words: &str) -> Running {
    systemctl(world, 0, "start ssh.service");
    let ssh = ssh(world, Domain::Default, &format!("{words}; sleep 600"));
    world.start(&root(ssh))
}

/// Kills all that runs in logins. From systemd 256 on, a user's own manager is a session as well, one without a scope,
/// and may be listed first.
fn kill_logins(world: &mut World) {
    let sessions = world.judge(&root(["loginctl", "list-sessions", "--no-legend"])).text();
    let ids: Vec<&str> = sessions.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let words = ["loginctl", "show-session", "--property=Scope", "--value"].iter().chain(&ids);
    let scopes = world.judge(&root(words)).text();
    let scopes: Vec<&str> = scopes.split_whitespace().collect();
    assert!(!scopes.is_empty(), "no login has a scope: {sessions}");
    systemctl(world, 0, &format!("kill --signal=KILL {}", scopes.join(" ")));
}

#[track_caller]
fn wait_until(world: &World, what: &str, is_so: impl Fn(&World) -> bool) {
    wait::until(|| (is_so(world), what, state(world)), |(is_so, ..)| *is_so);
}

/// In which the change is not confirmed.
const TIME: Duration = Duration::from_secs(12);

fn is_port_of_blue(world: &World) -> bool {
    world.ip_json("link show dev eth0")[0]["master"] == "blue"
}

fn a_login_that_cuts_itself_off_is_rescued() {
    let mut world = machine(Kind::Bare);
    vrfsetup(&mut world, 0, "add blue");
    let before = state(&world);
    let refused = vrfsetup(&mut world, 1, "attach blue eth0");
    refused.assert_says(1, "default route");
    let begun = Instant::now();
    let session = login(&mut world, &format!("vrfsetup attach blue eth0 --confirm {}", TIME.as_secs()));
    wait_until(&world, "the change", is_port_of_blue);
    let units = rollback_units(&mut world);
    assert!(units.contains("running") || begun.elapsed() >= TIME, "{units}");
    kill_logins(&mut world);
    assert!(is_port_of_blue(&world) || begun.elapsed() >= TIME, "undone too early");
    wait_until(&world, "the rollback", |world| !is_port_of_blue(world));
    wait_until(&world, "its end", |world| state(world) == before);
    assert_same(&before, &state(&world));
    wait_for_the_rollbacks_end(&mut world);
    session.interrupt();
    drop(session);
}

/// The transient unit that would undo the change.
fn rollback_units(world: &mut World) -> String {
    systemctl(world, 0, "list-units --plain --no-legend vrfsetup-rollback-*").text()
}

#[track_caller]
fn wait_for_the_rollbacks_end(world: &mut World) {
    wait::until(|| rollback_units(world), String::is_empty);
}

fn a_change_outlives_its_login_when_it_is_confirmed() {
    let mut world = machine(Kind::Bare);
    vrfsetup(&mut world, 0, "add blue");
    let session = login(&mut world, "vrfsetup attach blue eth0 --confirm 3600");
    wait_until(&world, "the change", is_port_of_blue);
    kill_logins(&mut world);
    vrfsetup(&mut world, 0, "confirm");
    wait_for_the_rollbacks_end(&mut world);
    assert!(is_port_of_blue(&world), "{}", state(&world));
    drop(session);
}

const UNIT: &str = "/etc/systemd/system/vrftest-plain.service";
const DROP_IN: &str = "/etc/systemd/system/vrftest-plain.service.d";

/// A machine with blue and a unit that can be put into it.
fn with_unit() -> Machine {
    let machine = machine(Kind::Vrfs);
    fs::write(UNIT, "[Service]\nExecStart=sleep 600\n").expect("a unit");
    assert!(Command::new("systemctl").arg("daemon-reload").status().expect("systemctl").success());
    machine
}

/// What systemd has loaded, and the files: whether the unit is in a VRF.
fn is_in_blue(world: &mut World) -> [bool; 2] {
    let shown = systemctl(world, 0, "show --property=DropInPaths --value vrftest-plain.service").text();
    [shown.contains("50-vrf.conf"), Path::new(DROP_IN).exists()]
}

fn a_unit_that_is_not_confirmed_comes_out_of_its_vrf() {
    let mut world = with_unit();
    vrfsetup(&mut world, 0, "unit blue vrftest-plain --confirm 600");
    assert_eq!(is_in_blue(&mut world), [true; 2]);
    vrfsetup(&mut world, 0, "rollback");
    assert_eq!(is_in_blue(&mut world), [false; 2]);
    wait_for_the_rollbacks_end(&mut world);
    vrfsetup(&mut world, 0, "unit blue vrftest-plain --confirm 2");
    wait::until(|| is_in_blue(&mut world), |are_in| *are_in == [false; 2]);
    wait_for_the_rollbacks_end(&mut world);
    // One that has been confirmed, and its removal that is not.
    vrfsetup(&mut world, 0, "unit blue vrftest-plain --confirm 600");
    vrfsetup(&mut world, 0, "confirm");
    vrfsetup(&mut world, 0, "unit blue vrftest-plain --remove --confirm 600");
    assert_eq!(is_in_blue(&mut world), [false; 2]);
    vrfsetup(&mut world, 0, "rollback");
    assert_eq!(is_in_blue(&mut world), [true; 2]);
    // What somebody else has changed since is left alone.
    vrfsetup(&mut world, 0, "unit blue vrftest-plain --remove");
    vrfsetup(&mut world, 0, "unit blue vrftest-plain");
    fs::write(Path::new(DROP_IN).join("50-vrf.conf"), "# mine\n").expect("a file");
    let verdict = vrfsetup(&mut world, 1, "rollback");
    verdict.assert_says(1, "somebody else has changed it since");
    fs::remove_dir_all(DROP_IN).expect("a directory");
    let _ = fs::remove_file("/etc/systemd/system/vrfsetup-bind@.service");
    wait_for_the_rollbacks_end(&mut world);
}

/// /run is empty then, and the process that waited is gone.
fn files_that_a_reboot_finds_unconfirmed_are_undone_before_units_are_started() {
    let mut world = with_unit();
    vrfsetup(&mut world, 0, "unit blue vrftest-plain --confirm 600");
    systemctl(&mut world, 0, "kill --signal=KILL vrfsetup-rollback-*");
    wait_for_the_rollbacks_end(&mut world);
    let service = Path::new(DIRECTORY).join(ROLLBACK);
    let text = fs::read_to_string(&service).expect("the service");
    assert!(text.contains("\nDefaultDependencies=no\n") && text.contains("\nBefore=sysinit.target "), "{text}");
    fs::copy(&service, "/etc/systemd/system/vrftest-rollback.service").expect("a unit");
    systemctl(&mut world, 0, "daemon-reload");
    // Later than at boot it does nothing.
    systemctl(&mut world, 0, "start vrftest-rollback.service");
    assert_eq!(is_in_blue(&mut world), [true; 2]);
    fs::remove_dir_all(RUN).expect("a directory");
    systemctl(&mut world, 0, "start vrftest-rollback.service");
    assert_eq!(is_in_blue(&mut world), [false; 2]);
    vrfsetup(&mut world, 1, "confirm").assert_says(1, "no change waits");
}

/// Where systemd sees it, as a unit; where it does not, all the same.
fn a_named_namespace_is_watched_by_systemd() {
    let mut world = machine(Kind::Bare);
    on_the_machine(&mut world, "ip netns add vrftest");
    let rules = |world: &mut World| on_the_machine(world, "ip -n vrftest rule show").text();
    let born = rules(&mut world);
    for name in ["vrftest", "run/netns/vrftest"] {
        let fix = format!("cd / && exec vrfsetup -n {name} rules fix --confirm");
        on_the_machine(&mut world, &format!("{fix} 600"));
        let units = rollback_units(&mut world);
        assert!(units.contains("running"), "{name}: {units}");
        assert_ne!(rules(&mut world), born, "{name}");
        on_the_machine(&mut world, &format!("cd / && exec vrfsetup -n {name} rollback"));
        wait_for_the_rollbacks_end(&mut world);
        // And where nobody comes, it is the unit that undoes it.
        assert!(on_the_machine(&mut world, &format!("{fix} 1")).text().starts_with("changed:\n"), "{name}");
        wait_for_the_rollbacks_end(&mut world);
        assert_eq!(rules(&mut world), born, "{name}");
    }
    on_the_machine(&mut world, "ip netns del vrftest && umount /run/netns");
    // The world's own mounts are nobody else's.
    world.ip("netns add vrftest");
    let rules = |world: &World| world.ip_json("-n vrftest rule show").to_string();
    let born = rules(&world);
    vrfsetup(&mut world, 0, "-n vrftest rules fix --confirm 600");
    assert!(!rollback_units(&mut world).contains("running"));
    assert_ne!(rules(&world), born);
    vrfsetup(&mut world, 0, "-n vrftest rollback");
    assert!(vrfsetup(&mut world, 0, "-n vrftest rules fix --confirm 1").text().starts_with("changed:\n"));
    let is_waiting = || fs::read_dir(RUN).is_ok_and(|mut files| files.any(|file| is_pending(&file.expect("a file"))));
    wait_until(&world, "the rollback", |world| rules(world) == born && !is_waiting());
    world.ip("netns del vrftest");
    // The first run in the next namespace would sweep what is known of this one.
    fs::remove_dir_all(RUN).expect("a directory");
}

const RUN: &str = "/run/vrfsetup";

fn is_pending(file: &fs::DirEntry) -> bool {
    file.path().extension().is_some_and(|kind| kind == "pending")
}

/// Runs a command where systemd's services run: with the machine's own mounts.
#[track_caller]
fn on_the_machine(world: &mut World, line: &str) -> Verdict {
    let verdict = world.judge(&root(["nsenter", "--target", "1", "--mount", "--", "sh", "-ec", line]));
    assert_eq!(verdict.code, 0, "{line}: {verdict}");
    verdict
}

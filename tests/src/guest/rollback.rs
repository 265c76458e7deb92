//! `--confirm` where it matters: over a login that the change cuts off, with logind and a booted systemd.

use std::time::{Duration, Instant};

use super::guest_tests;
use super::logins::ssh;
use super::setup::{assert_same, state, vrfsetup};
use super::units::{machine, systemctl};
use crate::judge::{Running, root};
use crate::world::{Domain, Kind, World};

guest_tests! {
    a_login_that_cuts_itself_off_is_rescued,
    a_change_outlives_its_login_when_it_is_confirmed,
}

/// A login over the default domain's link that runs these words and then stays.
fn login(world: &mut World, words: &str) -> Running {
    systemctl(world, 0, "start ssh.service");
    let ssh = ssh(world, Domain::Default, &format!("{words}; sleep 600"));
    world.start(&root(ssh).within(Duration::from_secs(600)))
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
    let deadline = Instant::now() + Duration::from_secs(240);
    while !is_so(world) {
        assert!(Instant::now() < deadline, "{what} never came; {}", state(world));
        std::thread::sleep(Duration::from_millis(500));
    }
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
    let deadline = Instant::now() + Duration::from_secs(240);
    while !rollback_units(world).is_empty() {
        assert!(Instant::now() < deadline, "the rollback goes on waiting");
        std::thread::sleep(Duration::from_millis(500));
    }
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

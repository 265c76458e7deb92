//! A systemd that was booted with cgroup v1 beside cgroup2: it binds no services, and vrfsetup says so.

use super::guest_tests;
use super::machine::{machine, systemctl};
use super::session::{Pam, fetch};
use super::units::{ASKER, is_not_started, with_asker};
use crate::guest::setup::vrfsetup;
use crate::harness::judge::{Verdict, root, user};
use crate::harness::vm::plan::DIRECTORY;
use crate::harness::world::{Domain, Kind, World};

guest_tests! {
    a_service_is_refused_and_one_bound_before_does_not_start,
    a_login_is_in_the_vrf,
    a_user_is_in_the_vrf,
}

const WHY: &str = "systemd uses cgroup v1 here";
const FIX: &str = "systemd.unified_cgroup_hierarchy=1";

fn a_service_is_refused_and_one_bound_before_does_not_start() {
    let mut world = with_asker();
    let refused = vrfsetup(&mut world, 1, &format!("unit blue {ASKER}"));
    refused.assert_says(1, WHY);
    assert!(refused.error_text().contains(FIX), "{refused}");
    assert_eq!(vrfsetup(&mut world, 1, &format!("unit blue {ASKER} --dry-run")).text(), "");
    // A socket is bound by itself, and nothing is wrong so far.
    vrfsetup(&mut world, 3, "unit blue ssh.socket --dry-run");
    assert!(!vrfsetup(&mut world, 3, "doctor").text().contains(WHY));
    // As before the machine was booted so.
    let made = beside_another_process_1(&mut world, "0::/init.scope", &format!("unit blue {ASKER}"));
    assert_eq!(made.code, 0, "{made}");
    is_not_started(&mut world, WHY);
    let found = vrfsetup(&mut world, 3, "doctor").text();
    let says = |line: &str| line.contains(WHY) && line.contains("no service") && line.contains(FIX);
    assert!(found.lines().any(says), "{found}");
    vrfsetup(&mut world, 0, &format!("unit blue {ASKER} --remove"));
    systemctl(&mut world, 0, &format!("start {ASKER}"));
}

/// Runs vrfsetup where /proc says this of the cgroups of process 1.
fn beside_another_process_1(world: &mut World, cgroups: &str, words: &str) -> Verdict {
    let directory = world.directory().display().to_string();
    let shown = format!("cd {directory} && printf '{cgroups}\n' >cgroups && mount --bind cgroups /proc/1/cgroup");
    let line = format!("{shown} && PAM_TYPE=open_session exec {DIRECTORY}/vrfsetup {words}");
    world.judge(&root(["unshare", "-m", "sh", "-c", &line]))
}

/// logind has each login in a cgroup of either kind, and without cgroup2 there is none to bind.
fn a_login_is_in_the_vrf() {
    let mut world = machine(Kind::Vrfs);
    let pam = Pam::bound("su-l");
    world.judge(&root(["su", "-", "root", "-c", &fetch()])).assert_blue();
    assert!(!vrfsetup(&mut world, 3, "doctor").text().contains(WHY));
    drop(pam);
    let alone = beside_another_process_1(&mut world, "1:name=systemd:/init.scope\\n0::/", "session blue");
    alone.assert_says(1, "systemd uses cgroup v1 alone here");
    let without = world.judge(&root(["su", "-", "root", "-c", &fetch()]));
    assert_eq!((without.code, without.answers.as_slice()), (0, [Domain::Default].as_slice()), "{without}");
}

/// Its programs stand on the root of cgroup2, where every process is.
fn a_user_is_in_the_vrf() {
    let mut world = machine(Kind::Vrfs);
    let outside = world.judge(&user(["sh", "-c", &fetch()]));
    assert_eq!(outside.answers, [Domain::Default], "{outside}");
    vrfsetup(&mut world, 0, "user user blue");
    world.judge(&user(["sh", "-c", &fetch()])).assert_blue();
    vrfsetup(&mut world, 0, "user --remove user");
    world.judge(&root(["vrfrun", "blue", "sh", "-c", &fetch()])).assert_blue();
}

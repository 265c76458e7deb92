//! `vrfsetup move --unit`: a service that runs gets into its VRF without a restart, and by its drop-in stays there.

use super::guest_tests;
use super::machine::{greeted, machine, reload_sshd, systemctl, wait_for_listener};
use crate::guest::setup::{json, vrfsetup};
use crate::harness::world::{Domain, Kind};

guest_tests! {
    a_unit_moves_with_its_listeners_and_its_drop_in_makes_it_last,
}

fn a_unit_moves_with_its_listeners_and_its_drop_in_makes_it_last() {
    let mut world = machine(Kind::Vrfs);
    vrfsetup(&mut world, 1, "move blue --unit nosuch").assert_says(1, "unit 'nosuch' does not run");
    systemctl(&mut world, 0, "start ssh.service");
    wait_for_listener(22);
    let main_pid = |world: &mut _| systemctl(world, 0, "show --property=MainPID --value ssh.service").text();
    let pid = main_pid(&mut world);
    let moved = vrfsetup(&mut world, 0, "move blue --unit ssh");
    assert!(moved.error_text().contains("its next start is outside again: vrfsetup unit blue ssh"), "{moved}");
    assert_eq!(greeted(&mut world, 22), [Domain::Blue]);
    let found = json(&vrfsetup(&mut world, 0, &format!("identify {} -j", pid.trim())));
    assert_eq!((found[0]["vrf"].as_str(), found[0]["mechanism"].as_str()), (Some("blue"), Some("bpf")), "{found}");

    // sshd makes its sockets again, in the cgroup that it is in; systemd knows the service as the same.
    reload_sshd(&mut world);
    systemctl(&mut world, 0, "daemon-reload");
    assert_eq!((greeted(&mut world, 22), main_pid(&mut world)), (vec![Domain::Blue], pid));
    systemctl(&mut world, 0, "restart ssh.service");
    wait_for_listener(22);
    assert_eq!(greeted(&mut world, 22), [Domain::Default], "only the drop-in lasts");

    vrfsetup(&mut world, 0, "unit blue ssh");
    let moved = vrfsetup(&mut world, 0, "move blue --unit ssh.service");
    assert_eq!((moved.error_text().as_str(), greeted(&mut world, 22)), ("", vec![Domain::Blue]), "{moved}");
    systemctl(&mut world, 0, "restart ssh.service");
    wait_for_listener(22);
    assert_eq!(greeted(&mut world, 22), [Domain::Blue]);
    // Now the unit's own programs bind it: nothing that a move could leave.
    let refused = vrfsetup(&mut world, 1, "move default --unit ssh").text();
    assert!(refused.contains("something else than a cgroup of vrfrun binds it to 'blue'"), "{refused}");
    vrfsetup(&mut world, 0, "unit blue ssh --remove");
    systemctl(&mut world, 0, "stop ssh.service");
}

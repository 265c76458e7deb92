//! What `vrfsetup doctor` says of lines of PAM that do not do what `vrfsetup session` is for.

use super::guest_tests;
use super::{json, vrfsetup};
use crate::harness::world::{Kind, World};

guest_tests! {
    logins_that_nothing_puts_into_the_vrf_are_named needs [Once],
}

const LINE: &str = "session required pam_exec.so seteuid /usr/sbin/vrfsetup session blue\n";
const LOGIND: &str = "session optional pam_systemd.so\n";

/// With these files, by their names.
fn findings(world: &mut World, pam: &str, sshd: &str) -> Vec<String> {
    world.replace("/etc/pam.d/sshd", pam.as_bytes()).expect("a file over PAM's");
    world.replace("/etc/ssh/sshd_config", sshd.as_bytes()).expect("a file over sshd's");
    let all = json(&vrfsetup(world, 3, "doctor -j"));
    let names = all.as_array().expect("findings").iter().filter_map(|found| found["finding"].as_str());
    names.filter(|name| name.starts_with("login-")).map(str::to_owned).collect()
}

fn logins_that_nothing_puts_into_the_vrf_are_named() {
    let mut world = World::new(Kind::Vrfs).expect("a world");
    let world = &mut world;
    let right = format!("{LOGIND}{LINE}");
    assert_eq!(findings(world, &right, "UsePAM yes\n"), [""; 0]);
    assert_eq!(findings(world, &format!("{LINE}{LOGIND}"), "UsePAM yes\n"), ["login-order"]);
    assert_eq!(findings(world, LINE, "UsePAM yes\n"), ["login-order"]);
    // sshd does so silently.
    assert_eq!(findings(world, &right, "# nothing\n"), ["login-unbound"]);
    assert_eq!(findings(world, &right, "UsePAM no\n"), ["login-unbound"]);
    let optional = right.replace("required", "optional");
    assert_eq!(findings(world, &optional, "UsePAM yes\n"), ["login-unbound"]);
    // One that goes on in a second line is a line.
    let broken = right.replace("seteuid ", "seteuid \\\n  ").replace("session blue", "session nosuch");
    assert_eq!(findings(world, &broken, "UsePAM yes\n"), ["login-vrf-missing"]);
    assert_eq!(findings(world, LOGIND, "UsePAM no\n"), [""; 0], "none of ours");
}

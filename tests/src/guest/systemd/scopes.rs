//! Containers whose cgroups systemd makes: scopes, with others below them where the runtime wants that.

use super::guest_tests;
use super::machine::machine;
use crate::guest::run::oci_hook::{Podman, fetch, image, is_blue};
use crate::guest::setup::vrfsetup;
use crate::harness::world::Kind;

guest_tests! {
    a_containers_scope_is_bound_with_what_is_executed_in_it,
}

fn a_containers_scope_is_bound_with_what_is_executed_in_it() {
    let mut world = machine(Kind::Vrfs);
    let image = image(&world);
    let podman = Podman::new(&world, &image, "crun", "systemd");
    let options = "-d --name held --network host --annotation io.vrfrun.vrf=blue";
    let started = podman.run(&mut world, options, "/bin/busybox sleep 10000");
    assert_eq!(started.code, 0, "{started}");
    is_blue(&podman.judge(&mut world, &format!("exec held {}", fetch())));
    let cgroup = podman.judge(&mut world, "top held hpid").text();
    let pid = cgroup.lines().last().expect("a process").trim().to_owned();
    let cgroup = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("its cgroup");
    assert!(cgroup.contains("/libpod-") && cgroup.contains(".scope"), "{cgroup}");
    let found = vrfsetup(&mut world, 0, &format!("identify -j {pid}"));
    assert!(found.text().contains(r#""vrf":"blue","mechanism":"oci-hook""#), "{found}");
    let again = podman.judge(&mut world, "restart -t 0 held");
    assert_eq!(again.code, 0, "{again}");
    is_blue(&podman.judge(&mut world, &format!("exec held {}", fetch())));
    let removed = podman.judge(&mut world, "rm -f -t 0 held");
    assert_eq!(removed.code, 0, "{removed}");
}

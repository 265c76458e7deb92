//! A WireGuard tunnel whose VRF loses its port, its route or is gone, by vrfsetup and by others.

use super::scene::{BEHIND, PEERS, Scene};
use super::vrfsetup;
use crate::harness::world::Domain;
use crate::harness::world::plan::WEB4;

pub fn without_its_vrf_nothing_leaves_by_a_tunnel() {
    let mut scene = Scene::new();
    scene.make(&format!("{WEB4}:{PEERS}"));
    vrfsetup(&mut scene.world, 0, "tunnel wg0 --in blue");
    let refused = vrfsetup(&mut scene.world, 1, "del blue");
    refused.assert_says(1, "without 'blue', nothing would leave by its tunnels: wg0");
    refused.assert_says(1, "hint: vrfsetup tunnel wg0 --remove");
    scene.assert_in_blue();
    for fix in [false, true] {
        if fix {
            vrfsetup(&mut scene.world, 0, "rules fix");
        }
        // Without its port, its route, itself: by vrfsetup and by others.
        scene.make(&format!("{WEB4}:{PEERS}"));
        vrfsetup(&mut scene.world, 0, "tunnel wg0 --in blue");
        scene.world.ip("link set blue0 nomaster");
        assert_eq!(scene.ping(BEHIND[0], "2", "2").packets(Domain::Default), 0);
        scene.world.ip("link del blue");
        let verdict = scene.ping(BEHIND[0], "2", "2");
        assert_eq!(
            [Domain::Default, Domain::Blue, Domain::Red].map(|domain| verdict.packets(domain)),
            [0; 3],
            "{verdict}"
        );
        let found = vrfsetup(&mut scene.world, 3, "doctor").text();
        assert!(
            found.contains("blue: nothing leaves by tunnel 'wg0': its VRF is gone; fix: vrfsetup tunnel wg0 --remove"),
            "{found}"
        );
        scene.assert_strangers(&[Domain::Default, Domain::Red]);
        // Made again with another table, it has its tunnel again.
        let table = if fix { "30" } else { "31" };
        vrfsetup(&mut scene.world, 0, &format!("add blue --table {table} --port blue0"));
        scene.world.ip(&format!("route replace default via 198.51.100.1 dev blue0 table {table}"));
        scene.make(&format!("{WEB4}:{PEERS}"));
        vrfsetup(&mut scene.world, 0, "tunnel wg0 --in blue");
        scene.assert_in_blue();
        vrfsetup(&mut scene.world, 0, "del blue --force");
        let verdict = scene.ping(BEHIND[0], "2", "2");
        assert_eq!(
            [Domain::Default, Domain::Blue, Domain::Red].map(|domain| verdict.packets(domain)),
            [0; 3],
            "{verdict}"
        );
        vrfsetup(&mut scene.world, 0, "add blue --table 10 --port blue0");
        scene.world.ip("route replace default via 198.51.100.1 dev blue0 table 10");
    }
    scene.assert_strangers(&[Domain::Default, Domain::Red]);
    vrfsetup(&mut scene.world, 0, "tunnel wg0 --remove");
}

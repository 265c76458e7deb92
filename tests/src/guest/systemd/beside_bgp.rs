//! bgpd of FRR in a VRF: its session runs there alone, and what it has learnt is left to it.

use std::fs;

use super::beside::{assert_untouched, quiet};
use super::guest_tests;
use super::machine::systemctl;
use crate::guest::setup::rules::assert_vrf_holds;
use crate::guest::setup::{nothing_to_do, vrfsetup};
use crate::harness::judge::{Running, root};
use crate::harness::wait;
use crate::harness::world::{Domain, World};

guest_tests! {
    bgpd_keeps_its_session_and_its_routes_in_its_vrf,
}

const DAEMONS: &str = "/etc/frr/daemons";
const OURS: &str = "/etc/frr/frr.conf";
/// What the peer announces.
const LEARNT: &str = "198.18.0.0/15";

const ROUTER: &str = "router bgp 65001 vrf blue
 bgp router-id 198.51.100.2
 no bgp ebgp-requires-policy
 timers bgp 20 60
 neighbor 198.51.100.1 remote-as 65002
 neighbor 198.51.100.1 timers connect 1
exit
";

/// No zebra tells this one of its interfaces.
const PEER: &str = "router bgp 65002
 bgp router-id 198.51.100.1
 no bgp ebgp-requires-policy
 no bgp network import-check
 neighbor 198.51.100.2 remote-as 65001
 neighbor 198.51.100.2 ebgp-multihop 2
 address-family ipv4 unicast
  network 198.18.0.0/15
 exit-address-family
exit
";

/// A bgpd at the far end of blue's link, without a zebra.
fn peer(world: &mut World) -> Running {
    let config = world.directory().join("bgpd.conf");
    fs::write(&config, PEER).expect("a file");
    let path = |name: &str| world.directory().join(name).display().to_string();
    let (config, pid, zebra, vty) = (path("bgpd.conf"), path("bgpd.pid"), path("no-zebra"), path(""));
    let bgpd = ["/usr/lib/frr/bgpd", "--no_kernel", "--skip_runas", "-P", "0"];
    let files = ["-f", &config, "-i", &pid, "-z", &zebra, "--vty_socket", &vty];
    let words = world.at_peer(Domain::Blue, &[&bgpd[..], &files].concat());
    world.start(&root(words))
}

/// The routes of blue by bgp.
fn learnt(world: &World) -> serde_json::Value {
    world.ip_json("-4 route show table 10 proto bgp")
}

#[track_caller]
fn wait_for_route(world: &World, when: &str) {
    let learnt = wait::until(|| learnt(world), |learnt| learnt[0]["dst"] == LEARNT);
    assert_eq!((&learnt[0]["gateway"], &learnt[0]["dev"]), (&"198.51.100.1".into(), &"blue0".into()), "{when}");
    assert_untouched(world, when);
}

/// By the sockets of the daemon: one to the peer, bound to blue.
#[track_caller]
fn assert_session_in_blue(world: &mut World) {
    let sockets = world.judge(&root(["ss", "-Htn", "state", "established", "dport = :179 or sport = :179"]));
    let lines: Vec<String> = sockets.text().lines().map(str::to_owned).collect();
    assert!(matches!(&lines[..], [one] if one.contains("198.51.100.2%blue:")), "{sockets}");
}

fn bgpd_keeps_its_session_and_its_routes_in_its_vrf() {
    let mut world = quiet();
    vrfsetup(&mut world, 0, "rules fix");
    let daemons = fs::read_to_string(DAEMONS).expect("FRR's daemons");
    fs::write(DAEMONS, daemons.replace("bgpd=no", "bgpd=yes")).expect("the file");
    fs::write(OURS, ROUTER).expect("the file");
    let mut far = peer(&mut world);
    systemctl(&mut world, 0, "start frr.service");
    wait_for_route(&world, "the start");
    assert_session_in_blue(&mut world);
    let before = learnt(&world);

    // A port more, a VRF more, what is there already: the session stands, the route is the same object.
    world.ip("link add more0 up type dummy");
    vrfsetup(&mut world, 0, "attach blue more0");
    vrfsetup(&mut world, 0, "add green --table 30");
    nothing_to_do(&mut world, "rules fix");
    let file = world.directory().join("exported.toml").display().to_string();
    let exported = vrfsetup(&mut world, 0, "export").text();
    assert!(!exported.contains(LEARNT), "{exported}");
    fs::write(&file, exported).expect("a file");
    nothing_to_do(&mut world, &format!("apply {file}"));
    nothing_to_do(&mut world, &format!("apply {file} --prune"));
    vrfsetup(&mut world, 0, "del green");
    assert_eq!(learnt(&world), before);
    assert_session_in_blue(&mut world);

    // Its session is a connection like others.
    let refused = vrfsetup(&mut world, 1, "detach blue0");
    assert!(refused.error_text().contains("198.51.100.1:179"), "{refused}");
    let said = vrfsetup(&mut world, 0, "detach blue0 --force");
    assert!(said.text().contains("left to the daemon that makes them (bgp)"), "{said}");
    assert_eq!(learnt(&world), serde_json::json!([]));
    vrfsetup(&mut world, 0, "attach blue blue0 --force");
    // The far end would wait for its hold time, as it has to on a slow machine, before it hears of another session.
    end(&mut world, far);
    far = peer(&mut world);
    wait_for_route(&world, "the port's return");
    assert_session_in_blue(&mut world);
    assert_vrf_holds(&mut world, "bgpd");
    systemctl(&mut world, 0, "stop frr.service");
    fs::write(DAEMONS, daemons).expect("the file");
    end(&mut world, far);
}

fn end(world: &mut World, mut peer: Running) {
    peer.terminate();
    peer.finish(world);
}

//! A port that has its addresses and its way out by a router's advertisements, those of a real router: the kernel makes
//! them again where the port is.

use super::guest_tests;
use super::port_keeps::bare;
use super::vrfsetup;
use crate::harness::judge::{Running, root};
use crate::harness::wait;
use crate::harness::world::plan::WEB6;
use crate::harness::world::{Domain, World};

guest_tests! {
    the_next_advertisement_makes_the_default_route_in_the_vrf,
}

/// blue's gateway as a router that advertises itself and the prefix of its link.
fn router(world: &mut World) -> Running {
    let path = world.directory().join("radvd.conf").display().to_string();
    let prefix = "prefix 2001:db8:1::/64 { };";
    let file = format!(
        "interface peer0 {{ AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; AdvDefaultLifetime 600; {prefix} }};\n"
    );
    std::fs::write(&path, file).expect("a file");
    let words = ["radvd", "--nodaemon", "--logmethod", "stderr", "--pidfile", "/run/vrftest-radvd.pid", "-C", &path];
    let words = world.at_peer(Domain::Blue, &words);
    world.start(&root(words))
}

/// Where the advertised default route is: in main, in blue's table.
fn defaults(world: &World) -> [bool; 2] {
    ["main", "10"].map(|table| {
        let routes = world.ip_json(&format!("-6 route show table {table} default dev blue0 proto ra"));
        routes.as_array().is_some_and(|routes| !routes.is_empty())
    })
}

/// And an address with it, by which something can be sent.
#[track_caller]
fn wait_for_defaults(world: &World, wanted: [bool; 2]) {
    wait::until(|| defaults(world), |seen| *seen == wanted);
    let addresses = || world.ip_json("-6 addr show dev blue0 scope global -tentative");
    wait::until(addresses, |shown| {
        let shown = shown[0]["addr_info"].as_array().cloned().unwrap_or_default();
        matches!(&shown[..], [one] if one["dynamic"] == true && one["prefixlen"] == 64)
    });
}

/// What a ping by this command puts on the wire, and whether it is answered.
fn pings(world: &mut World, command: &str) -> (bool, [u64; 3]) {
    let web = WEB6.to_string();
    let words = command.split_whitespace().chain(["ping", "-6", "-n", "-c", "1", "-W", "60", &web]);
    let verdict = world.judge(&root(words));
    (verdict.code == 0, Domain::ALL.map(|domain| verdict.packets(domain)))
}

fn the_next_advertisement_makes_the_default_route_in_the_vrf() {
    let mut world = bare();
    world.ip("addr flush dev blue0 scope global");
    // One of the default domain's ways out is not taken from it unasked.
    let mut router = router(&mut world);
    wait_for_defaults(&world, [true, false]);
    vrfsetup(&mut world, 1, "attach blue blue0").assert_says(1, "proto ra");
    assert_eq!(defaults(&world), [true, false]);

    let said = vrfsetup(&mut world, 0, "attach blue blue0 --force").text();
    let notes = said.lines().filter(|line| line.contains("route 'default via fe80::")).collect::<Vec<_>>();
    assert!(matches!(notes[..], [one] if one.contains("comes again with a router advertisement")), "{said}");
    wait_for_defaults(&world, [false, true]);
    let own = world.ip_json("-6 route show table main dev blue0");
    assert_eq!(own, serde_json::json!([]), "nothing of the port is left in main");
    let (is_answered, [by_default, by_blue, by_red]) = pings(&mut world, "ip vrf exec blue");
    assert_eq!((is_answered, by_default, by_red), (true, 0, 0));
    assert!(by_blue > 0);
    let (_, [_, by_blue, by_red]) = pings(&mut world, "env");
    assert_eq!((by_blue, by_red), (0, 0), "from the default domain");
    let found = world.judge(&root(["vrfsetup", "doctor", "-j"])).text();
    assert!(!found.contains("default-route"), "{found}");

    let said = vrfsetup(&mut world, 0, "detach blue0 --force").text();
    assert!(said.contains("comes again with a router advertisement"), "{said}");
    wait_for_defaults(&world, [true, false]);
    router.terminate();
    router.finish(&mut world);
}

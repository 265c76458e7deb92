//! A connection from another machine that goes through a tunnel is not cut unasked: neither by what changes the tunnel nor
//! by what changes the way of the packets around it.

use super::super::faults::{FIRST, MANY, faulty, text};
use super::super::lockout::connected;
use super::super::{assert_same, state, vrfsetup};
use super::ipsec::{INNER4, inside, keys};
use super::own_device::{batch, recipe};
use super::scene::{BEHIND, INSIDE, PEERS, Scene, here};
use super::vti::{interface, keyed};
use crate::harness::world::plan::{GATEWAY4, GATEWAY6, OWN4, OWN6, WEB4};
use crate::harness::world::{Domain, Kind, World};

/// Both ends of one, the far one at this domain's peer.
fn tunnel(world: &World, domain: Domain, name: &str, more: &str, inside: [&str; 2]) {
    let ethernet = ["gretap", "erspan"].into_iter().any(|kind| more.starts_with(kind));
    let end = |outer: [&str; 2], own: &str, more: &str| {
        let address = if ethernet { String::new() } else { format!("addr add {own}/24 dev {name}\n") };
        format!(
            "link add {name} type {more} local {} remote {}\nlink set {name} addrgenmode none\n{address}\
             link set {name} up\n",
            outer[0], outer[1]
        )
    };
    let web = WEB4.to_string();
    let kind = more.split_once(" dev ").map_or(more, |(kind, _)| kind);
    batch(world, Some(domain), &end([&web, OWN4], inside[1], kind));
    batch(world, None, &end([OWN4, &web], inside[0], more));
}

/// Interfaces with what they stand upon, routes and rules: what else is told of them (a bridge's timers, the state of a link,
/// which the kernel looks at later) changes with the time.
fn told() -> String {
    let links = here("ip -br link");
    let without_state = |line: &str| {
        let mut words: Vec<&str> = line.split_whitespace().collect();
        words.remove(1);
        words.join(" ")
    };
    let links: Vec<String> = links.lines().map(without_state).collect();
    let rest = ["ip route show table all", "ip rule", "ip -6 rule"].map(here);
    format!("{}\n{}", links.join("\n"), rest.join("\n"))
}

/// Each of these is refused because of the connection, and changes nothing.
#[track_caller]
fn refused(world: &mut World, own: &str, commands: &[&str]) {
    let before = told();
    for command in commands {
        let said = vrfsetup(world, 1, command);
        said.assert_says(1, &format!(" to {own}:9 uses '"));
        said.assert_says(1, "and would break (--force or --confirm");
        assert_same(&before, &told());
    }
}

pub fn a_connection_through_a_gre_tunnel_is_not_cut_unasked() {
    let mut world = World::new(Kind::Vrfs).expect("a world");
    let world = &mut world;
    let inside = ["10.8.0.1", "10.8.0.2"];
    // One that names the port, and one that names none.
    for more in ["gre dev eth0", "ipip"] {
        tunnel(world, Domain::Default, "t0", more, inside);
        let connection = connected(world, Domain::Default, inside[0]);
        refused(world, inside[0], &["tunnel t0 --in blue", "attach blue eth0"]);
        let before = state(world);
        vrfsetup(world, 0, "tunnel t0 --in blue --confirm 600");
        vrfsetup(world, 0, "rollback");
        assert_same(&before, &state(world));
        drop(connection);
        here("ip link del t0");
        batch(world, Some(Domain::Default), "link del t0\n");
    }

    // Its outside is in blue, and leaves by blue's port.
    tunnel(world, Domain::Blue, "t0", "gre dev eth0", inside);
    vrfsetup(world, 0, "tunnel t0 --in blue");
    let connection = connected(world, Domain::Blue, inside[0]);
    let file = world.directory().join("vrf.toml");
    let another = "[vrf.blue]\ntable = 10\nloopback = false\nroutes = [\"default via 198.51.100.77 metric 200\"]\n";
    std::fs::write(&file, another).expect("a file");
    let apply = format!("apply {}", file.display());
    refused(world, inside[0], &["tunnel t0 --remove", "tunnel t0 --in red", "detach blue0", "rollback", &apply]);
    drop(connection);
    here("ip link del t0");
}

pub fn a_connection_through_a_bridged_tunnel_is_not_cut_unasked() {
    let mut world = World::new(Kind::Vrfs).expect("a world");
    let world = &mut world;
    let inside = ["10.8.0.1", "10.8.0.2"];
    tunnel(world, Domain::Default, "t0", "gretap dev eth0", inside);
    let bridge = |own: &str| {
        format!(
            "link add br0 type bridge\nlink set br0 addrgenmode none\nlink set t0 master br0\nlink set br0 up\naddr add {own}/24 dev br0\n"
        )
    };
    batch(world, None, &bridge(inside[0]));
    batch(world, Some(Domain::Default), &bridge(inside[1]));
    let connection = connected(world, Domain::Default, inside[0]);
    refused(world, inside[0], &["tunnel t0 --in blue", "attach blue eth0"]);
    drop(connection);
}

/// Of a tunnel that somebody has put elsewhere, and a change that has nothing to do with it.
pub fn a_connection_through_a_tunnel_that_is_elsewhere_by_now_is_not_cut_unasked() {
    let mut world = World::new(Kind::Vrfs).expect("a world");
    let world = &mut world;
    let inside = ["10.8.0.1", "10.8.0.2"];
    tunnel(world, Domain::Default, "t0", "gre dev eth0", inside);
    vrfsetup(world, 0, "tunnel t0 --in blue");
    here("ip link change t0 type gre dev eth0");
    let connection = connected(world, Domain::Default, inside[0]);
    for (words, device) in [("add green", "eth0"), ("del green", "eth0"), ("add green --force", "blue")] {
        let said = vrfsetup(world, 0, words).text();
        assert_eq!(world.ip_json("link show t0")[0]["link"], device, "{said}");
        let left = "left out 'ip link change t0 type gre dev blue': the connection from 10.8.0.2:";
        assert_eq!(said.contains(left) && said.contains("to 10.8.0.1:9 uses 't0'"), device == "eth0", "{said}");
    }
    drop(connection);
}

pub fn a_connection_through_a_wireguard_tunnel_is_not_cut_unasked() {
    let mut scene = Scene::new();
    scene.make(&format!("{WEB4}:{PEERS}"));
    // Where this machine is its peer learns when it speaks.
    assert_eq!(scene.ping(BEHIND[0], "1", "10").code, 0);
    let connection = connected(&mut scene.world, Domain::Default, INSIDE[0]);
    refused(&mut scene.world, INSIDE[0], &["tunnel wg0 --in blue", "attach blue eth0"]);
    drop(connection);
    scene.make(&format!("{WEB4}:{PEERS}"));
    vrfsetup(&mut scene.world, 0, "tunnel wg0 --in blue");
    assert_eq!(scene.ping(BEHIND[0], "1", "10").code, 0);
    let connection = connected(&mut scene.world, Domain::Blue, INSIDE[0]);
    refused(&mut scene.world, INSIDE[0], &["tunnel wg0 --remove", "detach blue0", "rollback"]);
    drop(connection);
}

/// A VXLAN that names no device, by the far end that it names and by those that it is told.
pub fn a_connection_through_a_vxlan_without_a_device_is_not_cut_unasked() {
    let mut world = World::new(Kind::Vrfs).expect("a world");
    let world = &mut world;
    let inside = ["10.8.0.1", "10.8.0.2"];
    tunnel(world, Domain::Default, "t0", "vxlan id 7 dstport 4789", inside);
    let connection = connected(world, Domain::Default, inside[0]);
    refused(world, inside[0], &["attach blue eth0"]);
    drop(connection);
    here("ip link del t0");
    let told = "link add t0 type vxlan id 7 dstport 4789 nolearning\nlink set t0 addrgenmode none\nlink set t0 up\n";
    batch(world, None, &format!("{told}addr add {}/24 dev t0\n", inside[0]));
    // The new interface has another link-layer address than the one that the far end knows.
    batch(world, Some(Domain::Default), "neigh flush dev t0\n");
    here(&format!("bridge fdb append 00:00:00:00:00:00 dev t0 dst {WEB4}"));
    let connection = connected(world, Domain::Default, inside[0]);
    refused(world, inside[0], &["attach blue eth0"]);
    drop(connection);
}

/// To the other end of the link, for a GENEVE names its far end alone: where it sends from is the route's affair.
pub fn a_connection_through_ip6gre_or_geneve_is_not_cut_unasked() {
    let mut world = World::new(Kind::Vrfs).expect("a world");
    let world = &mut world;
    let inside = ["10.8.0.1", "10.8.0.2"];
    let geneve = |far: &str| format!("geneve id 7 remote {far}");
    let around = |kind: &str, [own, far]: [&str; 2]| format!("{kind} local {own} remote {far}");
    for ends in [
        [around("ip6gre", [OWN6, GATEWAY6]), around("ip6gre", [GATEWAY6, OWN6])],
        [around("ip6tnl mode any", [OWN6, GATEWAY6]), around("ip6tnl mode any", [GATEWAY6, OWN6])],
        [geneve(GATEWAY4), geneve(OWN4)],
        [geneve(GATEWAY6), geneve(OWN6)],
    ] {
        for (domain, kind, own) in [(Some(Domain::Default), &ends[1], inside[1]), (None, &ends[0], inside[0])] {
            let script = format!(
                "link add t0 type {kind}\nlink set t0 addrgenmode none\naddr add {own}/24 dev t0\nlink set t0 up\n"
            );
            batch(world, domain, &script);
        }
        let connection = connected(world, Domain::Default, inside[0]);
        refused(world, inside[0], &["attach blue eth0"]);
        drop(connection);
        here("ip link del t0");
        batch(world, Some(Domain::Default), "link del t0\n");
    }
}

/// By the states of an xfrm interface that names no device, and by the mark of a VTI's.
pub fn a_connection_through_ipsec_is_not_cut_unasked() {
    let mut world = World::new(Kind::Vrfs).expect("a world");
    let world = &mut world;
    let web = WEB4.to_string();
    let (outer, far) = ([OWN4, &web], [&*web, OWN4]);
    let (spis, turned) = (["0x101", "0x102"], ["0x102", "0x101"]);
    let behind = [INNER4[1], INNER4[0]];
    let xfrm = "link add t0 type xfrm if_id 7\n";
    batch(world, Some(Domain::Default), &(xfrm.to_owned() + &inside(behind) + &keys(far, behind, turned, [""; 2])));
    batch(world, None, &(xfrm.to_owned() + &inside(INNER4) + &keys(outer, INNER4, spis, [""; 2])));
    let connection = connected(world, Domain::Default, INNER4[0]);
    refused(world, INNER4[0], &["attach blue eth0"]);
    drop(connection);
    batch(world, None, "link del t0\nxfrm state flush\nxfrm policy flush\n");

    let commands = recipe("An IPsec tunnel");
    commands.iter().filter(|command| command.contains("0x52")).for_each(|command| drop(here(command)));
    batch(world, Some(Domain::Blue), &(interface("vti", far, behind) + &keyed(far, behind, turned, "")));
    batch(world, None, &(interface("vti", outer, INNER4) + &keyed(outer, INNER4, spis, "output-mark 0x52")));
    let connection = connected(world, Domain::Blue, INNER4[0]);
    refused(world, INNER4[0], &["detach blue0"]);
    drop(connection);
}

/// A connection goes through a tunnel and leaves by eth0. Whichever message is refused, eth0 is not attached; and what is
/// not read of the tunnel is named.
#[track_caller]
fn refused_whatever_is_unread(world: &mut World, own: &str, whats: &[&str]) {
    let before = told();
    let (mut named, mut at) = (Vec::new(), FIRST);
    let outer = format!("the route to {WEB4}");
    // The last one is about the packets around it.
    while !named.contains(&outer) {
        assert!(at < MANY, "{named:?}");
        let output = faulty(&format!("sendto:error=EPERM:when={at}"), "attach blue eth0");
        let said = text(&output);
        assert_eq!(output.status.code(), Some(1), "message {at}: {said}");
        assert_same(&before, &told());
        let unread = format!(" to {own}:9 might break (--force or --confirm SECONDS goes on): cannot read ");
        let what = said.split_once(&unread).and_then(|(_, what)| what.strip_suffix(": Operation not permitted\n"));
        named.extend(what.map(str::to_owned));
        at += 1;
    }
    assert!(whats.iter().all(|what| named.iter().any(|named| named == what)), "{named:?}");
    refused(world, own, &["attach blue eth0"]);
}

pub fn a_connection_through_a_tunnel_that_cannot_be_read_is_not_cut_unasked() {
    let mut scene = Scene::new();
    scene.make(&format!("{WEB4}:{PEERS}"));
    assert_eq!(scene.ping(BEHIND[0], "1", "10").code, 0);
    let world = &mut scene.world;
    // The default route would be another reason to refuse.
    let web = WEB4.to_string();
    batch(world, None, &format!("route add {web} via 198.51.100.1\nroute del default\n"));
    here("ip -6 route del default");
    let connection = connected(world, Domain::Default, INSIDE[0]);
    refused_whatever_is_unread(world, INSIDE[0], &["the peers of 'wg0'"]);
    drop(connection);

    let ends = ["10.8.0.1", "10.8.0.2"];
    for (kind, whats) in [
        ("vxlan id 7 dstport 4789", &["the ends of 't0'", "the far ends of 't0'"][..]),
        ("ipip", &["the ends of 't0'"]),
    ] {
        tunnel(world, Domain::Default, "t0", kind, ends);
        let connection = connected(world, Domain::Default, ends[0]);
        refused_whatever_is_unread(world, ends[0], whats);
        drop(connection);
        here("ip link del t0");
        batch(world, Some(Domain::Default), "link del t0\n");
    }

    let end = |outer: [&str; 2], inner: [&str; 2], spis: [&str; 2]| {
        "link add t0 type xfrm if_id 7\n".to_owned() + &inside(inner) + &keys(outer, inner, spis, [""; 2])
    };
    let behind = [INNER4[1], INNER4[0]];
    batch(world, Some(Domain::Default), &end([&web, OWN4], behind, ["0x102", "0x101"]));
    batch(world, None, &end([OWN4, &web], INNER4, ["0x101", "0x102"]));
    let connection = connected(world, Domain::Default, INNER4[0]);
    refused_whatever_is_unread(world, INNER4[0], &["the number of 't0'", "the IPsec states"]);
    drop(connection);
}

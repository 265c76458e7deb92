//! A WireGuard interface whose outside is in a VRF. The same peer, with the same key and the same addresses, is in every
//! domain, so that whoever is reached answers: what arrives where says which domain the outer packets were in.

mod declared;
pub mod faults;
mod gone;
mod ike;
mod ipsec;
mod named;
mod openvpn;
mod others;
mod own_device;
pub mod scene;
mod transit;
mod unreceived;
mod used;
mod vti;

use super::guest_tests;
use super::{assert_same, json, nothing_to_do, state, vrfsetup};
use crate::harness::judge::root;
use crate::harness::world::plan::{OWN4, OWN6, WEB4, WEB6};
use crate::harness::world::{Domain, World};
use declared::{
    a_declared_tunnel_is_expected_and_wg_quick_brings_it_up_in_blue,
    a_declared_tunnel_that_is_missing_has_the_same_mark_whoever_is_there, without_nft_a_tunnel_costs_no_vrf,
};
use faults::{
    a_tunnel_ended_anywhere_by_a_signal_changes_nothing, a_tunnel_killed_anywhere_is_undone_by_the_next_run,
    a_tunnel_refused_anywhere_changes_nothing, one_that_changes_its_vrf_is_in_either_whatever_comes_between,
    one_that_names_its_vrf_is_there_or_where_it_was_whatever_comes_between,
    two_tunnels_at_once_end_as_one_after_the_other,
};
use gone::without_its_vrf_nothing_leaves_by_a_tunnel;
use ike::strongswan_in_blue_speaks_to_blues_far_end_alone_and_follows_it;
use ipsec::{
    esp_in_udp_comes_to_the_port_of_a_program_in_blue,
    the_outside_of_an_xfrm_interface_is_in_the_vrf_that_it_is_made_for,
};
use named::{
    one_that_names_a_vrf_follows_it_and_is_named_when_that_is_gone,
    one_that_names_its_vrf_is_declared_exported_and_watched_over, one_that_the_kernel_refuses_costs_no_other,
    one_that_was_made_in_another_namespace_is_refused, what_keeps_its_outside_is_listed_and_refused,
};
use openvpn::{openvpn_follows_a_client_that_roams_within_blue, openvpn_reaches_blues_server_alone};
use others::the_outside_of_a_vxlan_is_in_the_vrf_that_it_is_made_for;
use own_device::{
    a_gre_tunnel_in_blue_hears_nobody_else_and_is_undone, tunnels_around_ipv4_are_put_into_blue_and_back,
    tunnels_around_ipv6_are_put_into_blue_and_back,
};
use scene::{BEHIND, INSIDE, PEERS, PORT, Scene, here, tables, wait_for};
use transit::{
    a_firewall_sees_what_a_tunnel_receives_come_in_by_blue, what_comes_for_a_program_of_blue_leaves_by_nothing_else,
    what_comes_while_it_is_down_is_answered_in_blue, what_is_in_transit_to_its_port_is_not_the_tunnels,
};
use unreceived::{
    without_nft_a_declared_tunnel_is_led_or_stopped, without_nft_a_tunnel_follows_its_vrf_to_another_table,
};
use used::{
    a_connection_through_a_bridged_tunnel_is_not_cut_unasked, a_connection_through_a_gre_tunnel_is_not_cut_unasked,
    a_connection_through_a_tunnel_that_cannot_be_read_is_not_cut_unasked,
    a_connection_through_a_tunnel_that_is_elsewhere_by_now_is_not_cut_unasked,
    a_connection_through_a_vxlan_without_a_device_is_not_cut_unasked,
    a_connection_through_a_wireguard_tunnel_is_not_cut_unasked,
    a_connection_through_ip6gre_or_geneve_is_not_cut_unasked, a_connection_through_ipsec_is_not_cut_unasked,
};
use vti::vti_is_in_blue_by_the_mark_of_its_states_whatever_it_names;

guest_tests! {
    outer_packets_are_in_blue_both_ways_and_after_the_peer_has_roamed,
    without_its_vrf_nothing_leaves_by_a_tunnel,
    a_tunnel_is_declared_exported_watched_over_and_put_back,
    the_outside_of_a_vxlan_is_in_the_vrf_that_it_is_made_for,
    tunnels_around_ipv4_are_put_into_blue_and_back,
    tunnels_around_ipv6_are_put_into_blue_and_back,
    a_gre_tunnel_in_blue_hears_nobody_else_and_is_undone,
    one_that_names_its_vrf_is_declared_exported_and_watched_over,
    one_that_names_a_vrf_follows_it_and_is_named_when_that_is_gone,
    what_keeps_its_outside_is_listed_and_refused,
    one_that_the_kernel_refuses_costs_no_other,
    one_that_was_made_in_another_namespace_is_refused,
    the_outside_of_an_xfrm_interface_is_in_the_vrf_that_it_is_made_for,
    esp_in_udp_comes_to_the_port_of_a_program_in_blue,
    strongswan_in_blue_speaks_to_blues_far_end_alone_and_follows_it,
    openvpn_reaches_blues_server_alone,
    openvpn_follows_a_client_that_roams_within_blue,
    vti_is_in_blue_by_the_mark_of_its_states_whatever_it_names,
    a_declared_tunnel_is_expected_and_wg_quick_brings_it_up_in_blue,
    a_declared_tunnel_that_is_missing_has_the_same_mark_whoever_is_there,
    what_is_in_transit_to_its_port_is_not_the_tunnels,
    what_comes_while_it_is_down_is_answered_in_blue,
    a_firewall_sees_what_a_tunnel_receives_come_in_by_blue,
    what_comes_for_a_program_of_blue_leaves_by_nothing_else,
    without_nft_a_tunnel_costs_no_vrf,
    without_nft_a_declared_tunnel_is_led_or_stopped,
    without_nft_a_tunnel_follows_its_vrf_to_another_table,
    a_connection_through_a_gre_tunnel_is_not_cut_unasked,
    a_connection_through_a_bridged_tunnel_is_not_cut_unasked,
    a_connection_through_a_tunnel_that_is_elsewhere_by_now_is_not_cut_unasked,
    a_connection_through_a_wireguard_tunnel_is_not_cut_unasked,
    a_connection_through_a_vxlan_without_a_device_is_not_cut_unasked,
    a_connection_through_ip6gre_or_geneve_is_not_cut_unasked,
    a_connection_through_ipsec_is_not_cut_unasked,
    a_connection_through_a_tunnel_that_cannot_be_read_is_not_cut_unasked needs [Once],
    a_tunnel_refused_anywhere_changes_nothing needs [Once],
    a_tunnel_killed_anywhere_is_undone_by_the_next_run needs [Once],
    a_tunnel_ended_anywhere_by_a_signal_changes_nothing needs [Once],
    one_that_changes_its_vrf_is_in_either_whatever_comes_between needs [Once],
    one_that_names_its_vrf_is_there_or_where_it_was_whatever_comes_between needs [Once],
    two_tunnels_at_once_end_as_one_after_the_other,
}

/// The recipe's command and what it prints.
fn recipe() -> (String, String) {
    let page = include_str!("../../../../docs/recipes.md");
    let recipe = page.split("\n## ").find(|recipe| recipe.contains("vrfsetup tunnel wg0")).expect("a recipe");
    let command = recipe.lines().find_map(|line| line.strip_prefix("# vrfsetup tunnel wg0 ")).expect("a command");
    let listed = recipe.lines().find(|line| line.starts_with("wg0: ")).expect("what is listed");
    let command = command.split('#').next().unwrap_or_default().trim();
    (format!("tunnel wg0 {command}"), format!("{listed}\n"))
}

fn outer_packets_are_in_blue_both_ways_and_after_the_peer_has_roamed() {
    let mut scene = Scene::new();
    // What happens without: whoever has the address in the default domain is the peer.
    scene.make(&format!("{WEB4}:{PEERS}"));
    let verdict = scene.ping(BEHIND[0], "1", "10");
    assert_eq!((verdict.code, verdict.packets(Domain::Blue)), (0, 0), "{verdict}");
    let at_default = scene.at_peer(Domain::Default, "wg show wg0 latest-handshakes");
    assert!(!at_default.ends_with("\t0"), "{at_default}");
    scene.at_peer(Domain::Default, "ip link set wg0 down");
    scene.at_peer(Domain::Default, "ip link set wg0 up");

    for endpoint in [format!("{WEB4}:{PEERS}"), format!("[{WEB6}]:{PEERS}")] {
        scene.make(&endpoint);
        let (command, listed) = recipe();
        vrfsetup(&mut scene.world, 0, &command);
        assert_eq!(vrfsetup(&mut scene.world, 0, "tunnel").text(), listed);
        nothing_to_do(&mut scene.world, &command);
        scene.assert_in_blue();
        scene.assert_strangers(&[Domain::Red]);
    }

    // The peer goes on from another port, another address, another family, and speaks first.
    scene.at_peer(Domain::Blue, "ip addr add 198.51.100.9/24 dev peer0");
    let moves = [
        ("wg set wg0 listen-port 5001".to_owned(), "[2001:db8:1::1]:5001"),
        (format!("wg set wg0 peer {} endpoint {OWN4}:{PORT}", scene.public(0)), "198.51.100.1:5001"),
        (format!("ip route add {OWN4}/32 dev peer0 src 198.51.100.9"), "198.51.100.9:5002"),
        (format!("wg set wg0 peer {} endpoint [{OWN6}]:{PORT}", scene.public(0)), "[2001:db8:1::1]:5002"),
    ];
    for (how, endpoint) in moves {
        scene.at_peer(Domain::Blue, &how);
        if how.starts_with("ip ") {
            scene.at_peer(Domain::Blue, "wg set wg0 listen-port 5002");
        }
        let ping = scene.world.at_peer(Domain::Blue, &["ping", "-n", "-i", "0.3", "-c", "2", "-W", "10", INSIDE[0]]);
        let verdict = scene.world.judge(&root(ping));
        assert_eq!(
            (verdict.code, verdict.packets(Domain::Default), verdict.packets(Domain::Red)),
            (0, 0, 0),
            "{verdict}"
        );
        scene.assert_endpoint(endpoint);
        scene.assert_in_blue();
    }

    // Wherever the rules of VRFs are.
    for command in ["rules fix", "rules undo"] {
        vrfsetup(&mut scene.world, 0, command);
        nothing_to_do(&mut scene.world, command);
        nothing_to_do(&mut scene.world, &recipe().0);
        scene.assert_in_blue();
    }
    vrfsetup(&mut scene.world, 0, "zones on");
    scene.assert_in_blue();
    vrfsetup(&mut scene.world, 0, "zones off");
    // Who knows the port in the default domain, and even the key, is not heard.
    let endpoint = here("wg show wg0 endpoints");
    scene.at_peer(Domain::Default, &format!("wg set wg0 peer {} endpoint {OWN4}:{PORT}", scene.public(0)));
    let ping = scene.world.at_peer(Domain::Default, &["ping", "-n", "-c", "1", "-W", "2", INSIDE[0]]);
    let verdict = scene.world.judge(&root(ping));
    let packets = [Domain::Default, Domain::Blue, Domain::Red].map(|domain| verdict.packets(domain));
    assert_eq!((verdict.code, packets), (1, [0; 3]), "{verdict}");
    assert_eq!(here("wg show wg0 endpoints"), endpoint);
    // A reverse path filter asks for the way back, which the default domain does not know.
    here("sysctl -q -w net.ipv4.conf.lo.rp_filter=2");
    here("ip route del default");
    scene.at_peer(Domain::Blue, &format!("wg set wg0 peer {} endpoint {OWN4}:{PORT}", scene.public(0)));
    scene.assert_in_blue();
    scene.assert_strangers(&[Domain::Red]);
    here("sysctl -q -w net.ipv4.conf.lo.rp_filter=0");
    // With its inside in another VRF.
    scene.world.ip("link set wg0 master red");
    let ping = ["ping", "-n", "-i", "0.3", "-c", "3", "-W", "10", "-I", "red", BEHIND[0]];
    let verdict = scene.world.judge(&root(ping));
    let packets = [Domain::Default, Domain::Red].map(|domain| verdict.packets(domain));
    assert_eq!((verdict.code, packets), (0, [0; 2]), "{verdict}");
    scene.world.ip("link set wg0 nomaster");
    // A connection from beyond would break.
    let mut listener = scene.world.start(&root(["nc", "-l", INSIDE[0], "7777"]));
    wait_for("-l", "sport = :7777");
    let ends = scene.world.at_peer(Domain::Blue, &["nc", "-d", INSIDE[0], "7777"]);
    let mut connection = scene.world.start(&root(ends));
    wait_for("-o", "state established sport = :7777");
    vrfsetup(&mut scene.world, 1, "tunnel wg0 --remove").assert_says(1, "uses 'wg0' and would break");
    vrfsetup(&mut scene.world, 0, "tunnel wg0 --remove --force");
    listener.terminate();
    connection.terminate();
    listener.finish(&mut scene.world);
    connection.finish(&mut scene.world);
}

fn a_tunnel_is_declared_exported_watched_over_and_put_back() {
    let mut scene = Scene::new();
    scene.make(&format!("{WEB4}:{PEERS}"));
    let world = &mut scene.world;
    let before = (state(world), tables(), here("sysctl -a --pattern ^net\\.ipv4\\.conf\\.lo\\."));
    let now = |world: &World| (state(world), tables(), here("sysctl -a --pattern ^net\\.ipv4\\.conf\\.lo\\."));
    let mark = || here("wg show wg0 fwmark");

    // Refused, and nothing is done.
    world.ip("link add vx0 type vxlan id 7 remote 192.0.2.80 dstport 4789");
    vrfsetup(world, 1, "tunnel vx0 --in blue").assert_says(1, "hint: ip link add vx0 type vxlan ... dev blue");
    world.ip("link del vx0");
    vrfsetup(world, 1, "tunnel wg0 --in green").assert_says(1, "no interface 'green'");
    vrfsetup(world, 1, "tunnel none --in blue").assert_says(1, "no interface 'none'");
    let to_do = vrfsetup(world, 3, "tunnel wg0 --in blue --dry-run").text();
    assert!(to_do.contains("wg set wg0 fwmark 0x56520001") && to_do.contains("udp dport 51820"), "{to_do}");
    assert_same(&before.0, &now(world).0);
    assert_eq!((mark().as_str(), &before.1), ("off", &tables()));

    // Set, rolled back, set and removed.
    vrfsetup(world, 0, "tunnel wg0 --in blue");
    assert_eq!(mark(), "0x56520001");
    vrfsetup(world, 0, "rollback");
    assert_same(&before.0, &now(world).0);
    assert_eq!((mark().as_str(), now(world)), ("off", before.clone()));
    vrfsetup(world, 0, "tunnel wg0 --in blue");
    vrfsetup(world, 0, "tunnel wg0 --in default");
    assert_same(&before.0, &now(world).0);
    assert_eq!((mark().as_str(), now(world)), ("off", before.clone()));
    nothing_to_do(world, "tunnel wg0 --remove");

    // Its own mark is kept.
    here("wg set wg0 fwmark 0xca6c");
    vrfsetup(world, 0, "tunnel wg0 --in blue");
    let listed = json(&vrfsetup(world, 0, "-j tunnel"));
    let wanted =
        serde_json::json!({"tunnel": "wg0", "vrf": "blue", "fwmark": "0xca6c", "port": 51820, "differs": false});
    assert_eq!(listed, serde_json::json!([wanted]));
    let shown = vrfsetup(world, 0, "show blue").text();
    assert!(shown.contains("\n  tunnel wg0 (its outside)\n"), "{shown}");

    // Another's hand is found, and put right.
    for hand in [
        "nft flush ruleset",
        "nft insert rule ip6 vrfsetup_tunnels receive accept",
        "wg set wg0 fwmark 0",
        "wg set wg0 listen-port 51821",
        "ip -6 rule del fwmark 0xca6c lookup 10",
    ] {
        here(hand);
        let found = vrfsetup(world, 3, "doctor").text();
        assert!(
            found.contains("tunnel 'wg0' are not as they should be; fix: vrfsetup tunnel wg0 --in blue"),
            "{hand}: {found}"
        );
        vrfsetup(world, 0, "tunnel wg0 --in blue");
        let found = vrfsetup(world, 3, "doctor").text();
        assert!(!found.contains("tunnel"), "{hand}: {found}");
    }
    // As a file, and by a file.
    let (exported, path) = (vrfsetup(world, 0, "export").text(), world.directory().join("x.toml"));
    assert!(exported.contains("\n[tunnel]\nwg0 = \"blue\"\n"), "{exported}");
    std::fs::write(&path, &exported).expect("a file");
    let apply = format!("apply {}", path.display());
    vrfsetup(world, 0, &apply);
    nothing_to_do(world, &apply);
    vrfsetup(world, 0, "tunnel wg0 --remove");
    assert_eq!(mark(), "0xca6c");
    vrfsetup(world, 3, &format!("{apply} --dry-run"));
    vrfsetup(world, 0, &apply);
    assert_eq!(json(&vrfsetup(world, 0, "-j tunnel"))[0]["differs"], false);
    std::fs::write(&path, exported.replace("wg0 = \"blue\"", "wg0 = \"green\"")).expect("a file");
    vrfsetup(world, 2, &apply).assert_says(2, "no such VRF");
    std::fs::write(&path, exported.replace("[tunnel]\nwg0 = \"blue\"\n", "")).expect("a file");
    nothing_to_do(world, &apply);
    vrfsetup(world, 0, &format!("{apply} --prune"));
    assert_eq!(vrfsetup(world, 0, "tunnel").text(), "");
    assert_eq!(tables(), before.1);
    // An interface that is gone leaves what stops its packets, until it is given up.
    vrfsetup(world, 0, "tunnel wg0 --in blue");
    world.ip("link del wg0");
    let gone = vrfsetup(world, 3, "doctor").text();
    assert!(gone.contains("there is no tunnel 'wg0'; fix: vrfsetup tunnel wg0 --remove"), "{gone}");
    vrfsetup(world, 0, "tunnel wg0 --remove");
    assert!(!here("ip rule").contains("fwmark") && !here("ip -6 rule").contains("fwmark"));
    assert_eq!(tables(), before.1);
}

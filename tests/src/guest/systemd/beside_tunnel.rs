//! `vrfsetup tunnel` beside the daemons that remove rules and make links: what a tunnel sends is in blue before and after
//! their starts, reloads and restarts.

use std::fs;

use super::beside::{run, sealed, wait_for_address};
use super::guest_tests;
use super::machine::{Machine, release, systemctl};
use crate::guest::setup::{json, vrfsetup};
use crate::harness::judge::root;
use crate::harness::wait;
use crate::harness::world::Domain;
use crate::harness::world::plan::{OWN4, WEB4};

guest_tests! {
    a_tunnel_stays_in_its_vrf_beside_networkd,
    a_tunnel_stays_in_its_vrf_beside_networkmanager,
    a_tunnel_stays_in_its_vrf_beside_frr,
    networkds_own_tunnels_stay_in_their_vrf_or_are_named,
    networkmanagers_own_tunnel_stays_in_its_vrf,
}

const PEER: &str = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
/// Within it.
const BEHIND: &str = "10.9.0.2";

/// With a peer that never answers: what is sent to it are requests for a handshake.
fn with_tunnel() -> Machine {
    let mut world = sealed();
    let key = "/run/vrftest-wireguard";
    fs::write(key, "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\n").expect("a key");
    world.ip("link add wg0 type wireguard");
    let peer = format!("peer {PEER} endpoint {WEB4}:51820 allowed-ips 10.9.0.0/24");
    run(&mut world, &format!("wg set wg0 private-key {key} listen-port 51820 {peer}"));
    fs::remove_file(key).expect("the key");
    world.ip("addr add 10.9.0.1/24 dev wg0");
    world.ip("link set wg0 up");
    vrfsetup(&mut world, 0, "tunnel wg0 --in blue");
    assert_in_blue(&mut world, "vrfsetup");
    world
}

#[track_caller]
fn assert_in_blue(world: &mut Machine, by: &str) {
    let listed = json(&vrfsetup(world, 0, "-j tunnel"));
    assert_eq!(listed[0]["differs"], false, "after {by}: {listed} {}", world.ip_json("rule"));
    // It asks again after five seconds.
    let verdict = world.judge(&root(["ping", "-n", "-c", "1", "-W", "7", BEHIND]));
    let packets = [Domain::Default, Domain::Red].map(|domain| verdict.packets(domain));
    assert_eq!(packets, [0; 2], "after {by}: {verdict}");
    assert!(verdict.packets(Domain::Blue) > 0, "after {by}: {verdict}");
}

fn gone(world: &mut Machine) {
    vrfsetup(world, 0, "tunnel wg0 --remove");
    world.ip("link del wg0");
}

fn a_tunnel_stays_in_its_vrf_beside_networkd() {
    let mut world = with_tunnel();
    let file = "/etc/systemd/network/50-beside.network";
    fs::create_dir_all("/etc/systemd/network").expect("a directory");
    world.ip("link add net0 type dummy");
    let rule = "[RoutingPolicyRule]\nFamily=both\nFirewallMark=7\nTable=52\n";
    fs::write(file, format!("[Match]\nName=net0\n\n[Network]\nAddress=203.0.113.50/24\n\n{rule}")).expect("a file");
    for verb in ["start", "restart"] {
        // The test's own: what networkd removes shows that it has looked.
        world.ip("route add unreachable 198.18.9.0/24 table 10 proto boot");
        systemctl(&mut world, 0, &format!("{verb} systemd-networkd.service"));
        wait_for_address(&world, "net0", "203.0.113.50");
        wait::until(|| world.ip_json("route show table 10 198.18.9.0/24"), |left| *left == serde_json::json!([]));
        assert_in_blue(&mut world, verb);
    }
    fs::remove_file(file).expect("the file");
    systemctl(&mut world, 0, "stop systemd-networkd.service systemd-networkd.socket");
    gone(&mut world);
}

/// What such a tunnel names for its outside.
fn outside(world: &Machine, tunnel: &str) -> String {
    world.ip_json(&format!("link show {tunnel}"))[0]["link"].as_str().unwrap_or("-").to_owned()
}

/// From this release on networkd gives a tunnel of its own the device that its files name, at each start.
const GIVES_BACK: u32 = 257;

/// One that vrfsetup has put into its VRF, and one that networkd's file of the VRF has.
fn networkds_own_tunnels_stay_in_their_vrf_or_are_named() {
    let mut world = sealed();
    let directory = std::path::Path::new("/etc/systemd/network");
    fs::create_dir_all(directory).expect("a directory");
    world.ip("link add net0 type dummy");
    let netdev = |name: &str, kind: &str, more: &str| {
        format!("[NetDev]\nName={name}\nKind={kind}\n\n[Tunnel]\nLocal={OWN4}\nRemote={WEB4}\n{more}")
    };
    let network = |name: &str, address: &str| format!("[Match]\nName={name}\n\n[Network]\nAddress={address}/24\n");
    let of_blue = "[Match]\nName=blue\n\n[Network]\nTunnel=tun8\nKeepConfiguration=yes\nLinkLocalAddressing=no\n";
    let files = [
        ("50-gre7.netdev", netdev("gre7", "gre", "Independent=yes\n")),
        ("50-tun8.netdev", netdev("tun8", "ipip", "")),
        ("50-gre7.network", network("gre7", "10.8.7.1")),
        ("50-tun8.network", network("tun8", "10.8.8.1")),
        ("50-blue.network", of_blue.to_owned()),
        ("50-net0.network", network("net0", "203.0.113.50")),
    ];
    files.iter().for_each(|(name, text)| fs::write(directory.join(name), text).expect("a file"));
    systemctl(&mut world, 0, "start systemd-networkd.service");
    for (name, address) in [("gre7", "10.8.7.1"), ("tun8", "10.8.8.1")] {
        wait::until(|| world.ip_json("link show"), |links| links.to_string().contains(&format!("\"{name}\"")));
        wait_for_address(&world, name, address);
    }
    assert_eq!(["gre7", "tun8"].map(|name| outside(&world, name)), ["-", "blue"]);
    vrfsetup(&mut world, 0, "tunnel gre7 --in blue");
    // Another address shows that it has looked at its files.
    fs::write(directory.join("50-net0.network"), network("net0", "203.0.113.61")).expect("a file");
    systemctl(&mut world, 0, "restart systemd-networkd.service");
    wait_for_address(&world, "net0", "203.0.113.61");
    if release() >= GIVES_BACK {
        wait::until(|| outside(&world, "gre7"), |outside| outside == "-");
        let found = vrfsetup(&mut world, 3, "doctor").text();
        let named = "blue: the outside of tunnel 'gre7' is not in the VRF; fix: vrfsetup tunnel gre7 --in blue";
        assert!(found.contains(named), "{found}");
        vrfsetup(&mut world, 0, "tunnel gre7 --in blue");
    }
    assert_eq!(["gre7", "tun8"].map(|name| outside(&world, name)), ["blue"; 2]);
    for behind in ["10.8.7.2", "10.8.8.2"] {
        let verdict = world.judge(&root(["ping", "-n", "-c", "1", "-W", "1", behind]));
        assert!(verdict.packets(Domain::Default) == 0 && verdict.packets(Domain::Blue) > 0, "{verdict}");
    }
    for (name, _) in files {
        fs::remove_file(directory.join(name)).expect("the file");
    }
    systemctl(&mut world, 0, "stop systemd-networkd.service systemd-networkd.socket");
    vrfsetup(&mut world, 0, "tunnel gre7 --remove");
    ["gre7", "tun8"].iter().for_each(|name| world.ip(&format!("link del {name}")));
}

fn networkmanagers_own_tunnel_stays_in_its_vrf() {
    let mut world = sealed();
    fs::write("/etc/NetworkManager/conf.d/beside.conf", "[main]\nno-auto-default=*\n").expect("a file");
    systemctl(&mut world, 0, "start NetworkManager.service");
    let connection = format!(
        "con-name beside ifname nmgre mode gre local {OWN4} remote {WEB4} ipv4.method manual ipv4.addresses 10.8.9.1/24 ipv6.method disabled"
    );
    run(&mut world, &format!("nmcli connection add type ip-tunnel {connection}"));
    run(&mut world, "nmcli connection up beside");
    wait_for_address(&world, "nmgre", "10.8.9.1");
    vrfsetup(&mut world, 0, "tunnel nmgre --in blue");
    systemctl(&mut world, 0, "restart NetworkManager.service");
    run(&mut world, "nmcli --wait 30 general reload");
    run(&mut world, "nmcli device show nmgre");
    assert_eq!(outside(&world, "nmgre"), "blue");
    run(&mut world, "nmcli connection up beside");
    wait_for_address(&world, "nmgre", "10.8.9.1");
    assert_eq!(outside(&world, "nmgre"), "blue");
    run(&mut world, "nmcli connection delete beside");
    systemctl(&mut world, 0, "stop NetworkManager.service");
    vrfsetup(&mut world, 0, "tunnel nmgre --remove");
}

fn a_tunnel_stays_in_its_vrf_beside_networkmanager() {
    let mut world = with_tunnel();
    fs::write("/etc/NetworkManager/conf.d/beside.conf", "[main]\nno-auto-default=*\n").expect("a file");
    systemctl(&mut world, 0, "start NetworkManager.service");
    let connection =
        "con-name beside ifname nm0 ipv4.method manual ipv4.addresses 203.0.113.60/24 ipv6.method disabled";
    run(&mut world, &format!("nmcli connection add type dummy {connection}"));
    run(&mut world, "nmcli connection up beside");
    wait_for_address(&world, "nm0", "203.0.113.60");
    assert_in_blue(&mut world, "the start");
    systemctl(&mut world, 0, "restart NetworkManager.service");
    wait_for_address(&world, "nm0", "203.0.113.60");
    assert_in_blue(&mut world, "the restart");
    run(&mut world, "nmcli connection delete beside");
    systemctl(&mut world, 0, "stop NetworkManager.service");
    gone(&mut world);
}

fn a_tunnel_stays_in_its_vrf_beside_frr() {
    let mut world = with_tunnel();
    let config = "vrf blue\n ip route 198.18.0.0/15 198.51.100.1\nexit-vrf\n";
    fs::write("/etc/frr/frr.conf", config).expect("the file");
    for verb in ["start", "restart"] {
        systemctl(&mut world, 0, &format!("{verb} frr.service"));
        wait::until(|| world.ip_json("-4 route show table 10 198.18.0.0/15"), |shown| shown[0]["dev"] == "blue0");
        assert_in_blue(&mut world, verb);
    }
    systemctl(&mut world, 0, "stop frr.service");
    assert_in_blue(&mut world, "the stop");
    gone(&mut world);
}

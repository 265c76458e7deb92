//! What stands upon a port keeps all that it has when the port goes into a VRF and out of it, whichever domain it is in
//! itself; and a port on which the kernel makes no link-local address goes on without one: `ip -j` tells.

use super::guest_tests;
use super::port_keeps::{all, bare, set, there_and_back};
use super::{assert_same, nothing_to_do, state, vrfsetup};
use crate::harness::judge::root;
use crate::harness::world::World;

guest_tests! {
    vlans_above_a_port_keep_all_that_they_have,
    macvlans_above_a_port_keep_all_that_they_have,
    a_port_that_is_promiscuous_is_left_so_by_the_kernel,
    a_vlan_that_is_a_port_of_another_vrf_stays_one,
    a_port_without_link_local_addresses_of_the_kernels_gets_none,
}

fn vlans_above_a_port_keep_all_that_they_have() {
    uppers_keep_all_that_they_have(bare(), "vlan id 10", "vlan id 11");
}

/// One that has other addresses than the port makes it promiscuous, and the kernel leaves it so when it has been down; this
/// one is from the beginning.
fn macvlans_above_a_port_keep_all_that_they_have() {
    let world = bare();
    world.ip("link set blue0 promisc on");
    uppers_keep_all_that_they_have(world, "macvlan mode bridge", "vlan id 11");
}

/// As vrfsetup(8) says; it does no harm but what it costs.
fn a_port_that_is_promiscuous_is_left_so_by_the_kernel() {
    let mut world = bare();
    world.ip("link add link blue0 name upper type macvlan mode bridge");
    world.ip("link set upper up");
    let is_set = |world: &World| world.ip_json("link show dev blue0")[0]["flags"].to_string().contains("PROMISC");
    assert!(!is_set(&world));
    vrfsetup(&mut world, 0, "attach blue blue0");
    assert!(is_set(&world));
    world.ip("link set blue0 promisc off");
    assert!(!is_set(&world));
}

fn uppers_keep_all_that_they_have(mut world: World, upper: &str, inner: &str) {
    for words in [
        &format!("link add link blue0 name upper type {upper}"),
        &format!("link add link upper name inner type {inner}"),
        "link set upper up",
        "link set inner up",
        "addr add 192.168.10.1/24 dev upper",
        "addr add 2001:db8:10::1/64 dev upper nodad",
        "addr add 2001:db8:10::2/64 dev upper nodad valid_lft 9000 preferred_lft 8000",
        "addr add fe80::6/64 dev upper nodad",
        "addr add 192.168.11.1/24 dev inner",
        "addr add fe80::7/64 dev inner nodad",
        "route add 198.21.0.0/16 via 192.168.10.254",
        "route add 198.22.0.0/16 via 192.168.11.254 table 77",
        "-6 route add 2001:db8:98::/48 via 2001:db8:10::fe src 2001:db8:10::1",
        "-6 route add 2001:db8:97::/48 via fe80::fe dev upper",
        "neigh add 192.168.10.9 lladdr 02:00:00:00:00:09 dev upper nud permanent",
    ] {
        world.ip(words);
    }
    let looks = |world: &World| {
        for (route, device) in [
            ("198.21.0.0/16", "upper"),
            ("table 77", "inner"),
            ("2001:db8:98::/48", "upper"),
            ("2001:db8:97::/48", "upper"),
        ] {
            let family = if route.contains("::") { "-6" } else { "-4" };
            assert_eq!(world.ip_json(&format!("{family} route show {route}"))[0]["dev"], device, "{route}");
        }
        let shown = world.ip_json("-6 addr show dev upper").to_string();
        for address in ["2001:db8:10::1", "2001:db8:10::2", "fe80::6"] {
            assert!(shown.contains(&format!("\"{address}\"")), "{address}: {shown}");
        }
        let shown = world.ip_json("link show dev upper")[0].clone();
        assert_eq!(shown["master"], serde_json::Value::Null, "{shown}");
        let shown = world.ip_json("neigh show dev upper nud permanent").to_string();
        assert!(shown.contains("192.168.10.9"), "{shown}");
    };
    there_and_back(&mut world, looks);
}

/// The VLAN goes down and up with the port, in a VRF that the move does not concern.
fn a_vlan_that_is_a_port_of_another_vrf_stays_one() {
    let mut world = bare();
    for words in ["link add link blue0 name upper type vlan id 10", "link set upper up"] {
        world.ip(words);
    }
    vrfsetup(&mut world, 0, "add red --table 20 --port upper");
    for words in [
        "addr add 192.168.10.1/24 dev upper",
        "addr add 2001:db8:10::1/64 dev upper nodad",
        "addr add 2001:db8:10::2/64 dev upper nodad valid_lft 9000 preferred_lft 8000",
        "addr add fe80::6/64 dev upper nodad",
        "route add default via 192.168.10.9 table 20",
        "-6 route add default via 2001:db8:10::9 src 2001:db8:10::1 table 20",
        "neigh add 192.168.10.8 lladdr 02:00:00:00:00:08 dev upper nud permanent",
    ] {
        world.ip(words);
    }
    let looks = |world: &World| {
        assert_eq!(world.ip_json("link show dev blue0")[0]["master"], "blue");
        assert_eq!(world.ip_json("link show dev upper")[0]["master"], "red");
        for (family, gateway) in [("-4", "192.168.10.9"), ("-6", "2001:db8:10::9")] {
            let shown = world.ip_json(&format!("{family} route show table 20 default metric {}", metric(family)));
            assert_eq!((&shown[0]["gateway"], &shown[0]["dev"]), (&gateway.into(), &"upper".into()), "{shown}");
            let shown = world.ip_json(&format!("{family} route show table 10 dev upper"));
            assert_eq!(shown, serde_json::json!([]));
        }
        let shown = world.ip_json("-6 addr show dev upper").to_string();
        for address in ["2001:db8:10::1", "2001:db8:10::2", "fe80::6"] {
            assert!(shown.contains(&format!("\"{address}\"")), "{address}: {shown}");
        }
    };
    there_and_back(&mut world, looks);
    // A file that declares both, the one below and the one above.
    let before = all(&world);
    let file = world.directory().join("vrf.toml");
    std::fs::write(&file, "[rules]\nfix = false\n[vrf.blue]\nports = [\"blue0\"]\n[vrf.red]\nports = [\"upper\"]\n")
        .expect("a file");
    let apply = format!("apply {}", file.display());
    let shown = vrfsetup(&mut world, 3, &format!("{apply} --dry-run")).text();
    assert!(shown.contains("ip link set blue0 master blue") && !shown.contains("upper master"), "{shown}");
    assert!(shown.contains("ip -6 route add default via 2001:db8:10::9 dev upper table 20"), "{shown}");
    assert_same(&before, &all(&world));
    vrfsetup(&mut world, 0, &apply);
    looks(&world);
    nothing_to_do(&mut world, &apply);
    vrfsetup(&mut world, 0, "detach blue0");
    assert_same(&before, &all(&world));
    // By a session of the other VRF this may be typed.
    const SESSION: &str = "
import socket as S, time
s = S.socket(type=S.SOCK_DGRAM)
s.setsockopt(S.SOL_SOCKET, S.SO_BINDTODEVICE, b'red'); s.connect(('192.168.10.9', 4500))
print('up', flush=True); time.sleep(600)
";
    let mut session = world.start(&root(["python3", "-c", SESSION]));
    session.wait_for("up");
    let before = state(&world);
    for words in ["attach blue blue0", &apply] {
        let refused = vrfsetup(&mut world, 1, words);
        assert!(refused.error_text().contains("'upper' and would break"), "{words}: {refused}");
        assert_same(&before, &state(&world));
    }
    // In the way of the others' moves it is not.
    vrfsetup(&mut world, 0, "attach blue red0");
    drop(session);
}

/// Of the seal's default beside it there is another.
fn metric(family: &str) -> u32 {
    if family == "-6" { 1024 } else { 0 }
}

fn a_port_without_link_local_addresses_of_the_kernels_gets_none() {
    let mut world = bare();
    set(&mut world, "net.ipv6.conf.blue0.addr_gen_mode=1");
    world.ip("-6 addr flush dev blue0 scope link");
    // One of them in the form of the kernel's own.
    for address in ["fe80::1", "fe80::200:ff:fe00:42"] {
        world.ip(&format!("addr add {address}/64 dev blue0 nodad"));
    }
    world.ip("-6 route add 2001:db8:97::/48 via fe80::fe dev blue0");
    let looks = |world: &World| {
        let shown = world.ip_json("-6 addr show dev blue0 scope link");
        let addresses = shown[0]["addr_info"].as_array().into_iter().flatten();
        let mut locals: Vec<_> = addresses.filter_map(|address| address["local"].as_str()).collect();
        locals.sort_unstable();
        assert_eq!(locals, ["fe80::1", "fe80::200:ff:fe00:42"], "{shown}");
        let shown = world.ip_json("-d link show dev blue0");
        assert_eq!(shown[0]["inet6_addr_gen_mode"], "none", "{shown}");
    };
    looks(&world);
    there_and_back(&mut world, |world| {
        looks(world);
        assert_eq!(world.ip_json("-6 route show table 10 2001:db8:97::/48")[0]["gateway"], "fe80::fe");
    });
    looks(&world);
    assert_eq!(world.ip_json("-6 route show 2001:db8:97::/48")[0]["gateway"], "fe80::fe");
}

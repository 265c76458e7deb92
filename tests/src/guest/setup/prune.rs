//! vrfsetup apply --prune: it leaves what the file says in one run, whatever is there; and what goes with an address that
//! is deleted, where the kernel promotes none, is not lost.

use super::apply_again::write;
use super::faults::{MANY, faulty, text, vrfsetup_idle};
use super::guest_tests;
use super::{assert_same, nothing_to_do, state, vrfsetup};
use crate::harness::judge::root;
use crate::harness::world::{Kind, World};

guest_tests! {
    a_port_that_goes_elsewhere_takes_along_only_what_is_declared,
    what_an_export_has_no_words_for_is_not_pruned,
    an_address_is_replaced_by_another_of_its_network,
    the_addresses_of_a_vrf_that_is_deleted_come_back,
    a_rollback_leaves_the_addresses_of_others,
    a_rollback_gives_the_first_address_its_place_again,
    a_rollback_that_is_killed_leaves_no_promotion needs [Once],
}

/// A bare world with ports like these, in which the kernel promotes no address, as is its default.
fn world(ports: &[&str]) -> World {
    let mut world = World::new(Kind::Bare).expect("a world");
    for port in ports {
        world.ip(&format!("link add {port} type dummy"));
        world.ip(&format!("link set {port} addrgenmode none up"));
        world.judge(&root(["sysctl", "-qw", &format!("net.ipv4.conf.{port}.promote_secondaries=0")]));
    }
    for of in ["all", "default"] {
        world.judge(&root(["sysctl", "-qw", &format!("net.ipv4.conf.{of}.promote_secondaries=0")]));
    }
    world
}

/// The IPv4 addresses of an interface.
fn addresses(world: &World, device: &str) -> Vec<String> {
    let shown = world.ip_json(&format!("-4 addr show dev {device}"));
    let all = shown[0]["addr_info"].as_array().into_iter().flatten();
    all.filter_map(|address| address["local"].as_str().map(str::to_owned)).collect()
}

fn a_port_that_goes_elsewhere_takes_along_only_what_is_declared() {
    let mut world = world(&["pa", "pb", "pc"]);
    for (vrf, port, table) in [("va", "pa", 31), ("vb", "pb", 32), ("vc", "pc", 33)] {
        vrfsetup(&mut world, 0, &format!("add {vrf} --table {table} --port {port}"));
        world.ip(&format!("addr add 10.{table}.0.1/24 dev {port}"));
        world.ip(&format!("route add 198.18.{table}.0/24 via 10.{table}.0.9 table {table}"));
    }
    // In the table of one that stays, over ports of one that stays and of one that goes.
    world.ip("route add 198.19.1.0/24 dev pb table 31");
    world.ip("route add 198.19.2.0/24 dev pc table 31");
    // Into a VRF, by its port.
    world.ip("route add 198.19.3.0/24 via 10.31.0.9 dev pa onlink");
    let before = state(&world);
    let file = "[rules]\nfix = false\n[vrf.va]\ntable = 31\nports = [\"pa\", \"pb\"]\n\
                addresses = [\"10.31.0.1/24 dev pa\"]\nroutes = [\"198.18.31.0/24 via 10.31.0.9\"]\n\
                [vrf.vb]\ntable = 32\n";
    let path = write(&world, file);
    vrfsetup(&mut world, 3, &format!("apply {path} --prune --dry-run"));
    vrfsetup(&mut world, 0, &format!("apply {path} --prune"));
    let routes = world.ip_json("-4 route show table 31 type unicast proto boot");
    assert_eq!((&routes[0]["dst"], &routes[1]), (&"198.18.31.0/24".into(), &serde_json::Value::Null), "{routes}");
    assert_eq!(world.ip_json("-4 route show table main 198.19.3.0/24"), serde_json::json!([]));
    assert_eq!(addresses(&world, "pb"), [""; 0]);
    nothing_to_do(&mut world, &format!("apply {path} --prune"));
    vrfsetup(&mut world, 0, "rollback");
    assert_same(&before, &state(&world));
}

fn what_an_export_has_no_words_for_is_not_pruned() {
    let mut world = world(&["pa", "pb"]);
    vrfsetup(&mut world, 0, "add va --table 31 --port pa --port pb");
    world.ip("addr add 10.31.0.1/24 dev pa");
    world.ip("addr add 10.31.1.1/24 dev pb preferred_lft 0");
    for route in [
        "198.18.1.0/24 via 10.31.0.9 dev pa tos 0x10",
        "198.18.2.0/24 via 10.31.0.9 dev pa initcwnd 20",
        "198.18.3.0/24 via inet6 fe80::1 dev pa",
    ] {
        world.ip(&format!("route add {route} table 31"));
    }
    world.ip("route add 198.18.4.0/24 table 31 nexthop via 192.0.2.9 dev pa onlink nexthop via 10.31.1.9 dev pb");
    world.ip("-6 route add 2001:db8:5::/64 dev pa expires 5000 table 31");
    // Of two ports in one network the gateway tells none.
    world.ip("addr add 10.31.0.2/24 dev pb");
    world.ip("route add 198.18.6.0/24 table 31 nexthop via 10.31.0.9 dev pb nexthop via 10.31.1.9 dev pb");
    let before = state(&world);
    let exported = vrfsetup(&mut world, 0, "export").text();
    assert_eq!(exported.matches("\n# not declared").count(), 6, "{exported}");
    assert!(exported.contains("198.18.3.0/24 via inet6 fe80::1 dev pa table 31\n"), "{exported}");
    assert!(exported.contains("10.31.1.1/24 dev pb preferred_lft 0"), "{exported}");
    let path = write(&world, &exported);
    nothing_to_do(&mut world, &format!("apply {path} --prune"));
    assert_same(&before, &state(&world));
    // Without the words that are missing they would be other routes.
    let networkd = vrfsetup(&mut world, 0, "export --format networkd").text();
    assert!(!networkd.contains("Destination=198.18.") && networkd.contains("PreferredLifetime=0"), "{networkd}");
    world.ip("addr del 10.31.1.1/24 dev pb");
    vrfsetup(&mut world, 0, &format!("apply {path}"));
    assert_eq!(world.ip_json("-4 addr show dev pb")[0]["addr_info"][1]["deprecated"], true);
}

fn an_address_is_replaced_by_another_of_its_network() {
    let mut world = world(&["pa"]);
    vrfsetup(&mut world, 0, "add va --table 31 --port pa");
    for address in ["10.31.0.1", "10.31.0.2", "10.31.0.3"] {
        world.ip(&format!("addr add {address}/24 dev pa"));
    }
    let file = |address: &str| {
        format!("[rules]\nfix = false\n[vrf.va]\ntable = 31\nports = [\"pa\"]\naddresses = [\"{address}/24 dev pa\"]\n")
    };
    // One that is there, and one that comes.
    for address in ["10.31.0.2", "10.31.0.7"] {
        let path = write(&world, &file(address));
        vrfsetup(&mut world, 0, &format!("apply {path} --prune"));
        assert_eq!(addresses(&world, "pa"), [address]);
        nothing_to_do(&mut world, &format!("apply {path} --prune"));
        assert_eq!(world.judge(&root(["sysctl", "-n", "net.ipv4.conf.pa.promote_secondaries"])).text(), "0\n");
    }
    vrfsetup(&mut world, 0, "rollback");
    assert_eq!(addresses(&world, "pa"), ["10.31.0.2"]);
}

fn the_addresses_of_a_vrf_that_is_deleted_come_back() {
    let mut world = world(&[]);
    vrfsetup(&mut world, 0, "add va --table 31");
    for address in ["10.31.0.1/24", "10.31.0.2/24", "10.31.0.3/24", "127.0.0.9/8"] {
        world.ip(&format!("addr add {address} dev va"));
    }
    let before = state(&world);
    vrfsetup(&mut world, 0, "del va");
    vrfsetup(&mut world, 0, "rollback");
    assert_same(&before, &state(&world));
    let file = "[rules]\nfix = false\n[vrf.va]\ntable = 32\n";
    let path = write(&world, file);
    vrfsetup(&mut world, 0, &format!("apply {path}"));
    assert_eq!(addresses(&world, "va"), ["127.0.0.1", "10.31.0.1", "10.31.0.2", "10.31.0.3", "127.0.0.9"]);
}

fn a_rollback_leaves_the_addresses_of_others() {
    let mut world = world(&["pa"]);
    let path =
        write(&world, "[rules]\nfix = false\n[vrf.va]\nports = [\"pa\"]\naddresses = [\"10.31.0.1/24 dev pa\"]\n");
    vrfsetup(&mut world, 0, &format!("apply {path}"));
    world.ip("addr add 10.31.0.2/24 dev pa");
    vrfsetup(&mut world, 0, "rollback");
    assert_eq!(addresses(&world, "pa"), ["10.31.0.2"]);
    assert_eq!(world.judge(&root(["sysctl", "-n", "net.ipv4.conf.pa.promote_secondaries"])).text(), "0\n");
}

const PROMOTION: &str = "net.ipv4.conf.pa.promote_secondaries";

/// A file with a VRF of one port.
fn one_port(addresses: &str) -> String {
    format!("[rules]\nfix = false\n[vrf.va]\ntable = 31\nports = [\"pa\"]\naddresses = [{addresses}]\n")
}

/// What the kernel has promoted meanwhile was behind it.
fn a_rollback_gives_the_first_address_its_place_again() {
    let mut world = world(&["pa"]);
    vrfsetup(&mut world, 0, "add va --table 31 --port pa");
    for address in ["10.31.0.1", "10.31.0.2", "10.31.0.3", "10.32.0.1"] {
        world.ip(&format!("addr add {address}/24 dev pa"));
    }
    world.ip("route add 198.18.0.0/15 via 10.31.0.99 src 10.31.0.2 table 31 proto bgp");
    let path = write(&world, &one_port(r#""10.31.0.2/24 dev pa", "10.31.0.3/24 dev pa", "10.32.0.1/24 dev pa""#));
    // Which of the networks comes first is another matter: the kernel puts an address behind the first ones of others.
    let of_network = |world: &World| -> Vec<String> {
        addresses(world, "pa").into_iter().filter(|at| at.starts_with("10.31.")).collect()
    };
    let (before, order) = (state(&world), of_network(&world));
    assert_eq!(order, ["10.31.0.1", "10.31.0.2", "10.31.0.3"]);
    vrfsetup(&mut world, 0, &format!("apply {path} --prune"));
    assert_eq!(of_network(&world), order[1..]);
    vrfsetup(&mut world, 0, "rollback");
    assert_eq!(of_network(&world), order);
    assert_same(&before, &state(&world));
    // A client of DHCP would see its address go.
    for words in ["del 10.31.0.2/24", "del 10.31.0.3/24", "add 10.31.0.4/24 valid_lft 5000 preferred_lft 5000"] {
        world.ip(&format!("addr {words} dev pa"));
    }
    let path = write(&world, &one_port("\"10.32.0.1/24 dev pa\""));
    vrfsetup(&mut world, 0, &format!("apply {path} --prune"));
    vrfsetup(&mut world, 0, "rollback");
    assert_eq!(of_network(&world), ["10.31.0.4", "10.31.0.1"]);
}

/// Killed when it has set it, and when it is about to set it back, and at each message: the next run ends the rollback.
fn a_rollback_that_is_killed_leaves_no_promotion() {
    let mut world = world(&["pa"]);
    let setting = |world: &mut World| world.judge(&root(["sysctl", "-n", PROMOTION])).text();
    let path = write(&world, &one_port("\"10.31.0.1/24 dev pa\""));
    for at in [1, 2] {
        vrfsetup(&mut world, 0, &format!("apply {path}"));
        world.ip("addr add 10.31.0.2/24 dev pa");
        let file = format!("/proc/sys/{}", PROMOTION.replace('.', "/"));
        let inject = format!("inject=write:signal=SIGKILL:when={at}");
        let killed = root(["strace", "-qq", "-o", "/dev/null", "-P", &file, "-e", &inject, "vrfsetup", "rollback"]);
        assert_ne!(world.judge(&killed).code, 0);
        assert_eq!(setting(&mut world), format!("{}\n", at - 1));
        assert!(text(&vrfsetup_idle()).contains("was not finished and is rolled back"), "{at}");
        assert_eq!(
            (setting(&mut world).as_str(), addresses(&world, "pa")),
            ("0\n", vec!["10.31.0.2".to_owned()]),
            "{at}"
        );
        world.ip("addr del 10.31.0.2/24 dev pa");
    }
    // None of those that go for a moment is lost.
    for address in ["10.31.0.1/24", "10.31.0.2/24"] {
        world.ip(&format!("addr add {address} dev pa"));
    }
    let path = write(&world, &one_port("\"10.31.0.2/24 dev pa\""));
    vrfsetup(&mut world, 0, &format!("apply {path}"));
    world.ip("route add 198.18.0.0/15 via 10.31.0.99 src 10.31.0.2 table 31 proto bgp");
    let mut resumed = 0;
    for at in 1..MANY {
        vrfsetup(&mut world, 0, &format!("apply {path} --prune"));
        assert_eq!(addresses(&world, "pa"), ["10.31.0.2"]);
        let killed = faulty(&format!("sendto:signal=SIGKILL:when={at}"), "rollback");
        let next = text(&vrfsetup_idle());
        assert!(!next.contains("could not be undone"), "{at}: {next}");
        resumed += usize::from(next.contains("was not finished and is rolled back"));
        // It was killed before it began.
        if addresses(&world, "pa") == ["10.31.0.2"] {
            vrfsetup(&mut world, 0, "rollback");
        }
        assert_eq!(addresses(&world, "pa"), ["10.31.0.1", "10.31.0.2"], "{at}");
        assert_eq!(setting(&mut world), "0\n", "{at}");
        assert_eq!(world.ip_json("route show table 31 proto bgp")[0]["prefsrc"], "10.31.0.2", "{at}");
        if killed.status.success() {
            assert!(resumed > 3, "resumed {resumed} times only");
            return;
        }
    }
    panic!("it sends more messages than this test looks at");
}

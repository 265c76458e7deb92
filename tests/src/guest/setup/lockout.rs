//! The lockout guard: a connection over a port, the default route and a route in use do not go unasked.

use super::guest_tests;
use super::setup_ports::bare;
use super::{assert_same, state, vrfsetup};
use crate::harness::judge::{Running, root};
use crate::harness::world::plan::{DNS4, DNS6, OWN4};
use crate::harness::world::{Domain, Kind, World};

guest_tests! {
    a_connection_from_another_machine_is_not_cut_unasked,
    the_default_route_does_not_move_unasked,
    a_connection_that_needs_the_local_rule_is_not_cut_unasked,
    a_route_in_use_is_not_replaced_unasked,
    a_connection_to_a_blackhole_is_in_nobodys_way,
    a_connection_over_a_vlan_is_not_cut_unasked,
    a_bridge_and_a_bond_are_ports_with_what_is_below_them needs [Once],
}

fn a_connection_from_another_machine_is_not_cut_unasked() {
    let mut world = bare();
    world.ip(&format!("addr add {OWN4}/24 dev blue0"));
    world.ip(&format!("route add {DNS4}/32 via 198.51.100.1 dev blue0"));
    let client = format!("exec 3<>/dev/tcp/{DNS4}/7; read line <&3; echo $line; sleep 600");
    let mut connected = world.start(&root(["bash", "-c", &client]));
    connected.wait_for("blue");
    let before = state(&world);
    vrfsetup(&mut world, 1, "add blue --port blue0").assert_says(1, &format!("{DNS4}:7"));
    assert_same(&before, &state(&world));
    vrfsetup(&mut world, 0, "add blue --port blue0 --force");
    // The connection's address is the VRF's port's now.
    vrfsetup(&mut world, 1, "del blue").assert_says(1, &format!("{DNS4}:7"));
    vrfsetup(&mut world, 1, "detach blue0").assert_says(1, "'blue0'");
    vrfsetup(&mut world, 0, "del blue --force");
    assert_same(&before, &state(&world));
    drop(connected);
    // A UDP socket that is connected is a session as well.
    let udp = format!(
        "import socket, time; s = socket.socket(type=socket.SOCK_DGRAM); s.connect(('{DNS4}', 4500)); print('up', flush=True); time.sleep(600)"
    );
    let mut connected = world.start(&root(["python3", "-c", &udp]));
    connected.wait_for("up");
    vrfsetup(&mut world, 1, "add blue --port blue0").assert_says(1, &format!("{DNS4}:4500"));
    assert_same(&before, &state(&world));
    drop(connected);
}

fn the_default_route_does_not_move_unasked() {
    let mut world = bare();
    vrfsetup(&mut world, 0, "add blue");
    let before = state(&world);
    vrfsetup(&mut world, 1, "attach blue eth0").assert_says(1, "default via 198.51.100.1");
    assert_same(&before, &state(&world));
    vrfsetup(&mut world, 0, "attach blue eth0 --force");
    assert_eq!(world.ip_json("-4 route show default"), serde_json::json!([]));
    vrfsetup(&mut world, 0, "detach eth0");
    assert_same(&before, &state(&world));
}

/// A server in the default domain that a peer of a VRF talks to at an address of lo: the local rule's place decides.
fn a_connection_that_needs_the_local_rule_is_not_cut_unasked() {
    let mut world = World::of_machine(Kind::Vrfs).expect("a world");
    // The world's seals are ip's own; fix makes them the kernel's, and undo leaves them so.
    vrfsetup(&mut world, 0, "rules fix");
    vrfsetup(&mut world, 0, "rules undo");
    world.ip("addr add 203.0.113.7/32 dev lo");
    let accept = root(["sysctl", "-q", "net.ipv4.tcp_l3mdev_accept=1"]);
    assert_eq!(world.judge(&accept).code, 0);
    let route = world.at_peer(Domain::Blue, &["ip", "route", "add", "203.0.113.7", "via", OWN4]);
    assert_eq!(world.judge(&root(route)).code, 0);
    let connection = connected(&mut world, Domain::Blue, "203.0.113.7");
    let before = state(&world);
    vrfsetup(&mut world, 1, "rules fix").assert_says(1, "to 203.0.113.7:9 uses 'blue'");
    assert_same(&before, &state(&world));
    vrfsetup(&mut world, 0, "rules fix --force");
    vrfsetup(&mut world, 1, "rules undo").assert_says(1, "203.0.113.7:9");
    vrfsetup(&mut world, 0, "rules undo --force");
    assert_same(&before, &state(&world));
    drop(connection);
    assert_eq!(world.judge(&root(["sysctl", "-q", "net.ipv4.tcp_l3mdev_accept=0"])).code, 0);
    world.ip("addr del 203.0.113.7/32 dev lo");
}

fn a_route_in_use_is_not_replaced_unasked() {
    let mut world = World::of_machine(Kind::Vrfs).expect("a world");
    let several = "route replace default table 10 metric 200 nexthop via 198.51.100.1 dev blue0 nexthop via 198.51.100.1 dev blue0";
    world.ip(several);
    for (family, server, gateway) in [
        ("-4", DNS4.to_string(), "198.51.100.77"),
        ("-4", DNS4.to_string(), "198.51.100.77"),
        ("-6", DNS6.to_string(), "2001:db8:1::77"),
    ] {
        let client = format!("exec 3<>/dev/tcp/{server}/7; read line <&3; echo $line; sleep 600");
        let mut connected = world.start(&root(["ip", "vrf", "exec", "blue", "bash", "-c", &client]));
        connected.wait_for("blue");
        let before = state(&world);
        let file = world.directory().join("vrf.toml");
        let text =
            format!("[vrf.blue]\ntable = 10\nloopback = false\nroutes = [\"default via {gateway} metric 200\"]\n");
        std::fs::write(&file, text).expect("a file");
        let apply = format!("apply {}", file.display());
        let refused = vrfsetup(&mut world, 1, &apply);
        refused.assert_says(1, &server);
        refused.assert_says(1, "uses 'blue0' and would break");
        assert_same(&before, &state(&world));
        vrfsetup(&mut world, 0, &format!("{apply} --force"));
        assert_eq!(world.ip_json(&format!("{family} route show table 10 default metric 200"))[0]["gateway"], gateway);
        drop(connected);
        // The next one goes by a single one.
        world.ip("route replace default table 10 metric 200 via 198.51.100.1 dev blue0");
    }
}

/// A client that waits for a peer which a blackhole stands for by now.
fn a_connection_to_a_blackhole_is_in_nobodys_way() {
    const CLIENTS: &str = "
import socket as S, time
clients = [S.socket(family, S.SOCK_DGRAM) for family in (S.AF_INET, S.AF_INET6)]
for client, peer in zip(clients, ('192.168.10.9', '2001:db8:10::9')): client.connect((peer, 9))
print('up', flush=True); time.sleep(600)
";
    let mut world = World::new(Kind::Bare).expect("a world");
    vrfsetup(&mut world, 0, "add blue");
    world.ip("addr add 192.168.10.1/24 dev eth0");
    world.ip("addr add 2001:db8:10::1/64 dev eth0 nodad");
    let mut clients = world.start(&root(["python3", "-c", CLIENTS]));
    clients.wait_for("up");
    world.ip("route add blackhole 192.168.10.9");
    world.ip("-6 route add blackhole 2001:db8:10::9");
    vrfsetup(&mut world, 0, "attach blue blue0");
    drop(clients);
}

fn a_connection_over_a_vlan_is_not_cut_unasked() {
    let mut world = World::new(Kind::Bare).expect("a world");
    vrfsetup(&mut world, 0, "add blue");
    let verdict = |world: &mut World, kind: &str| {
        let before = state(world);
        let verdict = vrfsetup(world, 1, "attach blue blue0");
        assert!(
            verdict.error_text().contains("'upper'") && verdict.error_text().contains("would break"),
            "{kind}: {verdict}"
        );
        assert_same(&before, &state(world));
    };
    for kind in ["vlan id 10", "macvlan"] {
        // Another machine at the far end of the wire, by whose connection this may be typed.
        for words in
            ["link add link blue0 name upper type KIND", "link set upper up", "addr add 192.168.10.1/24 dev upper"]
        {
            world.ip(&words.replace("KIND", kind));
        }
        for words in
            ["ip link add link peer0 name far type KIND", "ip link set far up", "ip addr add 192.168.10.9/24 dev far"]
        {
            let words = words.replace("KIND", kind);
            at_blue(&mut world, &words);
        }
        let connection = connected(&mut world, Domain::Blue, "192.168.10.1");
        verdict(&mut world, kind);
        drop(connection);
        world.ip("link del upper");
        at_blue(&mut world, "ip link del far");
    }
}

/// What is below them stays theirs.
fn a_bridge_and_a_bond_are_ports_with_what_is_below_them() {
    let mut world = World::new(Kind::Bare).expect("a world");
    // A bridge's timers run.
    let routing = |world: &World| -> String {
        state(world).lines().filter(|line| !line.contains("\"ifname\"")).map(|line| format!("{line}\n")).collect()
    };
    let module = |world: &mut World, words: &str| {
        let verdict = world.judge(&root(["modprobe"].into_iter().chain(words.split(' '))));
        assert_eq!(verdict.code, 0, "{verdict}");
    };
    module(&mut world, "bonding max_bonds=0");
    vrfsetup(&mut world, 0, "add blue");
    at_blue(&mut world, "ip addr add 192.168.10.9/24 dev peer0");
    for kind in ["bridge", "bond mode active-backup"] {
        for words in [
            &format!("link add upper type {kind}"),
            "link set blue0 down",
            "link set blue0 master upper",
            "link set blue0 up",
            "link set upper up",
            "addr add 192.168.10.1/24 dev upper",
            "route add 198.18.0.0/15 via 192.168.10.9",
        ] {
            world.ip(words);
        }
        let connection = connected(&mut world, Domain::Blue, "192.168.10.1");
        let before = routing(&world);
        let refused = vrfsetup(&mut world, 1, "attach blue upper");
        assert!(refused.error_text().contains("'upper' and would break"), "{kind}: {refused}");
        vrfsetup(&mut world, 1, "attach blue blue0").assert_says(1, "'blue0' is a port of 'upper'");
        assert_same(&before, &routing(&world));
        vrfsetup(&mut world, 0, "attach blue upper --force");
        let links = ["upper", "blue0"].map(|name| world.ip_json(&format!("link show {name}"))[0]["master"].clone());
        assert_eq!(links, ["blue", "upper"], "{kind}");
        let table = &world.ip_json("-d link show dev blue")[0]["linkinfo"]["info_data"]["table"];
        assert_eq!(world.ip_json(&format!("route show table {table} 198.18.0.0/15"))[0]["dev"], "upper", "{kind}");
        let refused = vrfsetup(&mut world, 1, "detach upper");
        assert!(refused.error_text().contains("'upper' and would break"), "{kind}: {refused}");
        vrfsetup(&mut world, 0, "detach upper --force");
        assert_same(&before, &routing(&world));
        let upper = &world.ip_json("addr show dev upper")[0];
        assert_eq!(
            (&upper["master"], &upper["addr_info"][0]["local"]),
            (&serde_json::Value::Null, &"192.168.10.1".into()),
            "{kind}"
        );
        drop(connection);
        world.ip("link set blue0 nomaster");
        world.ip("link del upper");
    }
    module(&mut world, "-r bonding");
}

/// A server here that a domain's peer talks to.
pub(super) fn connected(world: &mut World, domain: Domain, own: &str) -> [Running; 2] {
    let server = format!(
        "import socket,time; s=socket.create_server(('{own}',9)); print('up',flush=True); c=s.accept()[0]; c.send(b'in'); time.sleep(600)"
    );
    let mut server = world.start(&root(["python3", "-c", &server]));
    server.wait_for("up");
    let client = format!("exec 3<>/dev/tcp/{own}/9; head -c 2 <&3; sleep 600");
    let client = world.at_peer(domain, &["bash", "-c", &client]);
    let mut client = world.start(&root(client));
    client.wait_for("in");
    [server, client]
}

pub(super) fn at_blue(world: &mut World, words: &str) {
    let words: Vec<&str> = words.split_whitespace().collect();
    let there = world.at_peer(Domain::Blue, &words);
    let verdict = world.judge(&root(there));
    assert_eq!(verdict.code, 0, "{words:?}: {verdict}");
}

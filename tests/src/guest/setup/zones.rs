//! Conntrack zones: the same flows at once in two VRFs, behind which everything has the same addresses. What a peer
//! answers says whose flow it was; the same flows without zones say that this proves something.

mod scene;

use super::faults::Fault;
use super::guest_tests;
use super::tunnels::faults::of_both;
use super::{json, nothing_to_do, vrfsetup};
use crate::harness::judge::root;
use crate::harness::world::plan::{DNS4, DNS6, WEB4, WEB6};
use crate::harness::world::{Domain, Kind, World};
use scene::{
    CLIENT, FIREWALL, LEAKING, Room, Scene, TOWARDS, VRFS, assert_zones, insert_failed, nft, ruleset, sh, switch_on,
    tracked,
};

guest_tests! {
    forwarded_flows_of_two_vrfs_do_not_meet,
    ten_thousand_flows_of_each_vrf_do_not_meet needs [Once],
    connections_of_two_vrfs_do_not_meet,
    flows_that_begin_or_end_here_do_not_meet,
    // 5.10 and 6.1 let UDP's answers through without such a chain as well.
    answers_that_clash_survive_without_anybody_elses_nat needs [Once],
    flows_by_leaked_routes_find_their_way_back,
    zones_follow_vrfs_and_ports,
    zones_are_switched_beside_other_tables_and_by_two_at_once,
    zones_are_on_or_off_whatever_comes_between needs [Once],
    a_change_with_zones_is_whole_or_not_made_whatever_comes_between needs [Once],
}

fn forwarded_flows_of_two_vrfs_do_not_meet() {
    let mut scene = Scene::new();
    let pairs = [[CLIENT[0], &DNS4.to_string()], [CLIENT[1], &DNS6.to_string()]];
    for pair in pairs {
        // Without zones, red's flow is taken for blue's, and not translated.
        let blue = scene.ask_from_client(Domain::Blue, "udp", pair, 10_000, 20);
        scene.assert_answers(blue, Domain::Blue, 20, 0);
        let red = scene.ask_from_client(Domain::Red, "udp", pair, 10_000, 20);
        scene.assert_answers(red, Domain::Red, 0, 20);
    }
    switch_on(&mut scene.world);
    let shown = vrfsetup(&mut scene.world, 0, "zones show");
    assert_eq!(shown.text(), "blue: zone 10, ports blue0 blue1\nred: zone 20, ports red0 red1\n");
    for pair in pairs {
        scene.both_are_answered(Scene::ask_from_client, "udp", pair, SOME);
    }
    let entries = tracked("sport=20000 dport=53");
    assert_eq!(entries.len(), 4, "{entries:?}");
    for zone in ["zone-orig=10", "zone-orig=20"] {
        assert_eq!(entries.iter().filter(|entry| entry.contains(zone)).count(), 2, "{entries:?}");
    }
    // What others exempt stays so.
    nft("table inet exempt { chain in { type filter hook prerouting priority raw; udp sport 30000 notrack; \
         udp dport 30000 notrack; }; }\n");
    let exempt = scene.ask_from_client(Domain::Blue, "udp", pairs[0], 30_000, 1);
    scene.assert_answers(exempt, Domain::Blue, 1, 0);
    assert_eq!(tracked("port=30000"), [""; 0]);
    scene.end();
}

fn ten_thousand_flows_of_each_vrf_do_not_meet() {
    const FLOWS: u32 = 10_000;
    let mut scene = Scene::new();
    // Both directions of both VRFs and families, and something over.
    let room = Room::make(5 * FLOWS);
    switch_on(&mut scene.world);
    for pair in [[CLIENT[0], &DNS4.to_string()], [CLIENT[1], &DNS6.to_string()]] {
        scene.both_are_answered(Scene::ask_from_client, "udp", pair, FLOWS);
    }
    for zone in ["zone-orig=10", "zone-orig=20"] {
        assert_eq!(tracked(zone).len() as u32, 2 * FLOWS, "{zone}");
    }
    scene.end();
    drop(room);
}

/// Over TCP, forwarded and from here.
fn connections_of_two_vrfs_do_not_meet() {
    let mut scene = Scene::new();
    let servers = [DNS4.to_string(), DNS6.to_string()];
    for (client, server) in CLIENT.iter().zip(&servers) {
        let mut blue = scene.ask_from_client(Domain::Blue, "open", [client, server], 10_000, 20);
        blue.wait_for("blue 20 red 0 default 0 none 0");
        // On 7.3 a few of red's are taken for new ones all the same.
        let mut red = scene.ask_from_client(Domain::Red, "tcp", [client, server], 10_000, 20);
        let red = red.finish(&mut scene.world).text();
        assert!(red.starts_with("blue 0 ") && !red.ends_with(" none 0\n"), "{red}");
    }
    let has_local = switch_on(&mut scene.world);
    for (family, server) in servers.iter().enumerate() {
        scene.both_are_answered(Scene::ask_from_client, "tcp", [CLIENT[family], server], 200);
        if has_local {
            scene.both_are_answered(Scene::ask_from_here, "tcp", [TOWARDS[family], server], 200);
        }
    }
    scene.end();
}

fn flows_that_begin_or_end_here_do_not_meet() {
    let mut scene = Scene::new();
    let has_local = switch_on(&mut scene.world);
    vrfsetup(&mut scene.world, 0, "zones off");
    let pairs = [[TOWARDS[0], &DNS4.to_string()], [TOWARDS[1], &DNS6.to_string()]];
    if has_local {
        for pair in pairs {
            let blue = scene.ask_from_here(Domain::Blue, "udp", pair, 10_000, 20);
            scene.assert_answers(blue, Domain::Blue, 20, 0);
            let red = scene.ask_from_here(Domain::Red, "udp", pair, 10_000, 20);
            scene.assert_answers(red, Domain::Red, 0, 20);
        }
    }
    switch_on(&mut scene.world);
    for pair in pairs.into_iter().filter(|_| has_local) {
        scene.both_are_answered(Scene::ask_from_here, "udp", pair, SOME);
    }
    let servers = VRFS.map(|vrf| scene.world.start(&root(["python3", "-c", SERVER, vrf.name()])));
    let mut servers = servers.into_iter().collect::<Vec<_>>();
    servers.iter_mut().for_each(|server| server.wait_for("ready"));
    for pair in [[CLIENT[0], TOWARDS[0]], [CLIENT[1], TOWARDS[1]]] {
        scene.both_are_answered(Scene::ask_from_client, "udp", pair, SOME);
    }
    drop(servers);
    scene.end();
}

/// Answers have no zone: those of two VRFs are alike, and the kernel tells them apart by another port, which it finds only
/// where somebody has a chain of type nat.
fn answers_that_clash_survive_without_anybody_elses_nat() {
    let mut scene = Scene::without_nat();
    switch_on(&mut scene.world);
    let pairs = [[CLIENT[0], &DNS4.to_string()], [CLIENT[1], &DNS6.to_string()]];
    for pair in pairs {
        for vrf in VRFS {
            let flows = scene.ask_from_client(vrf, "udp", pair, 20_000, SOME);
            scene.assert_answers(flows, vrf, SOME, 0);
        }
    }
    assert_eq!(insert_failed(), 0);
    // And it is ours that does it. Towards another server: a port that it found above may be one of these.
    nft("delete chain inet vrfsetup_zones nat\n");
    for pair in [[CLIENT[0], &WEB4.to_string()], [CLIENT[1], &WEB6.to_string()]] {
        let blue = scene.ask_from_client(Domain::Blue, "udp", pair, 30_000, 20);
        scene.assert_answers(blue, Domain::Blue, 20, 0);
        let red = scene.ask_from_client(Domain::Red, "udp", pair, 30_000, 20);
        scene.assert_answers(red, Domain::Red, 0, 20);
    }
    vrfsetup(&mut scene.world, 0, "zones off");
}

/// How many of them each VRF has at once.
const SOME: u32 = 500;

/// Answers on this machine as a peer would: with the name of its VRF.
const SERVER: &str = "
import select, socket, sys
name = sys.argv[1].encode()
both = []
for family, address in ((socket.AF_INET, '10.0.0.1'), (socket.AF_INET6, 'fd00::1')):
    one = socket.socket(family, socket.SOCK_DGRAM)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, name)
    one.bind((address, 53))
    both.append(one)
print('ready', flush=True)
while True:
    for one in select.select(both, [], [])[0]:
        asker = one.recvfrom(512)[1]
        one.sendto(b'\\0' + bytes([len(name)]) + name, asker)
";

fn flows_by_leaked_routes_find_their_way_back() {
    let mut scene = Scene::new();
    let pid = scene.clients[0].pid();
    for (family, prefix, gateway) in [(0, "24", "198.51.100.1"), (1, "64", "2001:db8:1::1")] {
        let nodad = if family == 1 { "nodad" } else { "" };
        let (web, net) =
            [(format!("{WEB4}/32"), "10.0.1.0/24"), (format!("{WEB6}/128"), "fd00:1::/64")][family].clone();
        sh(&format!("nsenter --net=/proc/{pid}/ns/net ip addr add {}/{prefix} dev client0 {nodad}", LEAKING[family]));
        // Blue's way to the web server is red's, and red's way to that client is blue's.
        scene.world.ip(&format!("route add {web} via {gateway} dev red0 table 10"));
        scene.world.ip(&format!("route add {net} via {} dev blue1 table 10", CLIENT[family]));
        scene.world.ip(&format!("route add {net} via {} dev blue1 table 20", CLIENT[family]));
    }
    switch_on(&mut scene.world);
    for (family, server) in [WEB4.to_string(), WEB6.to_string()].iter().enumerate() {
        let leaked = scene.ask_from_client(Domain::Blue, "udp", [LEAKING[family], server], 20_000, SOME);
        let own = scene.ask_from_client(Domain::Red, "udp", [CLIENT[family], server], 20_000, SOME);
        scene.assert_answers(leaked, Domain::Red, SOME, 0);
        scene.assert_answers(own, Domain::Red, SOME, 0);
    }
    scene.end();
}

fn zones_follow_vrfs_and_ports() {
    let mut world = World::new(Kind::Bare).expect("a world");
    vrfsetup(&mut world, 0, "add blue --table 10 --port blue0");
    let shown = json(&vrfsetup(&mut world, 0, "-j zones show"));
    assert_eq!(shown, serde_json::json!([]));
    switch_on(&mut world);
    assert_zones(&["\"blue\":10", "\"blue0\":10"]);
    nothing_to_do(&mut world, "zones on");
    vrfsetup(&mut world, 0, "add high --table 70000 --port red0");
    assert_zones(&["\"blue\":10", "\"blue0\":10", "\"high\":65535", "\"red0\":65535"]);
    vrfsetup(&mut world, 0, "detach red0");
    assert_zones(&["\"blue\":10", "\"blue0\":10", "\"high\":65535"]);
    vrfsetup(&mut world, 0, "add late --table 65535");
    vrfsetup(&mut world, 0, "attach late red0");
    assert_zones(&["\"blue\":10", "\"blue0\":10", "\"high\":65535", "\"late\":65534", "\"red0\":65534"]);
    vrfsetup(&mut world, 0, "rollback");
    assert_zones(&["\"blue\":10", "\"blue0\":10", "\"high\":65535", "\"late\":65534"]);
    vrfsetup(&mut world, 0, "del late");
    vrfsetup(&mut world, 0, "del blue");
    assert_zones(&["\"high\":65535"]);
    std::fs::write(world.directory().join("x.toml"), "[vrf.blue]\ntable = 10\nports = [\"blue0\"]\n").expect("a file");
    let file = world.directory().join("x.toml").display().to_string();
    let verdict = vrfsetup(&mut world, 3, &format!("apply {file} --dry-run"));
    assert!(verdict.text().contains("\\\"blue0\\\" : 10"), "{verdict}");
    vrfsetup(&mut world, 0, &format!("apply {file}"));
    assert_zones(&["\"blue\":10", "\"blue0\":10", "\"high\":65535"]);
    // Another's hand is found.
    world.ip("link set red0 master blue");
    let verdict = vrfsetup(&mut world, 3, "doctor");
    assert!(verdict.text().contains("blue: flows by 'red0' are not in the VRF's conntrack zone"), "{verdict}");
    let shown = json(&vrfsetup(&mut world, 0, "-j zones show"));
    assert_eq!(
        shown[0],
        serde_json::json!({"vrf": "blue", "table": 10, "zone": 10, "ports": ["blue0"], "missing": ["red0"]})
    );
    vrfsetup(&mut world, 0, "zones on");
    assert_zones(&["\"blue\":10", "\"blue0\":10", "\"high\":65535", "\"red0\":10"]);
    for touched in ["delete chain inet vrfsetup_zones nat", "add table inet vrfsetup_zones { flags dormant; }"] {
        nft(touched);
        let verdict = vrfsetup(&mut world, 3, "doctor");
        assert!(verdict.text().contains("their nftables table was changed; fix: vrfsetup zones on"), "{verdict}");
        vrfsetup(&mut world, 0, "zones on");
        let verdict = world.judge(&root(["vrfsetup", "doctor"]));
        assert!(!verdict.text().contains("conntrack zones"), "{verdict}");
    }
    vrfsetup(&mut world, 0, "zones off");
    assert_eq!(ruleset(), "");
    for vrf in ["blue", "high"] {
        vrfsetup(&mut world, 0, &format!("del {vrf}"));
    }
}

fn zones_are_switched_beside_other_tables_and_by_two_at_once() {
    let mut world = World::new(Kind::Vrfs).expect("a world");
    nft(FIREWALL);
    let before = ruleset();
    let mut both = [(); 2].map(|()| world.start(&root(["vrfsetup", "zones", "on"])));
    let said = both.each_mut().map(|one| one.finish(&mut world));
    assert!(said.iter().all(|verdict| verdict.code == 0), "{} {}", said[0], said[1]);
    assert_eq!(said.iter().filter(|verdict| verdict.text().contains("nothing to do")).count(), 1);
    assert!(ruleset().contains(before.trim_end()), "{}", ruleset());
    assert_zones(&["\"blue\":10", "\"blue0\":10", "\"red\":20", "\"red0\":20"]);
    vrfsetup(&mut world, 0, "zones off");
    assert_eq!(ruleset(), before);
    nothing_to_do(&mut world, "zones off");
}

/// By this command and the one that undoes it, at each message and where nft is started, waited for and given its script.
fn zones_are_on_or_off_whatever_comes_between() {
    for fault in [Fault::Refusal, Fault::Kill, Fault::Signal] {
        let world = World::new(Kind::Vrfs).expect("a world");
        nft(FIREWALL);
        of_both(world, ["zones on", "zones off"], fault);
    }
}

fn a_change_with_zones_is_whole_or_not_made_whatever_comes_between() {
    for fault in [Fault::Kill, Fault::Signal] {
        let mut world = World::new(Kind::Vrfs).expect("a world");
        vrfsetup(&mut world, 0, "zones on");
        of_both(world, ["add green", "del green"], fault);
    }
}

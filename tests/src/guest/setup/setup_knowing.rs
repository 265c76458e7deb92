//! vrfsetup tells: what VRFs there are, who is in them, what is wrong.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::Path;

use super::guest_tests;
use super::{json, vrfsetup};
use crate::harness::judge::{Running, root};
use crate::harness::wait;
use crate::harness::world::plan::{DNS4, DNS6};
use crate::harness::world::{Kind, World};

guest_tests! {
    show_has_the_names_and_values_of_ip,
    every_mechanism_is_known_by_identify_and_pids,
    a_socket_outside_its_vrf_is_named,
    metrics_are_what_ip_says,
    doctor_finds_what_is_wrong_and_its_fixes_help,
    doctor_looks_beyond_the_routing,
    what_stops_some_packets_alone_or_none_is_no_seal,
    the_demonstration_goes_as_told_and_leaves_nothing,
}

fn show_has_the_names_and_values_of_ip() {
    let mut world = World::new(Kind::Vrfs).expect("a world");
    // The kernel sees to a carrier's coming in its own time.
    let is_up = |link: &serde_json::Value| link["link_type"] == "loopback" || link["operstate"] == "UP";
    wait::until(|| world.ip_json("link show"), |links| links.as_array().is_some_and(|links| links.iter().all(is_up)));
    let shown = json(&vrfsetup(&mut world, 0, "show -j"));
    let (vrfs, addresses) = (world.ip_json("-d link show type vrf"), world.ip_json("addr show"));
    assert_eq!(shown.as_array().map(Vec::len), vrfs.as_array().map(Vec::len));
    for (ours, ips) in shown.as_array().into_iter().flatten().zip(vrfs.as_array().into_iter().flatten()) {
        for key in ["ifindex", "ifname", "flags", "mtu", "operstate"] {
            assert_eq!(ours[key], ips[key], "{key}");
        }
        assert_eq!(ours["table"], ips["linkinfo"]["info_data"]["table"]);
        for port in ours["ports"].as_array().into_iter().flatten() {
            let ips = addresses
                .as_array()
                .into_iter()
                .flatten()
                .find(|link| link["ifname"] == port["ifname"])
                .expect("a port");
            for key in ["ifindex", "master", "mtu", "flags", "operstate"] {
                assert_eq!(port[key], ips[key], "{key}");
            }
            let (mine, theirs) = (&port["addr_info"][0], &ips["addr_info"][0]);
            for key in ["family", "local", "prefixlen", "scope", "label", "valid_life_time"] {
                assert_eq!(mine[key], theirs[key], "{key}");
            }
        }
        let table = &ours["table"];
        let routes = world.ip_json(&format!("-4 route show table {table} default"));
        let default =
            ours["routes"].as_array().into_iter().flatten().find(|route| route["dst"] == "default").expect("a default");
        for key in ["dst", "gateway", "dev"] {
            assert_eq!(default[key], routes[0][key], "{key}");
        }
    }
    assert_eq!(json(&vrfsetup(&mut world, 0, "show red -j"))[0]["ifname"], "red");
    vrfsetup(&mut world, 1, "show nosuch").assert_says(1, "no interface 'nosuch'");
    vrfsetup(&mut world, 1, "show eth0").assert_says(1, "not a VRF");
}

fn every_mechanism_is_known_by_identify_and_pids() {
    let mut world = World::of_machine(Kind::Vrfs).expect("a world");
    let ways: [(&str, &[&str]); 4] = [
        ("ip vrf exec", &["ip", "vrf", "exec", "blue"]),
        ("bpf", &["vrfrun", "-m", "bpf", "blue"]),
        ("preload", &["vrfrun", "-m", "preload", "blue"]),
        ("seccomp", &["vrfrun", "-m", "seccomp", "blue"]),
    ];
    let program = ["sh", "-c", "sleep 600 & echo in; wait"];
    let mut running: Vec<(&str, Running)> =
        ways.map(|(name, way)| (name, world.start(&root(way.iter().chain(&program))))).into();
    for (_, program) in &mut running {
        program.wait_for("in");
    }
    let all = json(&vrfsetup(&mut world, 0, "pids blue -j"));
    for (mechanism, program) in &running {
        let pid = program.pid();
        let found = json(&vrfsetup(&mut world, 0, &format!("identify {pid} -j")));
        assert_eq!((found[0]["vrf"].as_str(), found[0]["mechanism"].as_str()), (Some("blue"), Some(*mechanism)));
        assert_eq!(vrfsetup(&mut world, 0, &format!("identify {pid}")).text(), "blue\n");
        let listed = all.as_array().into_iter().flatten().filter(|process| process["mechanism"] == *mechanism);
        // The shell and its sleep.
        assert!(listed.count() >= 2, "{mechanism}: {all}");
    }
    assert_eq!(vrfsetup(&mut world, 0, "identify 1").text(), "\n");
    assert_eq!(vrfsetup(&mut world, 0, "pids red").text(), "");
    vrfsetup(&mut world, 1, "pids nosuch").assert_says(1, "nosuch");
    vrfsetup(&mut world, 1, "identify 4194303").assert_says(1, "no process 4194303: No such process");
}

fn a_socket_outside_its_vrf_is_named() {
    let mut world = World::new(Kind::Vrfs).expect("a world");
    let program = "import socket,time
inside=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); inside.bind(('0.0.0.0',4001))
outside=socket.socket(); outside.setsockopt(socket.SOL_SOCKET,socket.SO_BINDTODEVICE,b'eth0\\0'); outside.bind(('0.0.0.0',4002)); outside.listen()
print('up',flush=True); time.sleep(600)";
    let mut running = world.start(&root(["vrfrun", "-m", "seccomp", "blue", "python3", "-c", program]));
    running.wait_for("up");
    let shown = json(&vrfsetup(&mut world, 0, "show blue --sockets -j"));
    let strays: Vec<(&str, bool)> = ["4001", "4002"]
        .into_iter()
        .map(|port| {
            let sockets = shown[0]["sockets"].as_array().expect("sockets");
            let is_it =
                |socket: &&serde_json::Value| socket["local"].as_str().is_some_and(|local| local.ends_with(port));
            let socket = sockets.iter().find(is_it).unwrap_or_else(|| panic!("no socket at {port}: {shown}"));
            (port, socket["stray"] == true)
        })
        .collect();
    assert_eq!(strays, [("4001", false), ("4002", true)]);
    let findings = vrfsetup(&mut world, 3, "doctor").text();
    assert!(findings.contains("blue: sockets outside the VRF: python3"), "{findings}");
}

/// Against `ip`: ports and tables; before and after `ip` takes the routes and the rules of a family away.
fn metrics_are_what_ip_says() {
    let mut world = World::new(Kind::Vrfs).expect("a world");
    vrfsetup(&mut world, 0, "rules fix");
    let text = vrfsetup(&mut world, 0, "metrics").text();
    assert!(text.ends_with("\n# EOF\n"), "{text}");
    let samples = |name: &str, text: &str| -> Vec<String> {
        text.lines().filter(|line| line.starts_with(&format!("{name}{{"))).map(str::to_owned).collect()
    };
    let links = world.ip_json("-d link show");
    let links = || links.as_array().into_iter().flatten();
    let word = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let tables = links().filter(|link| link["linkinfo"]["info_kind"] == "vrf").map(|link| {
        let table = &link["linkinfo"]["info_data"]["table"];
        format!("node_network_vrf_info{{device=\"{}\",table=\"{table}\"}} 1", word(&link["ifname"]))
    });
    assert_eq!(samples("node_network_vrf_info", &text), tables.collect::<Vec<_>>());
    let ports = links().filter(|link| link["linkinfo"]["info_slave_kind"] == "vrf").map(|link| {
        let (device, master) = (word(&link["ifname"]), word(&link["master"]));
        format!("node_network_master_info{{device=\"{device}\",kind=\"vrf\",master=\"{master}\"}} 1")
    });
    let (mut ours, mut ips) = (samples("node_network_master_info", &text), ports.collect::<Vec<_>>());
    ours.sort();
    ips.sort();
    assert_eq!(ours, ips);
    assert!(!ips.is_empty(), "{text}");
    let [sealed, ordered] =
        ["vrfsetup_vrf_sealed{family=\"ipv6\",vrf=\"blue\"}", "vrfsetup_rules_in_order{family=\"ipv6\"}"];
    assert!(text.contains(&format!("{sealed} 1\n")) && text.contains(&format!("{ordered} 1\n")), "{text}");
    let table = world.ip_json("-d link show blue")[0]["linkinfo"]["info_data"]["table"].clone();
    world.ip(&format!("-6 route flush table {table}"));
    // The lookup, the rule that stops what it does not find, and on new kernels the one that the kernel made at 1000.
    while world.ip_json("-6 rule show").as_array().into_iter().flatten().any(|rule| rule.get("l3mdev").is_some()) {
        world.ip("-6 rule del l3mdev");
    }
    let text = vrfsetup(&mut world, 0, "metrics").text();
    assert!(text.contains(&format!("{sealed} 0\n")) && text.contains(&format!("{ordered} 0\n")), "{text}");
    assert!(text.contains("vrfsetup_findings{finding=\"falls-through\"} 1\n"), "{text}");
}

/// The names of what the doctor finds, each of which has a fix.
fn findings(world: &mut World) -> Vec<String> {
    let findings = json(&vrfsetup(world, 3, "doctor -j"));
    let all = findings.as_array().expect("a list");
    assert!(all.iter().all(|finding| finding["fix"].as_str().is_some_and(|fix| !fix.is_empty())), "{findings}");
    all.iter().map(|finding| finding["finding"].as_str().expect("a name").to_owned()).collect()
}

fn doctor_finds_what_is_wrong_and_its_fixes_help() {
    let mut world = World::new(Kind::Vrfs).expect("a world");
    world.ip("link set lo down");
    world.ip("link set red down");
    world.ip("-4 route del default table 10 metric 200");
    world.ip("-4 route del unreachable default table 10");
    world.ip("-4 rule add pref 110 fwmark 1 lookup 52");
    let found = findings(&mut world);
    let expected = [
        "loopback-down",
        "vrf-down",
        "local-rule-first",
        "foreign-rule-first",
        "falls-through",
        "default-route-missing",
        "loopback-address-missing",
    ];
    for name in expected {
        assert!(found.iter().any(|finding| finding == name), "{name} is not in {found:?}");
    }
    world.ip("link set lo up");
    world.ip("-4 rule del pref 110");
    vrfsetup(&mut world, 0, "rules fix");
    vrfsetup(&mut world, 0, "add blue");
    vrfsetup(&mut world, 0, "add red");
    world.ip("-4 route add default via 198.51.100.1 dev blue0 table 10");
    let found = findings(&mut world);
    assert!(expected.iter().all(|name| !found.iter().any(|finding| finding == name)), "{found:?}");
}

fn what_stops_some_packets_alone_or_none_is_no_seal() {
    let mut world = World::new(Kind::Bare).expect("a world");
    world.ip("route add 192.0.2.0/24 dev eth0");
    world.ip("-6 route add 2001:db8:99::/48 dev eth0");
    let sealed = |world: &mut World, family: &str, to: &str| {
        let verdict = world.judge(&root(["ip", family, "route", "get", to, "oif", "blue"]));
        assert!(verdict.code != 0 || verdict.text().contains("eth0"), "{verdict}");
        let told = vrfsetup(world, 0, "metrics").text();
        let family = if family == "-4" { "ipv4" } else { "ipv6" };
        let line = format!("vrfsetup_vrf_sealed{{family=\"{family}\",vrf=\"blue\"}} ");
        let is_told = told.split(&line).nth(1).is_some_and(|rest| rest.starts_with('1'));
        assert_eq!(is_told, verdict.code != 0, "{told}{verdict}");
        is_told
    };
    for (family, route, to, holds) in [
        ("-4", "unreachable default tos 0x10", "192.0.2.1", true),
        ("-6", "unreachable default from 2001:db8::/64", "2001:db8:99::1", true),
        ("-4", "throw default", "192.0.2.1", false),
        ("-6", "throw default", "2001:db8:99::1", false),
    ] {
        world.ip(&format!("{family} route add {route} table 10"));
        vrfsetup(&mut world, 0, "add blue --table 10");
        assert_eq!(sealed(&mut world, family, to), holds, "{route}");
        if !holds {
            assert!(findings(&mut world).contains(&"falls-through".to_owned()), "{route}");
            vrfsetup(&mut world, 0, "rules fix");
            assert!(sealed(&mut world, family, to), "{route}");
            vrfsetup(&mut world, 0, "rules undo");
        }
        world.ip(&format!("{family} route del {route} table 10"));
        vrfsetup(&mut world, 0, "del blue");
    }
}

/// Resolvers, caches, groups, firewalls, and two VRFs with one table.
fn doctor_looks_beyond_the_routing() {
    let mut world = World::new(Kind::Vrfs).expect("a world");
    let expected = [
        "resolver-unreachable",
        "nscd",
        "resolved",
        "ping-group-range",
        "netfilter-port",
        "table-shared",
        "default-route-elsewhere",
    ];
    let groups = "/proc/sys/net/ipv4/ping_group_range";
    fs::write(groups, "0 2147483647").expect("all groups");
    fs::create_dir_all("/etc/vrf/blue").expect("a directory");
    let servers = format!("nameserver {DNS4}\nnameserver {DNS6}\n");
    fs::write("/etc/vrf/blue/resolv.conf", servers).expect("a resolver");
    let before = findings(&mut world);
    assert!(expected.iter().all(|name| !before.iter().any(|finding| finding == name)), "{before:?}");
    world.replace("/etc/nsswitch.conf", b"hosts: files resolve dns\n").expect("a switch");
    let sockets = ["/run/nscd/socket", "/run/systemd/resolve/io.systemd.Resolve"].map(|path| {
        fs::create_dir_all(Path::new(path).parent().expect("a directory")).expect("a directory");
        UnixListener::bind(path).map(|listener| (path, listener)).expect("a socket")
    });
    fs::write("/etc/vrf/blue/resolv.conf", "nameserver 127.0.0.53\n").expect("a resolver");
    fs::write(groups, "1 0").expect("no groups");
    let rules = "add table inet t; add chain inet t c; add rule inet t c iifname \"blue0\" accept";
    assert_eq!(world.judge(&root(["nft", rules])).code, 0);
    world.ip("route add default via 198.51.100.1 dev eth0 table 20 metric 1");
    world.ip("link add twin type vrf table 20");
    let after = findings(&mut world);
    fs::remove_dir_all("/etc/vrf").expect("the directory");
    for (path, listener) in sockets {
        drop(listener);
        fs::remove_file(path).expect("the socket");
    }
    for name in expected {
        assert!(after.iter().any(|finding| finding == name), "{name} is not in {after:?}");
    }
}

fn the_demonstration_goes_as_told_and_leaves_nothing() {
    let mut world = World::new(Kind::Vrfs).expect("a world");
    let before = super::state(&world);
    let verdict = vrfsetup(&mut world, 0, "demo");
    assert!(verdict.text().contains("0 surprises"), "{verdict}");
    super::assert_same(&before, &super::state(&world));
}

//! A machine that routes within blue, for others that have tunnels of their own.

use super::super::vrfsetup;
use super::scene::{BEHIND, INSIDE, PEERS, PORT, Scene, here, wait_for};
use crate::harness::judge::root;
use crate::harness::world::Domain;
use crate::harness::world::plan::{OWN4, OWN6, WEB4};

/// By what packets to the port are forwarded.
const COUNTERS: &str = "table inet transit {
    counter blue { }
    counter other { }
    chain forward {
        type filter hook forward priority 0;
        udp dport 51820 meta mark 0 iifname { \"blue\", \"blue0\" } counter name blue accept
        udp dport 51820 counter name other
    }
}
";

fn counted(counter: &str) -> u32 {
    let said = here(&format!("nft list counter inet transit {counter}"));
    let number = said.split_whitespace().skip_while(|word| *word != "packets").nth(1);
    number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{said}"))
}

pub fn what_is_in_transit_to_its_port_is_not_the_tunnels() {
    let mut scene = Scene::new();
    scene.make(&format!("{WEB4}:{PEERS}"));
    let settings = ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"];
    settings.iter().for_each(|setting| drop(here(&format!("sysctl -q -w {setting}=1"))));
    for words in [
        "link add blue9 type dummy",
        "link set blue9 master blue",
        "link set blue9 up",
        "addr add 10.77.0.1/24 dev blue9",
        "addr add fd77::1/64 dev blue9 nodad",
        "neigh add 10.77.0.2 lladdr 02:00:00:00:00:09 dev blue9",
        "neigh add fd77::2 lladdr 02:00:00:00:00:09 dev blue9",
        // Of blue itself, on none of its ports.
        "addr add 10.78.0.1/32 dev blue",
    ] {
        scene.world.ip(words);
    }
    for (prefix, via) in [("10.77.0.0/24", OWN4), ("fd77::/64", OWN6), ("10.78.0.1/32", OWN4)] {
        scene.at_peer(Domain::Blue, &format!("ip route add {prefix} via {via}"));
    }
    vrfsetup(&mut scene.world, 0, "tunnel wg0 --in blue");
    let path = scene.world.directory().join("counters");
    std::fs::write(&path, COUNTERS).expect("a file");
    here(&format!("nft -f {}", path.display()));

    for (address, so_far) in [("10.77.0.2", 3), ("fd77::2", 6)] {
        let script = format!("for n in 1 2 3; do echo $n | nc -u -w 1 {address} {PORT}; done");
        let sent = scene.world.at_peer(Domain::Blue, &["sh", "-c", &script]);
        scene.world.judge(&root(sent));
        assert_eq!((counted("blue"), counted("other")), (so_far, 0), "{address}");
    }
    // What is for this machine is the tunnel's, by any of the VRF's addresses.
    scene.assert_in_blue();
    let peer = scene.public(0);
    for endpoint in ["10.78.0.1", "10.77.0.1", "[fd77::1]"] {
        scene.at_peer(Domain::Blue, &format!("wg set wg0 peer {peer} endpoint {endpoint}:{PORT}"));
        let ping = scene.world.at_peer(Domain::Blue, &["ping", "-n", "-i", "0.3", "-c", "2", "-W", "10", INSIDE[0]]);
        let verdict = scene.world.judge(&root(ping));
        let packets = [Domain::Default, Domain::Red].map(|domain| verdict.packets(domain));
        assert_eq!((verdict.code, packets), (0, [0; 2]), "{endpoint}: {verdict}");
    }
    assert_eq!(scene.ping(BEHIND[0], "2", "10").code, 0);
    assert_eq!(counted("other"), 0);
    // Fragments are put together before.
    scene.world.ip("link set wg0 mtu 3000");
    scene.at_peer(Domain::Blue, "ip link set wg0 mtu 3000");
    for address in BEHIND {
        let verdict = scene.world.judge(&root(["ping", "-n", "-s", "2500", "-c", "1", "-W", "10", address]));
        let packets = [Domain::Default, Domain::Red].map(|domain| verdict.packets(domain));
        assert_eq!((verdict.code, packets), (0, [0; 2]), "{verdict}");
    }
    // So is what somebody else's hand has made a port.
    scene.world.ip("link set blue0 nomaster");
    scene.world.ip("link set blue0 master blue");
    scene.world.ip(&format!("addr replace {OWN6}/64 dev blue0 nodad"));
    scene.world.ip("route replace default via 198.51.100.1 dev blue0 table 10");
    scene.world.ip("-6 route replace default via 2001:db8:1::1 dev blue0 table 10");
    scene.assert_in_blue();
    here("nft delete table inet transit");
    settings.iter().for_each(|setting| drop(here(&format!("sysctl -q -w {setting}=0"))));
}

/// Nobody has the port then, and blue says so, as it does of any other port.
pub fn what_comes_while_it_is_down_is_answered_in_blue() {
    let mut scene = Scene::new();
    scene.make(&format!("{WEB4}:{PEERS}"));
    vrfsetup(&mut scene.world, 0, "tunnel wg0 --in blue");
    scene.assert_in_blue();
    for down in ["link set wg0 down", "link del wg0"] {
        scene.world.ip(down);
        for address in [OWN4, OWN6] {
            let script = format!(
                "echo hello | nc -u -v -w 2 {address} {PORT}; timeout 10 bash -c 'exec 3<>/dev/udp/{address}/{PORT}; echo >&3; read -u 3'"
            );
            let sent = scene.world.at_peer(Domain::Blue, &["sh", "-c", &script]);
            let verdict = scene.world.judge(&root(sent));
            let packets = [Domain::Default, Domain::Red].map(|domain| verdict.packets(domain));
            assert_eq!(packets, [0; 2], "{down}: {verdict}");
            assert!(verdict.error_text().contains("Connection refused"), "{down}: {verdict}");
        }
    }
    vrfsetup(&mut scene.world, 0, "tunnel wg0 --remove");
}

/// nft takes the program's socket for the tunnel's; the program does not receive it, and no ICMP error says so elsewhere.
pub fn what_comes_for_a_program_of_blue_leaves_by_nothing_else() {
    let mut scene = Scene::new();
    scene.make(&format!("{WEB4}:{PEERS}"));
    scene.world.ip("link set wg0 down");
    for (command, received) in [("--remove", "hello\n"), ("--in blue", "")] {
        vrfsetup(&mut scene.world, 0, &format!("tunnel wg0 {command}"));
        for (family, address) in [("-4", OWN4), ("-6", OWN6)] {
            let mut listener = scene.world.start(&root(["vrfrun", "blue", "nc", family, "-u", "-l", PORT]));
            wait_for("-lu", &format!("sport = :{PORT}"));
            let script = format!("echo hello | nc -u -w 1 {address} {PORT}");
            let sent = scene.world.at_peer(Domain::Blue, &["sh", "-c", &script]);
            let verdict = scene.world.judge(&root(sent));
            let packets = [Domain::Default, Domain::Red].map(|domain| verdict.packets(domain));
            assert_eq!(packets, [0; 2], "{command} {address}: {verdict}");
            listener.wait_for(received);
            listener.terminate();
            let listener = listener.finish(&mut scene.world);
            assert_eq!(listener.text(), received, "{command} {address}: {listener}");
        }
    }
    vrfsetup(&mut scene.world, 0, "tunnel wg0 --remove");
}

/// What it lets in there comes by lo as well.
pub fn a_firewall_sees_what_a_tunnel_receives_come_in_by_blue() {
    let mut scene = Scene::new();
    scene.make(&format!("{WEB4}:{PEERS}"));
    vrfsetup(&mut scene.world, 0, "tunnel wg0 --in blue");
    let path = scene.world.directory().join("firewall");
    let firewall = |rules: &str| {
        let chain = format!("type filter hook input priority 0; policy drop; {rules}");
        let text = format!("add table inet f\ndelete table inet f\ntable inet f {{\nchain in {{ {chain}; }}\n}}\n");
        std::fs::write(&path, text).expect("a file");
        here(&format!("nft -f {}", path.display()));
    };
    // What this machine has begun is let in.
    firewall("ct state established,related accept; iifname { \"lo\", \"wg0\" } accept; meta l4proto ipv6-icmp accept");
    scene.assert_in_blue();
    firewall("iifname { \"lo\", \"wg0\" } accept; meta l4proto ipv6-icmp accept");
    let verdict = scene.ping(BEHIND[0], "2", "2");
    let packets = [Domain::Default, Domain::Red].map(|domain| verdict.packets(domain));
    assert_eq!((verdict.code, packets), (1, [0; 2]), "{verdict}");
    here("nft delete table inet f");
    scene.assert_in_blue();
    vrfsetup(&mut scene.world, 0, "tunnel wg0 --remove");
}

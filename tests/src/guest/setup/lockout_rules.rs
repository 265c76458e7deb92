//! The lockout guard and the rules that lead a connection: by which port its packets leave is what the kernel makes of them.

use super::guest_tests;
use super::lockout::at_blue;
use super::{assert_same, state, vrfsetup};
use crate::harness::judge::root;
use crate::harness::wait;
use crate::harness::world::{Domain, Kind, World};

guest_tests! {
    a_connection_that_a_rule_leads_is_not_cut_unasked,
    a_session_of_a_transparent_proxy_is_not_cut_unasked,
}

const LISTENS: &str = "
import os, socket as S, sys, time
if 'uidrange' in sys.argv: os.setuid(65534)
own = sys.argv[1]
s = S.socket(S.AF_INET6 if ':' in own else S.AF_INET)
s.setsockopt(S.SOL_SOCKET, S.SO_REUSEADDR, 1)
if 'fwmark' in sys.argv: s.setsockopt(S.SOL_SOCKET, S.SO_MARK, 7)
s.bind((own, 4009)); s.listen(); print('up', flush=True)
c = s.accept()[0]; c.send(b'in'); time.sleep(600)
";
const CONNECTS: &str = "
import socket as S, sys, time
s = S.create_connection((sys.argv[1], 4009), source_address=(sys.argv[2], 0))
print(s.recv(2).decode(), flush=True); time.sleep(600)
";
/// The route that the rules lead to.
const LED: [&str; 2] = [
    "route add default via 192.168.10.9 dev blue0 table 77",
    "-6 route add default via 2001:db8:10::9 dev blue0 table 77",
];

/// The address is the machine's, and the default route another interface's: rules by the socket's port, protocol, mark and user
/// lead to the port. Without them it is in nobody's way there, and in the other interface's.
fn a_connection_that_a_rule_leads_is_not_cut_unasked() {
    let mut world = World::new(Kind::Bare).expect("a world");
    vrfsetup(&mut world, 0, "add blue");
    for words in [
        "addr add 203.0.113.7/32 dev lo",
        "addr add 2001:db8:203::7/128 dev lo nodad",
        "addr add 192.168.10.1/24 dev blue0",
        "addr add 2001:db8:10::1/64 dev blue0 nodad",
        // With a foreign source the kernel asks for a neighbour by this one.
        "addr add fe80::1/64 dev blue0 nodad",
        LED[0],
        LED[1],
    ] {
        world.ip(words);
    }
    for words in [
        "ip addr add 192.168.10.9/24 dev peer0",
        "ip addr add 2001:db8:10::9/64 dev peer0 nodad",
        "ip route add 203.0.113.7 via 192.168.10.1",
        "ip -6 route add 2001:db8:203::7 via 2001:db8:10::1",
    ] {
        at_blue(&mut world, words);
    }
    let (by_packet, by_socket) = (["sport 4009", "ipproto tcp"], ["fwmark 7", "uidrange 65534-65534"]);
    for (family, own, peer, rules) in [
        ("-4", "203.0.113.7", "192.0.2.80", [by_packet, by_socket].concat()),
        ("-6", "2001:db8:203::7", "2001:db8::80", vec![by_packet[0], by_socket[1]]),
    ] {
        let end = if family == "-6" { format!("[{own}]:4009") } else { format!("{own}:4009") };
        let uses = |port: &str| format!(" to {end} uses '{port}' and would break");
        for rule in &rules {
            world.ip(&format!("{family} rule add pref 50 {rule} table 77"));
            let words: Vec<&str> = rule.split(' ').collect();
            let mut server = world.start(&root([&["python3", "-c", LISTENS, own], words.as_slice()].concat()));
            server.wait_for("up");
            let client = world.at_peer(Domain::Blue, &["python3", "-c", CONNECTS, own, peer]);
            let mut client = world.start(&root(client));
            client.wait_for("in");
            let before = state(&world);
            let refused = vrfsetup(&mut world, 1, "attach blue blue0");
            assert!(refused.error_text().contains(&uses("blue0")), "{family} {rule}: {refused}");
            assert_same(&before, &state(&world));
            world.ip(&format!("{family} rule del pref 50"));
            let refused = vrfsetup(&mut world, 1, "attach blue eth0");
            assert!(refused.error_text().contains(&uses("eth0")), "{family} without {rule}: {refused}");
            if rule == &rules[0] {
                vrfsetup(&mut world, 0, "attach blue blue0");
                vrfsetup(&mut world, 0, "detach blue0");
                // A route of another table does not come along.
                LED.iter().for_each(|words| world.ip(words));
            }
            drop((client, server));
        }
    }
}

/// Its own address is another machine's, from which the kernel looks up no route of IPv4. One whose address this machine has
/// lost has none any more.
fn a_session_of_a_transparent_proxy_is_not_cut_unasked() {
    const PROXY: &str = "
import socket as S, sys, time
own, peer, option = sys.argv[1:]
six = ':' in own
s = S.socket(S.AF_INET6 if six else S.AF_INET, S.SOCK_DGRAM)
# IPV6_TRANSPARENT and IP_TRANSPARENT
if option == 'transparent': s.setsockopt(S.IPPROTO_IPV6 if six else S.IPPROTO_IP, 75 if six else 19, 1)
s.bind((own, 4009)); s.connect((peer, 9)); print('up', flush=True)
if option == 'transparent': s.send(b'out')
time.sleep(600)
";
    let mut world = World::new(Kind::Bare).expect("a world");
    vrfsetup(&mut world, 0, "add blue");
    for words in [
        "addr add 192.168.10.1/24 dev blue0",
        "addr add 2001:db8:10::1/64 dev blue0 nodad",
        "addr add 192.168.20.1/24 dev red0",
        "neigh add 192.168.10.9 lladdr 02:00:00:00:00:09 dev blue0",
        "-6 neigh add 2001:db8:10::9 lladdr 02:00:00:00:00:09 dev blue0",
    ] {
        world.ip(words);
    }
    for (own, peer) in [("198.18.7.7", "192.168.10.9"), ("2001:db8:203::7", "2001:db8:10::9")] {
        let sent = |world: &World| world.ip_json("-s link show dev blue0")[0]["stats64"]["tx"]["packets"].as_u64();
        let packets = sent(&world);
        let mut proxy = world.start(&root(["python3", "-c", PROXY, own, peer, "transparent"]));
        proxy.wait_for("up");
        wait::until(|| sent(&world), |now| *now > packets);
        let before = state(&world);
        let refused = vrfsetup(&mut world, 1, "attach blue blue0");
        assert!(refused.error_text().contains("uses 'blue0' and would break"), "{own}: {refused}");
        assert!(refused.error_text().contains(peer), "{own}: {refused}");
        assert_same(&before, &state(&world));
        vrfsetup(&mut world, 0, "attach blue red0");
        vrfsetup(&mut world, 0, "detach red0");
        // Which of the ways it takes, the kernel does not say then.
        world.ip("rule add pref 50 from 198.18.9.0/24 lookup 77");
        let before = state(&world);
        let by_source = vrfsetup(&mut world, if peer.contains('.') { 1 } else { 0 }, "attach blue red0");
        if peer.contains('.') {
            let said =
                format!("to {own}:4009 might break (--force or --confirm SECONDS goes on): cannot read the route to");
            assert!(by_source.error_text().contains(&said), "{by_source}");
            assert_same(&before, &state(&world));
        }
        world.ip("rule del pref 50");
        vrfsetup(&mut world, 0, "detach red0");
        drop(proxy);
    }
    world.ip("addr add 192.168.30.1/24 dev lo");
    let mut lost = world.start(&root(["python3", "-c", PROXY, "192.168.30.1", "192.168.10.9", "usual"]));
    lost.wait_for("up");
    vrfsetup(&mut world, 1, "attach blue blue0");
    world.ip("addr del 192.168.30.1/24 dev lo");
    vrfsetup(&mut world, 0, "attach blue blue0");
    drop(lost);
}

//! IPsec with the keys of an IKE daemon: strongSwan in blue, by the recipe. The same daemon, with the same secret and the same
//! addresses, is in every domain, so that whoever is asked answers.

use super::ipsec::{INNER4, INNER6, inside, made_for_blue};
use super::own_device::{batch, only, ping, recipe};
use super::scene::here;
use crate::harness::judge::{Running, Verdict, root};
use crate::harness::wait;
use crate::harness::world::plan::{OWN4, OWN6, WEB4, WEB6};
use crate::harness::world::{Domain, Kind, World};

/// Another address of the default domain: one that the daemon took from there would be no address of blue.
const ELSEWHERE: &str = "addr flush dev eth0\naddr add 198.51.100.66/24 dev eth0\naddr add 2001:db8:1::66/64 dev eth0 nodad\n\
                         route add default via 198.51.100.1 dev eth0\nroute add default via 2001:db8:1::1 dev eth0\n";
/// What the smallest daemon is made of, and that it says what it does. In Debian 13 all ciphers are in `openssl`; before, each is
/// in a plugin of its own.
const DAEMON: &str = "nonce random openssl aes sha1 sha2 hmac kdf gmp kernel-netlink socket-default vici";
const UP: &str = "loaded plugins";

/// A daemon's files and the place where it is asked.
struct Daemon {
    settings: String,
    connections: String,
    uri: String,
}

impl Daemon {
    fn new(world: &World, name: &str, connections: &str) -> Self {
        let path = |kind: &str| world.directory().join(format!("{name}.{kind}")).display().to_string();
        let uri = format!("unix://{}", path("vici"));
        let daemon = Self { settings: path("settings"), connections: path("connections"), uri };
        let Self { settings, uri, .. } = &daemon;
        let log = "filelog {\nout {\npath = /proc/self/fd/1\ndefault = 1\nflush_line = yes\n}\n}";
        let text = format!(
            "charon {{\nload = {DAEMON}\n{log}\nplugins {{\nvici {{\nsocket = {uri}\n}}\n}}\n}}\nswanctl {{\nload = random\n}}\n"
        );
        std::fs::write(settings, text).expect("a file");
        let secret = "secrets {\nike {\nsecret = test\n}\n}\n";
        std::fs::write(&daemon.connections, format!("{connections}{secret}")).expect("a file");
        daemon
    }

    /// Starts it by these words and has it know its connections.
    fn start(&self, world: &mut World, words: Vec<String>) -> Running {
        let mut running = world.start(&root(words).env("STRONGSWAN_CONF", &self.settings));
        running.wait_for(UP);
        self.ask(world, &format!("--load-all --file {}", self.connections));
        running
    }

    /// None of what is said about it leaves by another domain than blue.
    #[track_caller]
    fn ask(&self, world: &mut World, what: &str) -> Verdict {
        let words = format!("swanctl {what} --uri {}", self.uri);
        let said = world.judge(&root(words.split(' ')).env("STRONGSWAN_CONF", &self.settings));
        only(&said, Domain::Blue, 0);
        said
    }

    /// Handshakes with blue's far end.
    #[track_caller]
    fn speak(&self, world: &mut World, connection: &str) {
        let said = self.ask(world, &format!("--initiate --child net --ike {connection}"));
        assert!(said.packets(Domain::Blue) >= 2, "{said}");
    }
}

/// The recipe's connection.
fn office() -> &'static str {
    let page = include_str!("../../../../../docs/recipes.md");
    let section = page.split("\n## ").find(|section| section.starts_with("An IPsec tunnel")).expect("a section");
    section.split("```\n").find(|block| block.starts_with("connections {")).expect("a connection")
}

/// One end's connections: the recipe's by IPv4, with ESP in UDP as behind NAT, and the same by IPv6, without.
fn connections(own: &str, far: &str, more: fn(&str) -> String) -> String {
    let shared = |name: &str, more: &str| {
        format!(
            "connections {{\n{name} {{\nversion = 2\nproposals = aes128-sha256-modp2048\n{more}\nlocal {{\nauth = psk\nid = {own}\n}}\n\
             remote {{\nauth = psk\nid = {far}\n}}\nchildren {{\nnet {{\nesp_proposals = aes128-sha256\n}}\n}}\n}}\n}}\n"
        )
    };
    let four = more(office());
    let six = [(OWN4, OWN6), (&WEB4.to_string(), &WEB6.to_string()), (INNER4[0], INNER6[0]), (INNER4[1], INNER6[1])]
        .into_iter()
        .fold(four.replace("office", "office6"), |text, (from, to)| text.replace(from, to));
    four + &shared("office", "encap = yes") + &six + &shared("office6", "")
}

/// The far end has the recipe's connection the other way round, and no mark.
fn turned(text: &str) -> String {
    let turn = |line: &str| match line.trim_start().split_once(['_', ' ']) {
        Some(("local", rest)) => format!("remote_{rest}\n"),
        Some(("remote", rest)) => format!("local_{rest}\n"),
        Some(("set", _)) => String::new(),
        _ => format!("{line}\n"),
    };
    text.lines().map(turn).collect()
}

/// Data goes to blue's far end and comes back, whoever speaks first, and the packets around it are these.
#[track_caller]
fn assert_in_blue(world: &mut World, inner: [&str; 2], around: &str) {
    let said = ping(world, None, inner[1], "2");
    only(&said, Domain::Blue, 0);
    let flows = &said.tallies[Domain::Blue as usize].flows;
    assert!(flows.keys().any(|flow| flow.contains(around)), "{around}: {said}");
    only(&ping(world, Some(Domain::Blue), inner[0], "1"), Domain::Blue, 0);
}

pub fn strongswan_in_blue_speaks_to_blues_far_end_alone_and_follows_it() {
    let mut world = World::new(Kind::Vrfs).expect("a world");
    batch(&world, None, ELSEWHERE);
    let commands = recipe("An IPsec tunnel");
    commands[1..3].iter().for_each(|command| drop(here(command)));
    batch(&world, None, &(made_for_blue(INNER4) + &inside(INNER6)));
    let far = format!("link add t0 type xfrm if_id 7\n{}", inside([INNER4[1], INNER4[0]]));
    // The address by which it is asked is the one that it sends from, as long as it has no other.
    let sent_from = |address: &str| format!("route replace {OWN4}/32 dev peer0 src {address}\n");
    let web4 = WEB4.to_string();
    let mut running = Vec::new();
    let ends: Vec<Daemon> = Domain::ALL
        .into_iter()
        .map(|domain| {
            batch(&world, Some(domain), &(far.clone() + &inside([INNER6[1], INNER6[0]]) + &sent_from(&web4)));
            let daemon = Daemon::new(&world, domain.name(), &connections("far", "own", turned));
            let words = world.at_peer(domain, &["charon-systemd"]);
            running.push(daemon.start(&mut world, words));
            daemon
        })
        .collect();
    let own = Daemon::new(&world, "own", &connections("own", "far", str::to_owned));
    let command = commands[3].split(' ').map(str::to_owned).collect();
    running.push(own.start(&mut world, command));

    // This end speaks first.
    for (name, inner, around) in
        [("office6", INNER6, "protocol-50 2001:db8::80"), ("office", INNER4, "udp 192.0.2.80 4500")]
    {
        own.speak(&mut world, name);
        assert_in_blue(&mut world, inner, around);
    }
    // The far end does, and goes on from another address.
    own.ask(&mut world, "--terminate --ike office");
    ends[Domain::Blue as usize].speak(&mut world, "office");
    assert_in_blue(&mut world, INNER4, "udp 192.0.2.80 4500");
    // It tries each way that it has: by IPv6 there is none any more.
    let only4 = "addr del 2001:db8:1::1/64 dev peer0\naddr add 198.51.100.9/24 dev peer0\n";
    let roams = format!("{only4}{}", sent_from("198.51.100.9"));
    batch(&world, Some(Domain::Blue), &roams);
    let states = [world.at_peer(Domain::Blue, &["ip", "xfrm", "state"]).join(" "), "ip xfrm state".to_owned()];
    let both = [format!("src 198.51.100.9 dst {OWN4}\n"), format!("src {OWN4} dst 198.51.100.9\n")];
    for command in states {
        wait::until(|| here(&command), |shown| both.iter().all(|ends| shown.contains(ends)));
    }
    assert_in_blue(&mut world, INNER4, "udp 198.51.100.9 4500");
    for mut one in running {
        one.terminate();
        one.finish(&mut world);
    }
}

//! The machine's tunnel, and the same peer in every domain.

use std::process::Command;

use crate::harness::judge::{Verdict, root};
use crate::harness::wait;
use crate::harness::world::{Domain, Kind, World};

/// The ports on the outside: this machine's, as on the page, and the peers'.
pub const PORT: &str = "51820";
pub const PEERS: &str = "5000";
/// Addresses on the inside, of this machine and of the peers.
pub const INSIDE: [&str; 2] = ["10.9.0.1", "fd09::1"];
pub const BEHIND: [&str; 2] = ["10.9.0.2", "fd09::2"];
const LENGTHS: [u8; 2] = [24, 64];

pub struct Scene {
    pub world: World,
    keys: [String; 2],
}

#[track_caller]
fn run(words: &[String]) -> String {
    let output =
        Command::new(&words[0]).args(&words[1..]).output().unwrap_or_else(|error| panic!("{words:?}: {error}"));
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[track_caller]
pub fn here(words: &str) -> String {
    run(&words.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
}

impl Scene {
    pub fn new() -> Self {
        let world = World::new(Kind::Vrfs).expect("a world");
        let keys = ["machine", "peers"].map(|name| {
            let path = world.directory().join(name);
            std::fs::write(&path, here("wg genkey")).expect("a key");
            path.display().to_string()
        });
        let scene = Self { world, keys };
        let allowed = INSIDE.join(",");
        for domain in Domain::ALL {
            scene.at_peer(domain, "ip link add wg0 type wireguard");
            scene.at_peer(domain, &format!("wg set wg0 private-key {} listen-port {PEERS}", scene.keys[1]));
            scene.at_peer(domain, &format!("wg set wg0 peer {} allowed-ips {allowed}", scene.public(0)));
            for (address, length) in BEHIND.into_iter().zip(LENGTHS) {
                scene.at_peer(domain, &format!("ip addr add {address}/{length} dev wg0 nodad"));
            }
            scene.at_peer(domain, "ip link set wg0 up");
        }
        scene
    }

    #[track_caller]
    pub fn at_peer(&self, domain: Domain, words: &str) -> String {
        run(&self.world.at_peer(domain, &words.split_whitespace().collect::<Vec<_>>()))
    }

    pub fn private(&self) -> String {
        std::fs::read_to_string(&self.keys[0]).expect("a key")
    }

    /// The public key of this machine, or of the peers.
    pub fn public(&self, whose: usize) -> String {
        run(&["sh", "-c", &format!("wg pubkey < {}", self.keys[whose])].map(str::to_owned))
    }

    /// The interface, made again: of who was reached before nothing is known any more.
    pub fn make(&self, endpoint: &str) {
        let _ = Command::new("ip").args(["link", "del", "wg0"]).output();
        here("ip link add wg0 type wireguard");
        here(&format!("wg set wg0 private-key {} listen-port {PORT}", self.keys[0]));
        let peer = self.public(1);
        here(&format!("wg set wg0 peer {peer} endpoint {endpoint} allowed-ips {}", BEHIND.join(",")));
        for (address, length) in INSIDE.into_iter().zip(LENGTHS) {
            here(&format!("ip addr add {address}/{length} dev wg0 nodad"));
        }
        here("ip link set wg0 up");
    }

    pub fn ping(&mut self, address: &str, tries: &str, seconds: &str) -> Verdict {
        self.world.judge(&root(["ping", "-n", "-i", "0.3", "-c", tries, "-W", seconds, address]))
    }

    /// Data goes to blue's peer and comes back, and nobody else sees any of it.
    #[track_caller]
    pub fn assert_in_blue(&mut self) {
        for address in BEHIND {
            let before = self.transfer();
            let verdict = self.ping(address, "3", "10");
            assert_eq!(
                (verdict.code, verdict.packets(Domain::Default), verdict.packets(Domain::Red)),
                (0, 0, 0),
                "{verdict}"
            );
            assert!(verdict.packets(Domain::Blue) >= 6, "three within and three around them: {verdict}");
            let after = self.transfer();
            assert!(after.iter().zip(before).all(|(after, before)| *after >= before + 3 * 96), "{before:?} {after:?}");
        }
    }

    /// What blue's peer has received and sent, by its own count.
    fn transfer(&self) -> [u64; 2] {
        let said = self.at_peer(Domain::Blue, "wg show wg0 transfer");
        let numbers: Vec<u64> = said.split_whitespace().skip(1).map(|word| word.parse().expect("a number")).collect();
        [numbers[0], numbers[1]]
    }

    #[track_caller]
    pub fn assert_endpoint(&self, endpoint: &str) {
        let said = here("wg show wg0 endpoints");
        assert!(said.ends_with(&format!("\t{endpoint}")), "{said}");
    }

    /// That neither the default domain's peer nor red's has ever shaken hands.
    #[track_caller]
    pub fn assert_strangers(&self, domains: &[Domain]) {
        for domain in domains {
            let said = self.at_peer(*domain, "wg show wg0 latest-handshakes");
            assert!(said.ends_with("\t0"), "{domain:?}: {said}");
        }
    }
}

pub fn tables() -> String {
    here("nft -s list ruleset")
}

/// Until ss(8) shows such a socket.
pub fn wait_for(option: &str, words: &str) {
    wait::until(|| here(&format!("ss -Htn {option} {words}")), |shown| !shown.is_empty());
}

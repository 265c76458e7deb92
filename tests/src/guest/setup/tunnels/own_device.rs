//! Tunnels that have a device of their own for their outside, and no socket: GRE, IPIP, SIT and those around IPv6. The same
//! far end, with the same addresses, is in every domain.

use super::scene::{here, tables};
use super::{json, nothing_to_do, vrfsetup};
use crate::harness::judge::{Verdict, root};
use crate::harness::world::plan::{OWN4, OWN6, WEB4, WEB6};
use crate::harness::world::{Domain, Kind, World};

/// A kind, in iproute2's word, and what it is made with beside its ends.
struct Tunnel {
    kind: &'static str,
    more: &'static str,
    /// The ends on the outside, this machine's first.
    outer: [String; 2],
    /// The same on the inside.
    inner: [&'static str; 2],
}

/// Without a look at sequence numbers, of which each domain's far end has its own.
const ERSPAN: &str = "oseq key 30 erspan_ver 1 erspan 5";
const INNER4: [&str; 2] = ["10.8.0.1", "10.8.0.2"];
const INNER6: [&str; 2] = ["fd08::1", "fd08::2"];

fn around4(kind: &'static str, inner: [&'static str; 2]) -> Tunnel {
    Tunnel { kind, more: "", outer: [OWN4.to_owned(), WEB4.to_string()], inner }
}

fn around6(kind: &'static str, more: &'static str, inner: [&'static str; 2]) -> Tunnel {
    Tunnel { kind, more, outer: [OWN6.to_owned(), WEB6.to_string()], inner }
}

/// One end, as a script. No interface has an address: one that joins a multicast group says so through the tunnel.
fn end(Tunnel { kind, more, .. }: &Tunnel, name: &str, outer: [&str; 2], inner: [&str; 2]) -> String {
    let bits = if inner[0].contains(':') { 128 } else { 32 };
    let nodad = if bits == 128 { "nodad" } else { "" };
    format!(
        "link add {name} type {kind} {more} local {} remote {}\nlink set {name} addrgenmode none\nlink set {name} up\n\
         addr replace {}/{bits} dev lo {nodad}\nroute replace {}/{bits} dev {name} src {}\n",
        outer[0], outer[1], inner[0], inner[1], inner[0]
    )
}

/// Runs a script by `ip -batch`, at a domain's far end or here.
#[track_caller]
pub fn batch(world: &World, domain: Option<Domain>, script: &str) {
    let path = world.directory().join("batch");
    std::fs::write(&path, script).expect("a script");
    let path = path.display().to_string();
    match domain {
        Some(domain) => here(&world.at_peer(domain, &["ip", "-batch", &path]).join(" ")),
        None => here(&format!("ip -batch {path}")),
    };
}

impl Tunnel {
    /// Makes both ends, the far one in every domain.
    fn make(&self, world: &World) {
        let ([own, far], [inside, behind]) = ([&*self.outer[0], &*self.outer[1]], self.inner);
        // Where the inside is Ethernet, a neighbour that is known already is the same in each domain.
        let is_ethernet = self.kind.ends_with("tap") || self.kind.ends_with("erspan");
        let address = if is_ethernet { "link set t0 address 02:00:00:00:08:02\n" } else { "" };
        for domain in Domain::ALL {
            batch(world, Some(domain), &(end(self, "t0", [far, own], [behind, inside]) + address));
        }
        batch(world, None, &end(self, "t0", [own, far], [inside, behind]));
    }

    fn remove(world: &World) {
        for domain in Domain::ALL.map(Some).into_iter().chain([None]) {
            batch(world, domain, "link del t0\n");
        }
    }

    /// Data goes to this domain's peer and comes back, whoever speaks first, and no other sees any of it.
    #[track_caller]
    fn assert_in(&self, world: &mut World, domain: Domain) {
        let said = ping(world, None, self.inner[1], "2");
        only(&said, domain, 0);
        assert!(said.packets(domain) >= 4, "{}: two within and two around them: {said}", self.kind);
        only(&ping(world, Some(domain), self.inner[0], "1"), domain, 0);
    }
}

/// Pings from a domain's far end, or from here.
pub fn ping(world: &mut World, from: Option<Domain>, address: &str, tries: &str) -> Verdict {
    // Red is never answered.
    let seconds = if from == Some(Domain::Red) { "1" } else { "10" };
    let words = ["ping", "-n", "-i", "0.2", "-c", tries, "-W", seconds, address];
    let words = from.map_or_else(|| words.map(str::to_owned).to_vec(), |domain| world.at_peer(domain, &words));
    world.judge(&root(words))
}

#[track_caller]
pub fn only(verdict: &Verdict, domain: Domain, code: i32) {
    let others = Domain::ALL.into_iter().filter(|other| *other != domain);
    let elsewhere: Vec<u64> = others.map(|other| verdict.packets(other)).collect();
    assert_eq!((verdict.code, elsewhere), (code, vec![0, 0]), "{verdict}");
}

/// vrfsetup does not delete a VRF that the tunnel needs.
#[track_caller]
pub fn refused_without(world: &mut World, vrf: &str, hint: &str) {
    let refused = vrfsetup(world, 1, &format!("del {vrf}"));
    let why = format!("without '{vrf}', tunnels whose outside it is would send by the default domain, or nowhere: t0");
    refused.assert_says(1, &why);
    refused.assert_says(1, &format!("hint: {hint}"));
}

#[track_caller]
pub fn assert_nothing_leaves(world: &mut World, address: &str) {
    let said = world.judge(&root(["ping", "-n", "-c", "1", "-W", "1", address]));
    assert_eq!((said.code != 0, Domain::ALL.map(|domain| said.packets(domain))), (true, [0; 3]), "{said}");
}

/// What has come out of the tunnel so far.
pub fn received(world: &World) -> u64 {
    world.ip_json("-s link show t0")[0]["stats64"]["rx"]["packets"].as_u64().expect("a count")
}

/// What `ip -d link` tells of the tunnel, but for the device that it names.
fn told(world: &World) -> (serde_json::Value, String) {
    let mut told = world.ip_json("-d link show t0")[0].clone();
    let object = told.as_object_mut().expect("an interface");
    object["linkinfo"]["info_data"].as_object_mut().expect("a tunnel").remove("link");
    let named = object.remove("link").map(|name| name.as_str().unwrap_or_default().to_owned());
    (told, named.unwrap_or_default())
}

/// Into blue by vrfsetup, which changes nothing else, and what is listed then.
#[track_caller]
fn put_into_blue(world: &mut World, kind: &str) {
    let before = told(world);
    let to_do = vrfsetup(world, 3, "tunnel t0 --in blue --dry-run").text();
    assert!(to_do.contains(&format!("ip link change t0 type {kind} dev blue\n")), "{to_do}");
    assert_eq!(told(world), before);
    vrfsetup(world, 0, "tunnel t0 --in blue");
    assert_eq!(told(world), (before.0, "blue".to_owned()));
    nothing_to_do(world, "tunnel t0 --in blue");
    let listed = serde_json::json!({"tunnel": "t0", "vrf": "blue", "kind": kind, "dev": "blue", "differs": false});
    assert_eq!(json(&vrfsetup(world, 0, "-j tunnel")), serde_json::json!([listed]));
}

pub fn tunnels_around_ipv4_are_put_into_blue_and_back() {
    let [gre, gretap, ipip] = ["gre", "gretap", "ipip"].map(|kind| around4(kind, INNER4));
    let erspan = Tunnel { more: ERSPAN, ..around4("erspan", INNER4) };
    follow_their_devices(&[gre, gretap, ipip, around4("sit", INNER6), erspan]);
}

pub fn tunnels_around_ipv6_are_put_into_blue_and_back() {
    let [gre, gretap] = ["ip6gre", "ip6gretap"].map(|kind| around6(kind, "", INNER4));
    let erspan = around6("ip6erspan", ERSPAN, INNER4);
    follow_their_devices(&[gre, gretap, around6("ip6tnl", "mode any", INNER6), erspan]);
}

/// Into blue while they are there, and back.
fn follow_their_devices(tunnels: &[Tunnel]) {
    let mut world = World::new(Kind::Vrfs).expect("a world");
    for domain in Domain::ALL {
        // What is asked for from an address of another interface is asked by this one.
        batch(&world, Some(domain), "addr add fe80::1/64 dev peer0 nodad\n");
    }
    here("ip -6 rule add pref 1001 fwmark 0x51 unreachable");
    for tunnel in tunnels {
        tunnel.make(&world);
        tunnel.assert_in(&mut world, Domain::Default);
        let before = told(&world);
        put_into_blue(&mut world, tunnel.kind);
        tunnel.assert_in(&mut world, Domain::Blue);
        refused_without(&mut world, "blue", "vrfsetup tunnel t0 --remove");
        vrfsetup(&mut world, 0, "tunnel t0 --remove");
        assert_eq!(told(&world), before);
        nothing_to_do(&mut world, "tunnel t0 --remove");
        tunnel.assert_in(&mut world, Domain::Default);
        // Without its VRF nothing leaves by it.
        here("ip link add green type vrf table 30");
        here(&format!("ip link change t0 type {} dev green", tunnel.kind));
        if tunnel.outer[0].contains(':') {
            // Around IPv6 the kernel would take any other way: what has this mark is stopped.
            here(&format!("ip link change t0 type {} fwmark 0x51", tunnel.kind));
        }
        here("ip link del green");
        // Of what an ip6erspan carries the kernel gives the mark to IP alone, and not to ARP.
        if tunnel.kind != "ip6erspan" {
            assert_nothing_leaves(&mut world, tunnel.inner[1]);
        }
        Tunnel::remove(&world);
    }
}

/// The commands of a recipe, without their prompt.
pub fn recipe(title: &str) -> Vec<&'static str> {
    let page = include_str!("../../../../../docs/recipes.md");
    let section = page.split("\n## ").find(|section| section.starts_with(title)).expect("a section");
    section.lines().filter_map(|line| line.strip_prefix("# ")).collect()
}

pub fn a_gre_tunnel_in_blue_hears_nobody_else_and_is_undone() {
    let mut world = World::new(Kind::Vrfs).expect("a world");
    let tunnel = around4("gre", INNER4);
    tunnel.make(&world);
    let commands: Vec<String> = recipe("A GRE tunnel").iter().map(|command| command.replace("gre1", "t0")).collect();
    let [put, list, refuse @ .., back, delete, end] = &commands[..] else { panic!("{commands:?}") };
    run(&mut world, put);
    assert_eq!(run(&mut world, list), "t0: outside in blue, gre, dev blue\n");
    tunnel.assert_in(&mut world, Domain::Blue);

    // The kernel takes what comes from the same address elsewhere, and the answer goes to blue.
    let heard = |world: &mut World| {
        let before = received(world);
        let said = ping(world, Some(Domain::Red), INNER4[0], "1");
        assert_eq!((said.code, said.packets(Domain::Red)), (1, 0), "{said}");
        received(world) - before
    };
    assert_eq!(heard(&mut world), 1);
    for command in refuse {
        run(&mut world, command);
    }
    assert_eq!(heard(&mut world), 0);
    tunnel.assert_in(&mut world, Domain::Blue);
    here("ip -6 rule add pref 1001 fwmark 0x51 unreachable");
    for command in [back, delete, end] {
        run(&mut world, command);
    }
    assert_eq!((tables().as_str(), here("ip -6 rule show pref 1001").as_str()), ("", ""));
    tunnel.assert_in(&mut world, Domain::Default);

    // Unless the other VRF has a tunnel of its own with these ends.
    run(&mut world, put);
    here(&format!("ip link add t1 type gre local {OWN4} remote {WEB4} dev red"));
    batch(&world, None, "link set t1 addrgenmode none\nlink set t1 up\n");
    assert_eq!(heard(&mut world), 0);
    tunnel.assert_in(&mut world, Domain::Blue);

    refused_without(&mut world, "blue", "vrfsetup tunnel t0 --remove");
    here("ip link del blue");
    assert_nothing_leaves(&mut world, INNER4[1]);
}

/// A recipe's command, and what it prints.
#[track_caller]
fn run(world: &mut World, command: &str) -> String {
    match command.strip_prefix("vrfsetup ") {
        Some(words) => vrfsetup(world, 0, words).text(),
        None => {
            let said = std::process::Command::new("sh").args(["-c", command]).output().expect("sh");
            assert!(said.status.success(), "{command}: {}", String::from_utf8_lossy(&said.stderr));
            String::from_utf8_lossy(&said.stdout).into_owned()
        }
    }
}

//! OpenVPN, whose outside is a socket of its own: a program in blue. The same server, with the same key, is in every domain.

use super::own_device::{batch, only, ping, recipe};
use super::scene::here;
use crate::harness::judge::root;
use crate::harness::world::plan::{OWN4, WEB4, WEB6};
use crate::harness::world::{Domain, Kind, World};

const INNER: [&str; 2] = ["10.8.0.1", "10.8.0.2"];

/// A key for both ends, and a file with what both have in common.
fn write_files(world: &World) -> String {
    let path = |name: &str| world.directory().join(name).display().to_string();
    let (key, certificate, common) = (path("key"), path("certificate"), path("common.conf"));
    here(&format!(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -days 9999 -subj /CN=test \
         -keyout {key} -out {certificate}"
    ));
    let said = here(&format!("openssl x509 -noout -fingerprint -sha256 -in {certificate}"));
    let (_, fingerprint) = said.split_once('=').expect("a fingerprint");
    let lines = format!("dev tun\nkey {key}\ncert {certificate}\npeer-fingerprint {fingerprint}\nverb 3\n");
    std::fs::write(&common, lines).expect("a file");
    common
}

const UP: &str = "Initialization Sequence Completed";

pub fn openvpn_reaches_blues_server_alone() {
    let mut world = World::new(Kind::Vrfs).expect("a world");
    // Makes /dev/net/tun, too.
    here("modprobe tun");
    let common = write_files(&world);
    let command = recipe("An OpenVPN tunnel")[0].split(" --config ").next().expect("a command").to_owned();
    assert_eq!(command, "vrfrun blue openvpn");
    let words = |line: String| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    for (protocol, web) in [("udp", WEB4.to_string()), ("udp6", WEB6.to_string())] {
        let [inside, behind] = INNER;
        let server = format!(
            "openvpn --config {common} --proto {protocol} --local {web} --tls-server --dh none --ifconfig {behind} {inside}"
        );
        let servers = Domain::ALL.map(|domain| world.at_peer(domain, &server.split(' ').collect::<Vec<_>>()));
        let mut running = Vec::from(servers.map(|server| world.start(&root(server))));
        running.push(world.start(&root(words(format!(
            "{command} --config {common} --proto {protocol} --tls-client --remote {web} --ifconfig {inside} {behind}"
        )))));
        for which in [Domain::Blue as usize, Domain::ALL.len()] {
            running[which].wait_for(UP);
        }
        // Since the client was started.
        let [default, blue, red] = world.take().expect("counts").map(|tally| tally.packets());
        assert!((default, red) == (0, 0) && blue > 0, "{protocol}: the handshake: {default} {blue} {red}");
        only(&ping(&mut world, None, behind, "2"), Domain::Blue, 0);
        only(&ping(&mut world, Some(Domain::Blue), inside, "1"), Domain::Blue, 0);
        for mut one in running {
            one.terminate();
            one.finish(&mut world);
        }
    }
}

pub fn openvpn_follows_a_client_that_roams_within_blue() {
    let mut world = World::new(Kind::Vrfs).expect("a world");
    here("modprobe tun");
    let common = write_files(&world);
    let [inside, behind] = INNER;
    let start = |world: &mut World, words: Vec<String>| {
        let mut running = world.start(&root(words));
        running.wait_for(UP);
        running
    };
    let words = |line: String| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let server =
        format!("vrfrun blue openvpn --config {common} --topology subnet --server 10.8.0.0 255.255.255.0 --dh none");
    let mut running = vec![start(&mut world, words(server))];
    // The client sends from the address that its route names.
    let moved = |address: &str| format!("route replace {OWN4}/32 dev peer0 src {address}\n");
    batch(&world, Some(Domain::Blue), &moved(&WEB4.to_string()));
    let client = format!("openvpn --config {common} --tls-client --pull --nobind --remote {OWN4}");
    let client = world.at_peer(Domain::Blue, &client.split(' ').collect::<Vec<_>>());
    running.push(start(&mut world, client));
    for address in [WEB4.to_string(), "198.51.100.9".to_owned()] {
        if address != WEB4.to_string() {
            batch(&world, Some(Domain::Blue), &format!("addr add {address}/24 dev peer0\n{}", moved(&address)));
        }
        only(&ping(&mut world, Some(Domain::Blue), inside, "1"), Domain::Blue, 0);
        let said = ping(&mut world, None, behind, "2");
        only(&said, Domain::Blue, 0);
        let outer = said.tallies[Domain::Blue as usize].flows.keys().filter(|flow| flow.starts_with("udp "));
        let there = outer.clone().filter(|flow| flow.starts_with(&format!("udp {address} "))).count();
        assert!(there > 0 && there == outer.count(), "{address}: {said}");
    }
    for mut one in running {
        one.terminate();
        one.finish(&mut world);
    }
}

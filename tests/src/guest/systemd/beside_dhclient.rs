//! dhclient, which knows of no VRF: with a lease whose interface goes into one, and started in one.

use super::beside::{assert_untouched, quiet, wait_for_address};
use super::guest_tests;
use super::machine::Machine;
use crate::guest::setup::rules::assert_vrf_holds;
use crate::guest::setup::{json, vrfsetup};
use crate::harness::judge::{Running, root};
use crate::harness::wait;
use crate::harness::world::{Domain, World};

guest_tests! {
    a_lease_goes_into_the_vrf_and_is_renewed_there,
    its_default_route_beside_the_vrf_is_found,
}

/// What the server has to give: one address.
pub const LEASED: &str = "198.51.100.77";

/// blue with its port, which has no address of IPv4 any more, and a server behind it.
pub fn with_server() -> (Machine, Running) {
    let mut world = quiet();
    vrfsetup(&mut world, 0, "rules fix");
    world.ip("-4 addr flush dev blue0");
    let server = server(&mut world);
    (world, server)
}

/// One that knows of no lease yet.
pub fn server(world: &mut World) -> Running {
    let options = "--conf-file=/dev/null --keep-in-foreground --port=0 --interface=peer0 --bind-interfaces --leasefile-ro \
                   --pid-file= --user=root --dhcp-authoritative --dhcp-range=198.51.100.77,198.51.100.77,2m \
                   --dhcp-option=option:T1,3 --dhcp-option=option:T2,8";
    let words: Vec<&str> = ["dnsmasq"].into_iter().chain(options.split_whitespace()).collect();
    let words = world.at_peer(Domain::Blue, &words);
    world.start(&root(words))
}

pub fn dhclient(world: &mut World, in_blue: bool) -> Running {
    let leases = world.directory().join("leases").display().to_string();
    let own = ["dhclient", "-d", "-1", "-pf", "/dev/null", "-lf", &leases, "blue0"];
    let words = if in_blue { [&["ip", "vrf", "exec", "blue"], &own[..]].concat() } else { own.to_vec() };
    let client = world.start(&root(words));
    wait_for_address(world, "blue0", LEASED);
    client
}

/// The devices of a table's default routes, without the seal.
pub fn defaults(world: &World, table: &str) -> Vec<String> {
    let routes = world.ip_json(&format!("-4 route show table {table} default"));
    let devices = routes.as_array().into_iter().flatten().filter_map(|route| route["dev"].as_str());
    devices.map(str::to_owned).collect()
}

fn seconds_left(world: &World) -> u64 {
    let shown = world.ip_json("-4 addr show dev blue0");
    let lease = shown[0]["addr_info"].as_array().into_iter().flatten().find(|address| address["local"] == LEASED);
    lease.and_then(|lease| lease["valid_life_time"].as_u64()).unwrap_or_else(|| panic!("no lease: {shown}"))
}

/// The lease is longer again than it was.
#[track_caller]
pub fn wait_for_renewal(world: &World) {
    let mut before = u64::MAX;
    wait::until(|| (std::mem::replace(&mut before, seconds_left(world)), before), |(before, left)| left > before);
}

pub fn end<const COUNT: usize>(world: &mut World, programs: [Running; COUNT]) {
    for mut program in programs {
        program.terminate();
        program.finish(world);
    }
}

/// Its requests to the server itself go out by the default domain, and get nowhere; what it asks of all reaches it.
fn a_lease_goes_into_the_vrf_and_is_renewed_there() {
    let (mut world, server) = with_server();
    vrfsetup(&mut world, 0, "detach blue0 --force");
    let client = dhclient(&mut world, false);
    assert!(defaults(&world, "main").contains(&"blue0".to_owned()));
    vrfsetup(&mut world, 0, "attach blue blue0 --force");
    for when in ["the attachment", "the renewal"] {
        assert_eq!((defaults(&world, "10"), defaults(&world, "main")), (vec!["blue0".into()], vec!["eth0".into()]));
        assert_untouched(&world, when);
        wait_for_renewal(&world);
    }
    let exported = vrfsetup(&mut world, 0, "export --format networkd").text();
    assert!(exported.contains("DHCP=ipv4") && !exported.contains(LEASED), "{exported}");
    // Its requests would count as the program's.
    client.hold();
    assert_vrf_holds(&mut world, "dhclient");
    client.resume();
    end(&mut world, [client, server]);
}

/// The script makes the route in main, whatever table the interface has.
fn its_default_route_beside_the_vrf_is_found() {
    for in_blue in [true, false] {
        find_beside(in_blue);
    }
}

fn find_beside(in_blue: bool) {
    let (mut world, server) = with_server();
    let client = dhclient(&mut world, in_blue);
    wait::until(|| defaults(&world, "main"), |defaults| *defaults == ["blue0", "eth0"]);
    let findings = json(&vrfsetup(&mut world, 3, "doctor -j"));
    let beside = findings.as_array().into_iter().flatten().find(|one| one["finding"] == "default-route-by-port");
    let beside = beside.unwrap_or_else(|| panic!("{findings}"));
    assert_eq!(beside["vrf"], "blue");
    let typed = world.judge(&root(["sh", "-ec", beside["fix"].as_str().expect("a line")]));
    assert_eq!(typed.code, 0, "{typed}");
    let findings = json(&vrfsetup(&mut world, 3, "doctor -j"));
    assert!(!findings.to_string().contains("default-route"), "{findings}");
    // It is made with a lease, not with each renewal.
    wait_for_renewal(&world);
    assert_eq!((defaults(&world, "10"), defaults(&world, "main")), (vec!["blue0".into()], vec!["eth0".into()]));
    // Its requests would count as the program's.
    client.hold();
    assert_vrf_holds(&mut world, "dhclient");
    client.resume();
    end(&mut world, [client, server]);
}

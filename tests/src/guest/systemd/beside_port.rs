//! A port that systemd-networkd configures itself: it stays in its VRF, with its routes in the VRF's table, where its own
//! files say so, and otherwise it does not. docs/beside-daemons.md tells what to write.

use std::fs;
use std::path::Path;

use super::beside::{run, sealed, wait_for_address};
use super::guest_tests;
use super::machine::{Machine, systemctl};
use crate::guest::setup::rules::assert_vrf_holds;
use crate::guest::setup::{json, vrfsetup};
use crate::harness::judge::root;
use crate::harness::wait;
use crate::harness::world::Domain;
use crate::harness::world::plan::WEB4;

guest_tests! {
    networkds_port_stays_where_its_file_says_so,
    networkds_port_is_taken_out_by_its_restart_where_it_does_not_know_of_the_vrf,
    networkds_reload_takes_the_port_out_as_well,
    networkds_routes_without_a_table_are_in_main,
}

const NETWORKD: &str = "/etc/systemd/network";
const FILE: &str = "/etc/systemd/network/50-beside.network";

/// blue0's, as no other link has them: networkd does not take a gateway for reachable that eth0 reaches, too.
pub const OWN4: &str = "203.0.113.2";
pub const OWN6: &str = "2001:db8:77::2";
pub const GATEWAY4: &str = "203.0.113.1";
pub const GATEWAY6: &str = "2001:db8:77::1";

/// blue0 outside its VRF, without addresses and routes, for a daemon to configure.
pub fn with_plain_port() -> Machine {
    let mut world = sealed();
    // Without an address it would be no device for NetworkManager 1.42.
    vrfsetup(&mut world, 0, "add blue --table 10");
    assert!(world.ip_json("-4 addr show dev blue").to_string().contains("127.0.0.1"));
    for gateway in [format!("{GATEWAY4}/24"), format!("{GATEWAY6}/64")] {
        let words = world.at_peer(Domain::Blue, &["ip", "addr", "add", &gateway, "dev", "peer0", "nodad"]);
        let added = world.judge(&root(&words));
        assert_eq!(added.code, 0, "{added}");
    }
    world.ip("link set blue0 nomaster");
    world.ip("addr flush dev blue0");
    assert_eq!(place(&world), Place::default());
    world
}

/// Where blue0 is, and its routes that a file gives it: none but those is 'proto static'.
#[derive(Debug, Default, PartialEq)]
pub struct Place {
    master: Option<String>,
    main: Vec<String>,
    blue: Vec<String>,
}

impl Place {
    pub fn of(master: Option<&str>, main: &[&str], blue: &[&str]) -> Self {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Self { master: master.map(str::to_owned), main: owned(main), blue: owned(blue) }
    }

    pub fn in_blue() -> Self {
        Self::of(Some("blue"), &[], &ROUTES)
    }
}

pub const ROUTES: [&str; 3] = ["198.18.0.0/15", "default", "default"];

pub fn place(world: &Machine) -> Place {
    let routes = |table: &str| {
        let of = |family: &str| world.ip_json(&format!("{family} route show table {table} dev blue0 proto static"));
        let both = [of("-4"), of("-6")];
        let all = both.iter().filter_map(serde_json::Value::as_array).flatten();
        let mut all: Vec<String> = all.filter_map(|route| route["dst"].as_str().map(str::to_owned)).collect();
        all.sort();
        all
    };
    let master = world.ip_json("link show dev blue0")[0]["master"].as_str().map(str::to_owned);
    Place { master, main: routes("main"), blue: routes("10") }
}

#[track_caller]
pub fn wait_for(world: &Machine, wanted: &Place) {
    wait::until(|| place(world), |seen| seen == wanted);
    for own in [OWN4, OWN6] {
        wait_for_address(world, "blue0", own);
    }
    // Nothing is sent from an address that the kernel has yet to try.
    wait::until(|| world.ip_json("-6 addr show dev blue0 tentative").to_string(), |left| !left.contains(OWN6));
}

#[track_caller]
pub fn assert_apart(world: &mut Machine, by: &str) {
    assert_vrf_holds(world, by);
    assert_eq!(packets_of_default(world), [true, false], "{by}");
    let said = world.judge(&root(["vrfsetup", "doctor", "-j"])).text();
    assert!(!said.contains("default-route"), "{by}: {said}");
}

fn packets_of_default(world: &mut Machine) -> [bool; 2] {
    let web = WEB4.to_string();
    let verdict = world.judge(&root(["ping", "-n", "-c", "1", "-W", "1", &web]));
    let flow = format!("icmp {web}");
    [Domain::Default, Domain::Blue].map(|domain| verdict.packets_of(domain, &flow) > 0)
}

/// The default routes of main that lead over blue0, one of each family, are found with the line that moves them.
#[track_caller]
pub fn fix_as_doctor_says(world: &mut Machine) {
    let findings = json(&vrfsetup(world, 3, "doctor -j"));
    let by_port = findings.as_array().into_iter().flatten().filter(|one| one["finding"] == "default-route-by-port");
    let fixes: Vec<String> = by_port.filter_map(|one| one["fix"].as_str().map(str::to_owned)).collect();
    assert_eq!(fixes.len(), 2, "{findings}");
    for fix in fixes {
        let typed = world.judge(&root(["sh", "-ec", &fix]));
        assert_eq!(typed.code, 0, "{fix}: {typed}");
    }
}

/// What is declared is missing: `apply` would make blue0 a port again.
#[track_caller]
pub fn assert_apply_would_attach(world: &mut Machine) -> String {
    let path = world.directory().join("vrf.toml").display().to_string();
    fs::write(&path, "[vrf.blue]\ntable = 10\nports = [\"blue0\"]\n").expect("a file");
    let planned = vrfsetup(world, 3, &format!("apply {path} --dry-run --force")).text();
    assert!(planned.contains("ip link set blue0 master blue"), "{planned}");
    planned
}

/// blue0's file: lines of its section Network, and one of each Route.
fn network(lines: &str, of_route: &str, address: &str) -> String {
    let route = |words: &str| format!("\n[Route]\n{words}\n{of_route}\n");
    let routes = [
        route(&format!("Gateway={GATEWAY4}")),
        route(&format!("Gateway={GATEWAY6}")),
        route(&format!("Destination=198.18.0.0/15\nGateway={GATEWAY4}")),
    ];
    let addresses = format!("Address={OWN4}/24\nAddress={OWN6}/64\nAddress={address}/24\n");
    let quiet = "LinkLocalAddressing=no\nIPv6AcceptRA=no\n";
    format!("[Match]\nName=blue0\n\n[Network]\n{lines}\n{quiet}{addresses}{}", routes.concat())
}

fn networkd(world: &mut Machine, lines: &str, of_route: &str) {
    fs::create_dir_all(NETWORKD).expect("a directory");
    fs::write(FILE, network(lines, of_route, "203.0.113.60")).expect("a file");
    systemctl(world, 0, "start systemd-networkd.service");
    wait_until_configured(world);
    let knows = lines.starts_with("VRF=") && Path::new(NETWORKD).join(NETDEV).exists();
    attach(world, &format!("systemd-networkd ({FILE})"), !knows);
}

/// Whoever configures the port is named in one line, unless the VRF stands in the file or the port is there already.
#[track_caller]
pub fn attach(world: &mut Machine, who: &str, is_unaware: bool) {
    let is_there = place(world).master.is_some();
    // networkd sees what has become of its port when all of that is done, and takes nothing out in between.
    let signal = |world: &mut Machine, name: &str| {
        world.judge(&root(["systemctl", "kill", &format!("--signal={name}"), "systemd-networkd.service"]))
    };
    signal(world, "STOP");
    let attached = world.judge(&root(["vrfsetup", "attach", "blue", "blue0", "--force"]));
    signal(world, "CONT");
    assert_eq!(attached.code, 0, "{attached}");
    let said = attached.text();
    let named = said.lines().filter(|line| line.contains(&format!("{who} configures 'blue0'"))).count();
    let expected = (is_there, usize::from(is_unaware && !is_there));
    assert_eq!((said.contains("unchanged: nothing to do"), named), expected, "{said}");
    assert!(named == 1 || !said.contains("configures"), "{said}");
}

/// With another address: a file that is as it was is not looked at.
fn reload_networkd(world: &mut Machine, lines: &str, of_route: &str) {
    fs::write(FILE, network(lines, of_route, "203.0.113.61")).expect("a file");
    run(world, "networkctl reload");
    wait_for_address(world, "blue0", "203.0.113.61");
    wait_until_configured(world);
}

fn restart_networkd(world: &mut Machine) {
    systemctl(world, 0, "restart systemd-networkd.service");
    wait_until_configured(world);
}

/// networkd itself says so: it has set the link's master, its addresses and its routes by then.
fn wait_until_configured(world: &mut Machine) {
    let index = world.ip_json("link show dev blue0")[0]["ifindex"].to_string();
    // A digit is escaped where a label of an object's path begins.
    let (first, rest) = index.split_at(1);
    let link = format!("/org/freedesktop/network1/link/_3{first}{rest}");
    let bus = "org.freedesktop.network1";
    let words = ["busctl", "get-property", bus, &link, &format!("{bus}.Link"), "AdministrativeState"];
    wait::until(|| world.judge(&root(words)).text(), |state| state == "s \"configured\"\n");
}

fn end_networkd(world: &mut Machine) {
    for entry in fs::read_dir(NETWORKD).expect("a directory").flatten() {
        fs::remove_file(entry.path()).expect("the test's file");
    }
    systemctl(world, 0, "stop systemd-networkd.service systemd-networkd.socket");
}

const NETDEV: &str = "50-beside.netdev";

/// networkd knows the VRF by a .netdev file alone.
fn networkds_port_stays_where_its_file_says_so() {
    let mut world = with_plain_port();
    fs::create_dir_all(NETWORKD).expect("a directory");
    let netdev = "[NetDev]\nName=blue\nKind=vrf\n\n[VRF]\nTable=10\n";
    fs::write(Path::new(NETWORKD).join(NETDEV), netdev).expect("a file");
    assert_stays(&mut world, "VRF=blue", "");
}

#[track_caller]
fn assert_stays(world: &mut Machine, lines: &str, of_route: &str) {
    networkd(world, lines, of_route);
    wait_for(world, &Place::in_blue());
    reload_networkd(world, lines, of_route);
    wait_for(world, &Place::in_blue());
    assert_apart(world, "networkctl reload");
    restart_networkd(world);
    wait_for(world, &Place::in_blue());
    assert_apart(world, "the restart");
    end_networkd(world);
}

/// `VRF=` without a .netdev file is as good as nothing.
fn networkds_port_is_taken_out_by_its_restart_where_it_does_not_know_of_the_vrf() {
    for lines in ["", "VRF=blue"] {
        let mut world = with_plain_port();
        networkd(&mut world, lines, "");
        restart_networkd(&mut world);
        assert_taken_out(&mut world);
    }
}

/// 252 does nothing at a reload once it has given up the port, which it may do when that goes into the VRF.
fn networkds_reload_takes_the_port_out_as_well() {
    let mut world = with_plain_port();
    networkd(&mut world, "", "");
    reload_networkd(&mut world, "", "");
    assert_taken_out(&mut world);
}

#[track_caller]
fn assert_taken_out(world: &mut Machine) {
    wait_for(world, &Place::of(None, &ROUTES, &[]));
    let planned = assert_apply_would_attach(world);
    assert!(planned.contains(&format!("systemd-networkd ({FILE}) configures 'blue0'")), "{planned}");
    end_networkd(world);
}

/// `KeepMaster=` keeps the port. Without a table its routes are made in main all the same, and those that were moved are
/// removed: the default domain sends by blue's port.
fn networkds_routes_without_a_table_are_in_main() {
    let mut world = with_plain_port();
    assert_stays(&mut world, "KeepMaster=yes", "Table=10");
    let mut world = with_plain_port();
    networkd(&mut world, "KeepMaster=yes", "");
    restart_networkd(&mut world);
    wait_for(&world, &Place::of(Some("blue"), &ROUTES, &[]));
    assert_eq!(packets_of_default(&mut world), [false, true]);
    fix_as_doctor_says(&mut world);
    wait_for(&world, &Place::of(Some("blue"), &["198.18.0.0/15"], &["default", "default"]));
    assert_eq!(packets_of_default(&mut world), [true, false]);
    end_networkd(&mut world);
}

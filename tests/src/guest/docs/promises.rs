//! What the pages promise of single options and files, each by a second path: packets, `ip -j`, the program's own answer.

use std::fs;
use std::path::Path;

use super::guest_tests;
use crate::guest::run::ways;
use crate::guest::setup::{assert_same, state, vrfsetup};
use crate::harness::judge::{Outcome, Verdict, root};
use crate::harness::wait;
use crate::harness::world::plan::{DNS4, OWN4, WEB4};
use crate::harness::world::{Kind, World};

guest_tests! {
    hosts_and_nsswitch_of_a_vrf_stand_over_the_systems,
    a_table_has_its_vrfs_name_until_the_vrf_goes,
    a_name_that_means_another_table_is_left_alone,
    strict_mode_is_set_holds_and_comes_back,
    raw_l3mdev_accept_is_set_and_comes_back,
    a_vrf_answers_at_its_own_127_0_0_1,
    no_loopback_leaves_it_out,
    a_udp_session_with_another_machine_is_not_cut_unasked,
}

/// Files for the VRF blue in /etc/vrf, for as long as this lives.
struct OwnFiles;

impl OwnFiles {
    fn new(files: &[(&str, &str)]) -> Self {
        fs::create_dir_all("/etc/vrf/blue").expect("a directory");
        for (name, content) in files {
            fs::write(Path::new("/etc/vrf/blue").join(name), content).expect("a file");
            // Only what is there can be covered; a minimal system has no /etc/hosts.
            let over = Path::new("/etc").join(name);
            fs::OpenOptions::new().append(true).create(true).open(over).expect("a file of the system's");
        }
        Self
    }
}

impl Drop for OwnFiles {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all("/etc/vrf");
    }
}

fn hosts_and_nsswitch_of_a_vrf_stand_over_the_systems() {
    let mut world = World::of_machine(Kind::Vrfs).expect("a world");
    let hosts = format!("{WEB4} only-here.example\n");
    let files = OwnFiles::new(&[("hosts", &hosts), ("nsswitch.conf", "hosts: files\n")]);
    for way in ways::ALL {
        let known = world.judge(&way.order(&["getent", "ahostsv4", "only-here.example"]));
        assert!(known.code == 0 && known.text().starts_with(&WEB4.to_string()), "{known}");
        // `hosts: files` asks no server: the name that DNS knows is unknown, and no packet leaves.
        let unknown = world.judge(&way.order(&["getent", "ahosts", "www.vrf.test"]));
        assert_eq!((unknown.code, unknown.outcome), (2, Outcome::Closed), "{unknown}");
    }
    drop(files);
    let outside = world.judge(&root(["getent", "ahostsv4", "only-here.example"]));
    assert!(!outside.text().starts_with(&WEB4.to_string()) || outside.outcome != Outcome::Closed, "{outside}");
    for way in ways::ALL {
        let by_dns = world.judge(&way.order(&["getent", "ahosts", "www.vrf.test"]));
        assert_eq!((by_dns.code, by_dns.outcome), (0, Outcome::Blue), "{by_dns}");
    }
}

const NAMES: &str = "/etc/iproute2/rt_tables.d";

/// Whether `ip` takes the name for a table; it refuses words that it does not know.
fn is_known(world: &mut World, name: &str) -> bool {
    world.judge(&root(["ip", "route", "show", "table", name])).code == 0
}

fn a_table_has_its_vrfs_name_until_the_vrf_goes() {
    let mut world = World::of_machine(Kind::Bare).expect("a world");
    assert!(!is_known(&mut world, "blue"), "an earlier test left a name");
    vrfsetup(&mut world, 0, "add blue --table 4321");
    world.ip("route add unreachable 198.18.0.0/15 table 4321");
    let by_name = world.ip_json("route show table blue");
    assert_eq!(by_name, world.ip_json("route show table 4321"));
    assert!(by_name.to_string().contains("198.18.0.0/15"), "{by_name}");
    vrfsetup(&mut world, 0, "del blue");
    assert!(!is_known(&mut world, "blue"));
    assert!(!Path::new(NAMES).join("vrf-blue.conf").exists());
}

fn a_name_that_means_another_table_is_left_alone() {
    let mut world = World::of_machine(Kind::Bare).expect("a world");
    fs::create_dir_all(NAMES).expect("a directory");
    let foreign = Path::new(NAMES).join("vrftest.conf");
    fs::write(&foreign, "4322 blue\n4323 somebodys\n").expect("a file");
    vrfsetup(&mut world, 0, "add blue --table 4321");
    vrfsetup(&mut world, 0, "add red --table 4323");
    let ours = ["blue", "red"].map(|name| Path::new(NAMES).join(format!("vrf-{name}.conf")).exists());
    let still = fs::read_to_string(&foreign).expect("the file");
    vrfsetup(&mut world, 0, "del blue");
    vrfsetup(&mut world, 0, "del red");
    fs::remove_file(&foreign).expect("the file");
    assert_eq!((ours, still.as_str()), ([false, false], "4322 blue\n4323 somebodys\n"));
}

fn setting(world: &mut World, name: &str) -> String {
    world.judge(&root(["sysctl", "-n", name])).text().trim().to_owned()
}

/// In strict mode the kernel lets no two VRFs share a table.
fn strict_mode_is_set_holds_and_comes_back() {
    let mut world = World::of_machine(Kind::Bare).expect("a world");
    // The setting is there once the module is.
    vrfsetup(&mut world, 0, "add blue --table 4321 --strict-mode on");
    assert_eq!(setting(&mut world, "net.vrf.strict_mode"), "1");
    let second = world.judge(&root(["ip", "link", "add", "second", "type", "vrf", "table", "4321"]));
    assert_ne!(second.code, 0, "{second}");
    vrfsetup(&mut world, 0, "add blue --strict-mode off");
    assert_eq!(setting(&mut world, "net.vrf.strict_mode"), "0");
    vrfsetup(&mut world, 0, "add blue --strict-mode on");
    vrfsetup(&mut world, 0, "del blue");
    assert_eq!(setting(&mut world, "net.vrf.strict_mode"), "0");
}

fn raw_l3mdev_accept_is_set_and_comes_back() {
    const NAME: &str = "net.ipv4.raw_l3mdev_accept";
    let mut world = World::new(Kind::Bare).expect("a world");
    let before = setting(&mut world, NAME);
    let [other, word] = if before == "1" { ["0", "off"] } else { ["1", "on"] };
    vrfsetup(&mut world, 0, &format!("add blue --raw-l3mdev-accept {word}"));
    assert_eq!(setting(&mut world, NAME), other);
    vrfsetup(&mut world, 0, "del blue");
    assert_eq!(setting(&mut world, NAME), before);
}

/// Says "here" to whoever connects to 127.0.0.1, until it is told to end.
const SERVER: &str = "import socket
s = socket.create_server(('127.0.0.1', 4711)); print('up', flush=True)
while True: s.accept()[0].sendall(b'here\\n')";
const CLIENT: &str = "import socket
print(socket.create_connection(('127.0.0.1', 4711), 60).recv(9).decode(), end='')";

fn asks(world: &mut World, before: &[&str]) -> Verdict {
    world.judge(&root(before.iter().copied().chain(["python3", "-c", CLIENT])))
}

const BY_CGROUP: [&str; 4] = ["vrfrun", "-m", "bpf", "blue"];
const BY_SHIM: [&str; 4] = ["vrfrun", "-m", "preload", "blue"];

fn a_vrf_answers_at_its_own_127_0_0_1() {
    let mut world = World::of_machine(Kind::Bare).expect("a world");
    vrfsetup(&mut world, 0, "add blue --port blue0");
    let addresses = world.ip_json("addr show dev blue").to_string();
    assert!(addresses.contains("\"127.0.0.1\"") && addresses.contains("\"::1\""), "{addresses}");
    // Where the local rule comes first, 127.0.0.1 is lo's for everybody.
    vrfsetup(&mut world, 0, "rules fix");
    let mut server = world.start(&root(BY_CGROUP.iter().copied().chain(["python3", "-c", SERVER])));
    server.wait_for("up");
    for way in [BY_CGROUP, BY_SHIM] {
        let inside = asks(&mut world, &way);
        assert_eq!((inside.code, inside.text().as_str()), (0, "here\n"), "{inside}");
    }
    let outside = asks(&mut world, &[]);
    assert!(outside.code != 0 && outside.error_text().contains("refused"), "{outside}");
    drop(server);
    vrfsetup(&mut world, 0, "rules undo");
    vrfsetup(&mut world, 0, "del blue");
}

fn no_loopback_leaves_it_out() {
    let mut world = World::of_machine(Kind::Bare).expect("a world");
    vrfsetup(&mut world, 0, "add blue --port blue0 --no-loopback");
    let addresses = world.ip_json("-4 addr show dev blue").to_string();
    assert!(!addresses.contains("127.0.0.1"), "{addresses}");
    // The default domain's own 127.0.0.1 is not reached instead.
    let mut server = world.start(&root(["python3", "-c", SERVER]));
    server.wait_for("up");
    for way in [BY_CGROUP, BY_SHIM] {
        let inside = asks(&mut world, &way);
        assert!(inside.code != 0 && !inside.text().contains("here"), "{inside}");
    }
    drop(server);
    vrfsetup(&mut world, 0, "del blue");
}

fn a_udp_session_with_another_machine_is_not_cut_unasked() {
    let mut world = World::new(Kind::Bare).expect("a world");
    world.ip("link add first type vrf table 9");
    world.ip("link del first");
    world.ip(&format!("addr add {OWN4}/24 dev blue0"));
    world.ip(&format!("route add {DNS4}/32 via 198.51.100.1 dev blue0"));
    let session = format!("exec 3<>/dev/udp/{DNS4}/7; echo ping >&3; echo sent; sleep 600");
    let mut session = world.start(&root(["bash", "-c", &session]));
    session.wait_for("sent");
    let before = state(&world);
    vrfsetup(&mut world, 1, "add blue --port blue0").assert_says(1, &format!("{DNS4}:7"));
    assert_same(&before, &state(&world));
    vrfsetup(&mut world, 0, "add blue --port blue0 --force");
    vrfsetup(&mut world, 1, "del blue").assert_says(1, &format!("{DNS4}:7"));
    drop(session);
    wait::until(|| world.judge(&root(["vrfsetup", "del", "blue"])), |ended| ended.code == 0);
    assert_same(&before, &state(&world));
}

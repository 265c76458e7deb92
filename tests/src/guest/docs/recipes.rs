//! The recipes of docs/recipes.md, as they stand there: what a reader types is what is run here.

use super::guest_tests;
use crate::harness::judge::{Outcome, root, user};
use crate::harness::wait;
use crate::harness::world::{Domain, Kind, World};

guest_tests! {
    sshd_answers_in_its_vrf_and_not_outside,
    a_vrfs_own_resolver_serves_curl,
    apt_asks_in_the_vrf_only needs [Once],
    two_default_routes_each_with_its_programs,
    a_plain_user_enters_customers_with_the_same_addresses,
}

const CURL: [&str; 3] = ["curl", "-sS", "http://www.vrf.test/"];
/// The first line that a server at this machine's own address says.
const GREETING: &str = "exec 3<>/dev/tcp/198.51.100.2/2222 && head -n 1 <&3";

fn world(kind: Kind) -> World {
    World::of_machine(kind).expect("a world")
}

fn sshd_answers_in_its_vrf_and_not_outside() {
    let mut world = world(Kind::Vrfs);
    world.ip("addr add 127.0.0.1/8 dev blue");
    assert_eq!(world.judge(&root(["vrfsetup", "rules", "fix"])).code, 0);
    std::fs::create_dir_all("/run/sshd").expect("sshd's directory");
    let generated = world.judge(&root(["ssh-keygen", "-A"]));
    assert_eq!(generated.code, 0, "{generated}");
    let mut sshd = world.start(&root(["vrfrun", "blue", "/usr/sbin/sshd", "-D", "-p", "2222"]));
    wait_for_listener("%blue:2222");

    let inside = world.judge(&root(["vrfrun", "blue", "bash", "-c", GREETING]));
    assert!(inside.text().starts_with("SSH-2.0-"), "{inside}");
    let outside = world.judge(&root(["bash", "-c", GREETING]));
    outside.assert_says(1, "Connection refused");
    sshd.terminate();
    sshd.finish(&mut world);
}

/// Until ss(8), which knows nothing of us, shows it.
fn wait_for_listener(address: &str) {
    let listeners = || std::process::Command::new("ss").args(["-Hltn"]).output().expect("ss").stdout;
    wait::until(|| String::from_utf8_lossy(&listeners()).into_owned(), |shown| shown.contains(address));
}

/// A directory of /etc/vrf, gone with this value.
struct EtcVrf(&'static str);

impl EtcVrf {
    fn with_nameserver(vrf: &'static str, nameserver: &str) -> Self {
        let directory = format!("/etc/vrf/{vrf}");
        std::fs::create_dir_all(&directory).expect("a directory of /etc/vrf");
        std::fs::write(format!("{directory}/resolv.conf"), format!("nameserver {nameserver}\n"))
            .expect("a resolv.conf");
        Self(vrf)
    }
}

impl Drop for EtcVrf {
    fn drop(&mut self) {
        // The machine is thrown away after its tests: what could not be removed harms nobody.
        let _ = std::fs::remove_dir_all(format!("/etc/vrf/{}", self.0));
    }
}

fn a_vrfs_own_resolver_serves_curl() {
    let mut world = world(Kind::Vrfs);
    // The machine's own resolver is a stub that no VRF reaches, as systemd-resolved's is.
    world.replace("/etc/resolv.conf", b"nameserver 127.0.0.53\noptions timeout:1 attempts:1\n").expect("a resolv.conf");
    let _files = EtcVrf::with_nameserver("blue", "2001:db8::53");
    for order in [root(["vrfrun", "blue"].iter().chain(&CURL)), user(["vrfrun", "blue"].iter().chain(&CURL))] {
        world.judge(&order).assert_blue();
    }
    let without = world.judge(&root(["vrfrun", "--no-etc", "blue"].iter().chain(&CURL)));
    without.assert_says(6, "Could not resolve host");
}

fn apt_asks_in_the_vrf_only() {
    let mut world = world(Kind::Vrfs);
    let _files = EtcVrf::with_nameserver("blue", "192.0.2.53");
    let list = world.directory().join("sources.list");
    std::fs::write(&list, "deb [trusted=yes] http://www.vrf.test/ ./\n").expect("a sources.list");
    let (list, state) =
        (format!("Dir::Etc::SourceList={}", list.display()), format!("Dir::State={}", world.directory().display()));
    let options = ["-o", &list, "-o", "Dir::Etc::SourceParts=/dev/null", "-o", &state, "-o", "Acquire::Retries=0"];
    let verdict = world.judge(&root(["vrfrun", "blue", "apt-get"].iter().chain(&options).chain(&["update"])));
    // The world's server has no packages; what counts is who was asked.
    assert_eq!(verdict.outcome, Outcome::Blue, "{verdict}");
    assert!(verdict.text().contains("www.vrf.test"), "{verdict}");
}

fn two_default_routes_each_with_its_programs() {
    let mut world = world(Kind::Bare);
    let set_up = world.judge(&root(["vrfsetup", "add", "blue", "--port", "blue0"]));
    assert_eq!(set_up.code, 0, "{set_up}");
    world.ip("addr add 198.51.100.2/24 dev blue0");
    world.ip("route add default via 198.51.100.1 vrf blue");

    let first = world.judge(&root(CURL));
    assert_eq!((first.code, first.answers.as_slice()), (0, [Domain::Default].as_slice()), "{first}");
    world.judge(&root(["vrfrun", "blue"].iter().chain(&CURL))).assert_blue();
    world.judge(&user(["vrfrun", "blue"].iter().chain(&CURL))).assert_blue();
}

fn a_plain_user_enters_customers_with_the_same_addresses() {
    let mut world = world(Kind::Vrfs);
    let by_address = ["curl", "-sS", "http://192.0.2.80/"];
    world.judge(&user(["vrfrun", "blue"].iter().chain(&by_address))).assert_blue();
    let red = world.judge(&user(["vrfrun", "red"].iter().chain(&by_address)));
    assert_eq!((red.code, red.answers.as_slice()), (0, [Domain::Red].as_slice()), "{red}");
    assert_eq!(red.packets(Domain::Default) + red.packets(Domain::Blue), 0, "{red}");
    // Nobody speaks SSH there; who was asked is what counts.
    let ssh = world.judge(&user(["vrfrun", "red", "ssh", "192.0.2.80"]));
    assert!(ssh.packets(Domain::Red) > 0, "{ssh}");
    assert_eq!(ssh.packets(Domain::Default) + ssh.packets(Domain::Blue), 0, "{ssh}");
    let shell = world.judge(&user(["vrfrun", "blue", "bash", "-c", "echo in $VRFRUN_VRF"]));
    assert_eq!(shell.text(), "in blue\n", "{shell}");
}

//! Names beside a real systemd-resolved, which the C library asks through nss-resolve and which answers from outside.

use std::fs;

use super::guest_tests;
use super::machine::{Machine, UNITS as UNIT_FILES, machine, release, systemctl};
use crate::guest::setup::vrfsetup;
use crate::harness::judge::{Verdict, root, user};
use crate::harness::setting::Setting;
use crate::harness::world::plan::{DNS4, NAME, WEB4};
use crate::harness::world::{Domain, Kind};

guest_tests! {
    a_resolved_that_answers_outside_is_asked_nothing,
    the_servers_that_resolved_has_for_a_port_serve_behind_its_stub,
    where_nothing_is_masked_nss_resolve_has_resolved_ask_nobody,
    resolved_asked_for_a_port_gets_no_answer_by_udp_and_leaves_the_vrf_by_tcp,
    what_a_program_asks_of_resolved_by_itself_is_asked_outside_the_vrf,
    a_units_names_are_asked_for_outside_its_vrf,
}

const CONFIGURATION: &str = "/run/systemd/resolved.conf.d/vrftest.conf";
const UNITS: &str = "systemd-resolved.service systemd-resolved-varlink.socket systemd-resolved-monitor.socket";

/// Ends resolved with the test.
struct Resolved(Machine);

impl Resolved {
    fn start() -> Self {
        let mut world = machine(Kind::Vrfs);
        fs::create_dir_all("/run/systemd/resolved.conf.d").expect("a directory");
        let text = format!("[Resolve]\nDNS={DNS4}\nDNSSEC=no\nDNSOverTLS=no\nLLMNR=no\nMulticastDNS=no\n");
        fs::write(CONFIGURATION, text).expect("resolved's configuration");
        world.replace("/etc/nsswitch.conf", b"hosts: resolve [!UNAVAIL=return] dns\n").expect("nsswitch.conf");
        systemctl(&mut world, 0, "start systemd-resolved.service");
        Self(world)
    }

    /// The name's address, as the C library finds it by this way; resolved remembers no answer.
    fn ask(&mut self, is_root: bool, way: &[&str]) -> Verdict {
        let forgotten = self.0.judge(&root(["resolvectl", "flush-caches"]));
        assert_eq!(forgotten.code, 0, "{forgotten}");
        let words = [&["vrfrun"], way, &["blue", "getent", "ahostsv4", NAME]].concat();
        let verdict = self.0.judge(&if is_root { root(words) } else { user(words) });
        assert_eq!(verdict.code, 0, "{verdict}");
        assert!(verdict.text().starts_with(&WEB4.to_string()), "{verdict}");
        verdict
    }
}

impl Drop for Resolved {
    fn drop(&mut self) {
        let _ = fs::remove_file(CONFIGURATION);
        // A unit that this release does not have is none that runs.
        let mut stop = std::process::Command::new("systemctl");
        let _ = stop.arg("stop").args(UNITS.split(' ')).stderr(std::process::Stdio::null()).status();
    }
}

fn a_resolved_that_answers_outside_is_asked_nothing() {
    let mut resolved = Resolved::start();
    let server = DNS4.to_string();
    // It is there, and vrfrun warns where the VRF has no resolv.conf of its own.
    let outside = resolved.0.judge(&root(["getent", "ahostsv4", NAME]));
    assert!(outside.code == 0 && outside.packets(Domain::Default) > 0, "{outside}");
    let without = resolved.0.judge(&root(["vrfrun", "blue", "true"]));
    without.assert_says(0, "asks systemd-resolved");
    for is_root in [true, false] {
        let asked = resolved.ask(is_root, &["--dns", &server]);
        assert!(asked.packets(Domain::Blue) > 0, "{asked}");
        assert_eq!(asked.packets(Domain::Default) + asked.packets(Domain::Red), 0, "{asked}");
        assert!(!asked.error_text().contains("systemd-resolved"), "{asked}");
    }
}

/// The first example of README.md, on a machine whose /etc/resolv.conf names the stub, by either order in nsswitch.conf.
fn the_servers_that_resolved_has_for_a_port_serve_behind_its_stub() {
    let mut resolved = Resolved::start();
    let world = &mut resolved.0;
    world.replace("/etc/resolv.conf", b"nameserver 127.0.0.53\noptions edns0 trust-ad\n").expect("a resolv.conf");
    let given = world.judge(&root(["resolvectl", "dns", "blue0", &DNS4.to_string()]));
    assert_eq!(given.code, 0, "{given}");
    let said = format!("vrfrun: names are resolved by {DNS4} (of blue0, by systemd-resolved)\n");
    for sources in ["files resolve [!UNAVAIL=return] dns", "files mymachines dns"] {
        world.replace("/etc/nsswitch.conf", format!("hosts: {sources}\n").as_bytes()).expect("nsswitch.conf");
        for mechanism in ["auto", "preload", "seccomp"] {
            let words = ["vrfrun", "-v", "-m", mechanism, "blue", "curl", "-sS", "http://www.vrf.test/"];
            for order in [root(words), user(words)] {
                let verdict = world.judge(&order);
                verdict.assert_blue();
                assert!(verdict.error_text().starts_with(&said), "{verdict}");
            }
        }
    }
    let explained = world.judge(&user(["vrfrun", "--explain", "blue"]));
    assert!(explained.text().contains(&format!("names would be resolved by {DNS4} (of blue0, by")), "{explained}");
    // Without them there is no answer, and that is said.
    let reverted = world.judge(&root(["resolvectl", "revert", "blue0"]));
    assert_eq!(reverted.code, 0, "{reverted}");
    world.replace("/etc/resolv.conf", b"nameserver 127.0.0.53\noptions timeout:1 attempts:1\n").expect("a resolv.conf");
    let without = world.judge(&user(["vrfrun", "blue", "curl", "-sS", "http://www.vrf.test/"]));
    without.assert_says(6, "the name server 127.0.0.53 of /etc/resolv.conf is not in it");
}

/// Measured: nss-resolve of 252 does not read its variables in a program that gains privileges, 262 does.
const READS_ALWAYS: u32 = 262;

const LOOKS_UP: &str = "getent ahostsv4 www.vrf.test";

/// Runs this line where resolved remembers nothing.
fn ask_uncached(world: &mut Machine, is_root: bool, line: &str) -> Verdict {
    let forgotten = world.judge(&root(["resolvectl", "flush-caches"]));
    assert_eq!(forgotten.code, 0, "{forgotten}");
    let words = ["sh", "-c", line];
    world.judge(&if is_root { root(words) } else { user(words) })
}

/// No file is put over /etc for root with --no-etc, nor for a user without user namespaces: with servers of no port, one
/// and two, and where the environment says that it may ask.
fn where_nothing_is_masked_nss_resolve_has_resolved_ask_nobody() {
    let mut resolved = Resolved::start();
    let world = &mut resolved.0;
    world.replace("/etc/resolv.conf", b"nameserver 127.0.0.53\noptions attempts:1\n").expect("a resolv.conf");
    world.ip("link add blue1 type dummy");
    world.ip("link set blue1 up master blue");
    world.ip("addr add 203.0.113.2/24 dev blue1");
    let without = Setting::no_user_namespaces();
    let mut asked = Vec::new();
    world.replace("/etc/nsswitch.conf", b"hosts: files resolve [!UNAVAIL=return] dns\n").expect("nsswitch.conf");
    for port in ["", "blue0", "blue1"] {
        if !port.is_empty() {
            let set = world.judge(&root(["resolvectl", "dns", port, &DNS4.to_string()]));
            assert_eq!(set.code, 0, "{set}");
        }
        for (is_root, options) in [(true, "--no-etc"), (false, "")] {
            let line = format!("SYSTEMD_NSS_RESOLVE_NETWORK=1 vrfrun {options} blue {LOOKS_UP}");
            asked.push(ask_uncached(world, is_root, &line));
        }
    }
    let outside = world.judge(&root(["getent", "ahostsv4", NAME]));
    let remembered = world.judge(&user(["vrfrun", "blue", "getent", "ahostsv4", NAME]));
    // Who does not see the variables: an empty environment, and a program that gains privileges.
    let cleared = ask_uncached(world, true, &format!("vrfrun --no-etc blue env -i {LOOKS_UP}"));
    let set_uid = world.directory().join("getent").display().to_string();
    assert_eq!(world.judge(&root(["install", "-m", "4755", "-o", "nobody", "/usr/bin/getent", &set_uid])).code, 0);
    let gaining = ask_uncached(world, true, &format!("vrfrun --no-etc blue {set_uid} ahostsv4 {NAME}"));
    // Ubuntu's line where its libnss-resolve is not installed.
    world.replace("/etc/nsswitch.conf", b"hosts: files mymachines dns\n").expect("nsswitch.conf");
    let by_stub = ask_uncached(world, false, &format!("vrfrun blue {LOOKS_UP}"));
    drop(without);
    world.ip("link del blue1");
    // What it has heard outside it does not tell.
    assert_eq!((outside.code, remembered.code), (0, 2), "{outside}\n{remembered}");
    remembered.assert_closed();
    // The rule for local addresses is the first here: the stub gets the question, and the program no answer.
    by_stub.assert_says(2, "the name server 127.0.0.53 of /etc/resolv.conf is not in it");
    assert!(by_stub.packets(Domain::Default) > 0, "{by_stub}");
    let asks_outside = |verdict: &Verdict| verdict.code == 0 && verdict.packets(Domain::Default) > 0;
    assert!(asks_outside(&cleared), "{cleared}");
    if release() < READS_ALWAYS {
        assert!(asks_outside(&gaining), "{gaining}");
    } else {
        gaining.assert_closed();
    }
    for (number, verdict) in asked.iter().enumerate() {
        verdict.assert_closed();
        let said = verdict.error_text();
        let warning = "/etc/nsswitch.conf asks systemd-resolved";
        assert_eq!(said.contains(warning), number % 2 == 1, "{verdict}");
        assert_eq!(said.contains(" is not used: cannot make a user namespace"), [3, 5].contains(&number), "{verdict}");
    }
}

/// Why nss-resolve is not told to ask for a port: its answers come in by the VRF, where resolved's socket is not, and its
/// TCP leaves by the default domain.
fn resolved_asked_for_a_port_gets_no_answer_by_udp_and_leaves_the_vrf_by_tcp() {
    let mut resolved = Resolved::start();
    let world = &mut resolved.0;
    let server = DNS4.to_string();
    let set = world.judge(&root(["resolvectl", "dns", "blue0", &server]));
    assert_eq!(set.code, 0, "{set}");
    let asked = ask_uncached(world, true, &format!("resolvectl --interface=blue0 query {NAME}"));
    let packets = |domain: Domain, protocol: &str| asked.packets_of(domain, &format!("{protocol} {server} 53"));
    assert!(packets(Domain::Blue, "udp") > 0 && packets(Domain::Blue, "tcp") == 0, "{asked}");
    assert!(packets(Domain::Default, "udp") == 0 && packets(Domain::Default, "tcp") > 0, "{asked}");
}

/// Who asks resolved by itself: its D-Bus name is not masked, and its socket is not with --no-etc.
fn what_a_program_asks_of_resolved_by_itself_is_asked_outside_the_vrf() {
    let mut resolved = Resolved::start();
    let manager = "org.freedesktop.resolve1 /org/freedesktop/resolve1 org.freedesktop.resolve1.Manager";
    let by_bus = format!("--dns {DNS4} blue busctl call {manager} ResolveHostname isit 0 {NAME} 2 0");
    for run in [by_bus, format!("--no-etc blue resolvectl query {NAME}")] {
        let asked = ask_uncached(&mut resolved.0, true, &format!("vrfrun {run}"));
        assert_eq!((asked.code, asked.packets(Domain::Blue)), (0, 0), "{asked}");
        assert!(asked.packets(Domain::Default) > 0, "{asked}");
    }
}

/// vrfsetup(8) says so: nothing tells a unit's nss-resolve to ask nobody.
fn a_units_names_are_asked_for_outside_its_vrf() {
    let mut resolved = Resolved::start();
    let world = &mut resolved.0;
    let unit = format!("[Service]\nType=oneshot\nExecStart=/usr/bin/getent ahostsv4 {NAME}\n");
    fs::write(format!("{UNIT_FILES}/vrftest-names.service"), unit).expect("a unit");
    systemctl(world, 0, "daemon-reload");
    vrfsetup(world, 0, "unit blue vrftest-names.service");
    let asked = systemctl(world, 0, "start vrftest-names.service");
    vrfsetup(world, 0, "unit blue vrftest-names.service --remove");
    assert!(asked.packets(Domain::Default) > 0, "{asked}");
    assert_eq!(asked.packets(Domain::Blue), 0, "{asked}");
}

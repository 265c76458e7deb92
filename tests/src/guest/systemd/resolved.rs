//! Names beside a real systemd-resolved, which the C library asks through nss-resolve and which answers from outside.

use std::fs;

use super::guest_tests;
use super::machine::{Machine, machine, systemctl};
use crate::harness::judge::{Verdict, root, user};
use crate::harness::world::plan::{DNS4, NAME, WEB4};
use crate::harness::world::{Domain, Kind};

guest_tests! {
    a_resolved_that_answers_outside_is_asked_nothing,
    the_servers_that_resolved_has_for_a_port_serve_behind_its_stub,
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
    // It is there, and asked where the VRF has no resolv.conf of its own: the leak that vrfrun warns about.
    let without = resolved.ask(true, &[]);
    assert!(without.packets(Domain::Default) > 0 && without.packets(Domain::Blue) == 0, "{without}");
    assert!(without.error_text().contains("systemd-resolved"), "{without}");
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
    for sources in ["files resolve [!UNAVAIL=return] dns", "files dns"] {
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

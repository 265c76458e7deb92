//! `vrfsetup unit` under a systemd: who answers where, by the packets; and that nothing starts unbound.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::guest_tests;
use super::machine::{Machine, UNITS, greeted, machine, reload_sshd, systemctl, wait_for_listener, wait_for_words};
use crate::guest::setup::{json, nothing_to_do, vrfsetup};
use crate::harness::judge::Outcome;
use crate::harness::kernels;
use crate::harness::world::plan::WEB4;
use crate::harness::world::{Domain, Kind, World};

guest_tests! {
    sshd_is_put_into_its_vrf_and_taken_out_again,
    an_instance_is_bound_and_its_sibling_is_not,
    a_socket_unit_listens_in_its_vrf,
    a_service_sends_by_its_vrf_and_by_one_made_again_too,
    no_service_starts_unbound,
}

/// Every file below the directory of units.
fn files() -> BTreeMap<String, String> {
    fn collect(directory: &Path, into: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                collect(&path, into);
            }
            into.insert(path.display().to_string(), fs::read_to_string(&path).unwrap_or_default());
        }
    }
    let mut all = BTreeMap::new();
    collect(Path::new(UNITS), &mut all);
    all
}

/// The property by which this machine's systemd must be able to bind services.
fn property() -> String {
    let release = fs::read_to_string("/etc/os-release").expect("os-release");
    let is_of = |suite: &str| release.lines().any(|line| line == format!("VERSION_CODENAME={suite}"));
    let known = kernels::systems().into_iter().find(|system| is_of(&system.suite));
    // Debian's sid is named after the release that comes next.
    known.or_else(|| kernels::system("systemd_sid")).expect("a system of tests/kernels.toml").binds
}

/// What is started, without what systemd tells of the last time.
fn exec_start(world: &mut World) -> String {
    let shown = systemctl(world, 0, "show --property=ExecStart --value ssh.service").text();
    shown.split(" ; ").take(2).collect()
}

fn sshd_is_put_into_its_vrf_and_taken_out_again() {
    let mut world = machine(Kind::Vrfs);
    systemctl(&mut world, 0, "start ssh.service");
    assert_eq!(greeted(&mut world, 22), [Domain::Default]);
    let (untouched, started) = (files(), exec_start(&mut world));
    let shown = vrfsetup(&mut world, 3, "unit blue ssh.service --dry-run").text();
    assert!(shown.contains(&format!("\n{}=", property())), "{shown}");
    assert_eq!(files(), untouched);

    vrfsetup(&mut world, 0, "unit blue ssh.service");
    nothing_to_do(&mut world, "unit blue ssh");
    vrfsetup(&mut world, 0, "unit blue ssh.service --dry-run");
    systemctl(&mut world, 0, "restart ssh.service");
    assert_eq!(greeted(&mut world, 22), [Domain::Blue]);
    assert_eq!(exec_start(&mut world), started);
    is_known_to_be_in_blue(&mut world);
    // sshd makes its sockets again when it is reloaded: they are bound, whatever systemd has read again meanwhile.
    reload_sshd(&mut world);
    systemctl(&mut world, 0, "daemon-reload");
    reload_sshd(&mut world);
    assert_eq!(greeted(&mut world, 22), [Domain::Blue]);
    systemctl(&mut world, 0, "restart ssh.service");
    assert_eq!(greeted(&mut world, 22), [Domain::Blue]);

    let refused = vrfsetup(&mut world, 1, "del blue");
    refused.assert_says(1, "its units would not start any more: ssh.service");
    assert!(refused.error_text().contains("vrfsetup unit --remove blue ssh.service"), "{refused}");
    nothing_to_do(&mut world, "unit red ssh.service --remove");
    vrfsetup(&mut world, 0, "unit blue ssh.service --remove");
    assert_eq!(files(), untouched);
    assert!(!Path::new("/sys/fs/bpf/vrfsetup/blue").exists());
    nothing_to_do(&mut world, "unit blue ssh.service --remove");
    systemctl(&mut world, 0, "restart ssh.service");
    assert_eq!(greeted(&mut world, 22), [Domain::Default]);
}

fn is_known_to_be_in_blue(world: &mut World) {
    let pid = systemctl(world, 0, "show --property=MainPID --value ssh.service").text();
    let pid = pid.trim();
    let found = json(&vrfsetup(world, 0, &format!("identify {pid} -j")));
    assert_eq!((found[0]["vrf"].as_str(), found[0]["mechanism"].as_str()), (Some("blue"), Some("systemd")), "{found}");
    let all = json(&vrfsetup(world, 0, "pids blue -j"));
    let pids = all.as_array().into_iter().flatten().map(|process| process["pid"].to_string());
    assert!(pids.into_iter().any(|listed| listed == pid), "{pid}: {all}");
}

fn an_instance_is_bound_and_its_sibling_is_not() {
    let mut world = machine(Kind::Vrfs);
    let template =
        "[Service]\nRuntimeDirectory=sshd\nRuntimeDirectoryPreserve=yes\nExecStart=/usr/sbin/sshd -D -p %i\n";
    fs::write(format!("{UNITS}/vrftest-sshd@.service"), template).expect("a template");
    vrfsetup(&mut world, 0, "unit blue vrftest-sshd@2222");
    systemctl(&mut world, 0, "start vrftest-sshd@2222 vrftest-sshd@2223");
    [2222, 2223].into_iter().for_each(wait_for_listener);
    assert_eq!(greeted(&mut world, 2222), [Domain::Blue]);
    assert_eq!(greeted(&mut world, 2223), [Domain::Default]);
    // All instances, by their template.
    vrfsetup(&mut world, 0, "unit red vrftest-sshd@");
    systemctl(&mut world, 0, "restart vrftest-sshd@2222 vrftest-sshd@2223");
    [2222, 2223].into_iter().for_each(wait_for_listener);
    assert_eq!(greeted(&mut world, 2222), [Domain::Blue], "the instance's own drop-in comes first");
    assert_eq!(greeted(&mut world, 2223), [Domain::Red]);
    vrfsetup(&mut world, 0, "unit red vrftest-sshd@ --remove");
    vrfsetup(&mut world, 0, "unit blue vrftest-sshd@2222.service --remove");
    systemctl(&mut world, 0, "stop vrftest-sshd@2222 vrftest-sshd@2223");
}

fn a_socket_unit_listens_in_its_vrf() {
    let mut world = machine(Kind::Vrfs);
    let socket = "[Socket]\nListenStream=2300\nAccept=yes\n";
    fs::write(format!("{UNITS}/vrftest-hello.socket"), socket).expect("a socket unit");
    let service = "[Service]\nStandardInput=socket\nExecStart=/bin/echo SSH-2.0-hello\n";
    fs::write(format!("{UNITS}/vrftest-hello@.service"), service).expect("its service");
    vrfsetup(&mut world, 0, "unit blue vrftest-hello.socket");
    systemctl(&mut world, 0, "start vrftest-hello.socket");
    assert_eq!(greeted(&mut world, 2300), [Domain::Blue]);
    vrfsetup(&mut world, 0, "unit blue vrftest-hello.socket --remove");
    systemctl(&mut world, 0, "restart vrftest-hello.socket");
    assert_eq!(greeted(&mut world, 2300), [Domain::Default]);
    systemctl(&mut world, 0, "stop vrftest-hello.socket");
}

pub(super) const ASKER: &str = "vrftest-ask.service";
const ANSWER: &str = "/run/vrftest-answer";

/// A service that fetches a page before it starts and when it does.
pub(super) fn with_asker() -> Machine {
    let world = machine(Kind::Vrfs);
    let fetch = format!("/usr/bin/curl -sS -m 600 -o {ANSWER} http://{WEB4}/");
    let unit = format!("[Service]\nType=oneshot\nExecStartPre={fetch}\nExecStart={fetch}\n");
    fs::write(format!("{UNITS}/{ASKER}"), unit).expect("a unit");
    world
}

fn a_service_sends_by_its_vrf_and_by_one_made_again_too() {
    let mut world = with_asker();
    let ask = |world: &mut World| (systemctl(world, 0, &format!("start {ASKER}")), fs::read_to_string(ANSWER).unwrap());
    let (verdict, answer) = ask(&mut world);
    assert_eq!((verdict.packets(Domain::Blue), answer.trim()), (0, "default"), "{verdict}");
    vrfsetup(&mut world, 0, &format!("unit blue {ASKER}"));
    let (verdict, answer) = ask(&mut world);
    assert_eq!((verdict.outcome, answer.trim()), (Outcome::Blue, "blue"), "{verdict}");
    for _ in 0..2 {
        for words in [
            "link del blue",
            "link add blue type vrf table 10",
            "link set blue up",
            "link set blue0 master blue",
            "route add default via 198.51.100.1 dev blue0 table 10",
        ] {
            world.ip(words);
        }
        let (verdict, answer) = ask(&mut world);
        assert_eq!((verdict.outcome, answer.trim()), (Outcome::Blue, "blue"), "{verdict}");
    }
    vrfsetup(&mut world, 0, &format!("unit blue {ASKER} --remove"));
}

fn no_service_starts_unbound() {
    let mut world = with_asker();
    vrfsetup(&mut world, 0, &format!("unit blue {ASKER}"));
    // The drop-in's property undone by another one: systemd starts the service unbound, were there no proof.
    let later = format!("{UNITS}/{ASKER}.d/90-reset.conf");
    fs::write(&later, format!("[Service]\n{}=\n", property())).expect("a drop-in");
    systemctl(&mut world, 0, "daemon-reload");
    is_not_started(&mut world, "sockets made here are not bound to VRF 'blue'");
    fs::remove_file(&later).expect("the drop-in");
    systemctl(&mut world, 0, "daemon-reload");
    if property() == "BPFProgram" {
        without_its_program(&mut world);
    }
    systemctl(&mut world, 0, &format!("start {ASKER}"));
    world.ip("link del blue");
    let missing = if property() == "BPFProgram" { "dependency job" } else { "ssertion failed" };
    is_not_started(&mut world, missing);
    vrfsetup(&mut world, 0, &format!("unit blue {ASKER} --remove"));
}

/// The loader pins nothing.
fn without_its_program(world: &mut World) {
    let directory = format!("{UNITS}/vrfsetup-bind@blue.service.d");
    fs::create_dir_all(&directory).expect("a directory");
    for (command, words) in [("/bin/true", "are not bound to VRF 'blue'"), ("/bin/false", "Dependency failed")] {
        fs::remove_dir_all("/sys/fs/bpf/vrfsetup").expect("the pinned program");
        fs::create_dir("/sys/fs/bpf/vrfsetup").expect("the directory of programs");
        fs::write(format!("{directory}/nothing.conf"), format!("[Service]\nExecStart=\nExecStart={command}\n"))
            .expect("a drop-in");
        systemctl(world, 0, "daemon-reload");
        is_not_started(world, words);
    }
    fs::remove_dir_all(&directory).expect("the drop-in");
    systemctl(world, 0, "daemon-reload");
}

/// Starting it fails, no packet leaves, and the journal says why.
#[track_caller]
pub(super) fn is_not_started(world: &mut World, why: &str) {
    // A unit that has failed is not collected, and its messages can be asked for.
    let verdict = systemctl(world, 1, &format!("start {ASKER}"));
    assert_eq!(verdict.outcome, Outcome::Closed, "{verdict}");
    if !verdict.error_text().contains(why) {
        wait_for_words(world, &["journalctl", "--boot", "--no-pager", "--lines=20", "--unit", ASKER], why);
    }
}

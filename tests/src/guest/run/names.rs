//! Names: whose resolver a program in a VRF asks, and which variables it finds.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::guest_tests;
use super::ways;
use crate::harness::judge::{Outcome, root, user};
use crate::harness::setting::Setting;
use crate::harness::wait;
use crate::harness::world::{Kind, World};

guest_tests! {
    a_vrfs_own_resolv_conf_stands_over_the_systems,
    servers_on_the_command_line_stand_over_both,
    no_etc_leaves_the_systems_files,
    a_stub_resolver_is_warned_of_and_the_file_to_write_is_named,
    nscd_is_masked_with_a_file_of_the_vrfs_own,
    without_user_namespaces_a_user_is_told_and_nothing_runs,
    a_file_that_covers_nothing_exits_125_and_names_it,
    the_variables_name_the_vrf_and_its_index_and_have_resolved_ask_nobody,
}

const CURL: [&str; 3] = ["curl", "-sS", "http://www.vrf.test/"];
const BLUES_SERVER: &str = "nameserver 192.0.2.53\n";
const STUB: &[u8] = b"nameserver 127.0.0.53\n";

/// Files for the VRF blue, for as long as this lives.
struct OwnFiles;

impl OwnFiles {
    fn new(name: &str, content: &str) -> Self {
        fs::create_dir_all("/etc/vrf/blue").expect("a directory");
        fs::write(Path::new("/etc/vrf/blue").join(name), content).expect("a file");
        Self
    }
}

impl Drop for OwnFiles {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all("/etc/vrf");
    }
}

fn world() -> World {
    World::of_machine(Kind::Vrfs).expect("a world")
}

/// A world whose resolver cannot be reached from a VRF.
fn world_with_stub() -> World {
    let mut world = world();
    world.replace("/etc/resolv.conf", STUB).expect("a file over resolv.conf");
    world
}

fn a_vrfs_own_resolv_conf_stands_over_the_systems() {
    let mut world = world_with_stub();
    let _files = OwnFiles::new("resolv.conf", BLUES_SERVER);
    for way in ways::ALL {
        let verdict = world.judge(&way.order(&CURL));
        verdict.assert_blue();
        assert!(!verdict.error_text().contains("warning"), "{verdict}");
    }
    assert_eq!(fs::read("/etc/resolv.conf").expect("the system's file"), STUB, "it shone through");
}

fn servers_on_the_command_line_stand_over_both() {
    let mut world = world_with_stub();
    let _files = OwnFiles::new("resolv.conf", "nameserver 127.0.0.1\n");
    for mechanism in ["bpf", "preload"] {
        let words = ["vrfrun", "-m", mechanism, "--dns", "192.0.2.53", "blue"];
        world.judge(&root(words.iter().chain(&CURL))).assert_blue();
    }
    world.judge(&user(["vrfrun", "--dns", "192.0.2.53", "blue"].iter().chain(&CURL))).assert_blue();
    let file = world.directory().join("mine.conf");
    fs::write(&file, BLUES_SERVER).expect("a file");
    let words = ["vrfrun", "--resolv-conf", file.to_str().expect("a plain path"), "blue"];
    world.judge(&user(words.iter().chain(&CURL))).assert_blue();
}

fn no_etc_leaves_the_systems_files() {
    let mut world = world();
    let _files = OwnFiles::new("resolv.conf", "nameserver 127.0.0.1\n");
    world.judge(&root(["vrfrun", "--no-etc", "blue"].iter().chain(&CURL))).assert_blue();
}

fn a_stub_resolver_is_warned_of_and_the_file_to_write_is_named() {
    let mut world = world_with_stub();
    let verdict = world.judge(&user(["vrfrun", "blue", "true"]));
    assert_eq!(verdict.code, 0, "{verdict}");
    let said = verdict.error_text();
    assert!(said.contains("127.0.0.53") && said.contains("/etc/vrf/blue/resolv.conf"), "{verdict}");
}

/// The daemon asks in the default domain, whoever wants to know.
fn nscd_is_masked_with_a_file_of_the_vrfs_own() {
    let mut world = world();
    fs::create_dir_all("/run/nscd").expect("a directory");
    let mut nscd = Command::new("nscd").arg("-F").spawn().expect("nscd");
    // The socket has its name before it listens.
    wait::until(|| UnixStream::connect("/run/nscd/socket").is_ok(), |is_answered| *is_answered);
    let names = ["getent", "ahosts", "first.vrf.test"];
    let warned = world.judge(&root(["vrfrun", "blue"].iter().chain(&names)));
    let _files = OwnFiles::new("resolv.conf", BLUES_SERVER);
    let other = ["getent", "ahosts", "second.vrf.test"];
    let masked = ways::ALL.map(|way| world.judge(&way.order(&other)));
    // Asked to end, it takes its socket along.
    kill(Pid::from_raw(nscd.id() as i32), Signal::SIGTERM).expect("nscd");
    let _ = nscd.wait();
    assert_eq!(warned.outcome, Outcome::Leak, "nscd did not answer, so this test says nothing\n{warned}");
    assert!(warned.error_text().contains("nscd answers from outside"), "{warned}");
    masked.iter().for_each(|verdict| assert_eq!((verdict.code, verdict.outcome), (0, Outcome::Blue), "{verdict}"));
}

fn without_user_namespaces_a_user_is_told_and_nothing_runs() {
    let mut world = world_with_stub();
    let _files = OwnFiles::new("resolv.conf", BLUES_SERVER);
    let without = Setting::no_user_namespaces();
    let refused = world.judge(&user(["vrfrun", "blue"].iter().chain(&CURL)));
    let as_root = world.judge(&root(["vrfrun", "blue"].iter().chain(&CURL)));
    drop(without);
    refused.assert_says(125, "user namespace");
    assert!(refused.error_text().contains("hint: "), "{refused}");
    refused.assert_closed();
    as_root.assert_blue();
}

fn a_file_that_covers_nothing_exits_125_and_names_it() {
    let mut world = world();
    let _files = OwnFiles::new("no-such-file.conf", "");
    world.judge(&root(["vrfrun", "blue", "true"])).assert_says(125, "/etc/vrf/blue/no-such-file.conf");
}

fn the_variables_name_the_vrf_and_its_index_and_have_resolved_ask_nobody() {
    let mut world = world();
    let index = world.ip_json("link show dev blue")[0]["ifindex"].as_u64().expect("an index");
    let script =
        "echo $VRFRUN_VRF $SYSTEMD_NSS_RESOLVE_IFINDEX $SYSTEMD_NSS_RESOLVE_NETWORK $SYSTEMD_NSS_RESOLVE_CACHE";
    for way in ways::ALL {
        assert_eq!(world.judge(&way.order(&["sh", "-c", script])).text().trim(), format!("blue {index} 0 0"));
    }
}

//! The lockout guard and mosh: a session over UDP whose other end the kernel does not know.

use super::guest_tests;
use super::{assert_same, state, vrfsetup};
use crate::harness::judge::root;
use crate::harness::world::plan::OWN4;
use crate::harness::world::{Domain, Kind, World};

guest_tests! {
    a_mosh_session_is_not_cut_unasked needs [Once],
    a_mosh_session_at_lo_is_in_the_way_of_no_seal needs [Once],
}

/// mosh-server goes into the background, and ends when the program that it was given does.
const SERVER: &str = "
import os, subprocess, sys
server = ['mosh-server', 'new', '-i', sys.argv[1], '-p', '60001', '--', 'sh', '-c', 'echo mosh-is-up; exec sleep 600']
told = subprocess.run(server, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout
print('key', next(line.split()[3] for line in told.splitlines() if line.startswith('MOSH CONNECT')), flush=True)
";
/// A socket at the same address whose program has no terminal.
const DAEMON: &str = "
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind((sys.argv[1], 60002)); print('bound', flush=True); time.sleep(600)
";

fn a_mosh_session_is_not_cut_unasked() {
    let mut world = World::of_machine(Kind::Vrfs).expect("a world");
    let locale = ["env", "LC_ALL=C.UTF-8", "TERM=xterm"];
    let inside = |words: &[&str]| root([&["ip", "vrf", "exec", "blue"], &locale[..], words].concat());
    let mut daemon = world.start(&inside(&["python3", "-c", DAEMON, OWN4]));
    daemon.wait_for("bound");
    let file = world.directory().join("vrf.toml");
    let text = "[vrf.blue]\ntable = 10\nloopback = false\nroutes = [\"default via 198.51.100.77 metric 200\"]\n";
    std::fs::write(&file, text).expect("a file");
    let apply = format!("apply {}", file.display());
    let before = state(&world);

    let started = world.judge(&inside(&["python3", "-c", SERVER, OWN4]));
    let key = started.text().trim().strip_prefix("key ").expect("a key").to_owned();
    // A terminal has a size.
    let client = format!("stty rows 24 cols 80; MOSH_KEY={key} exec mosh-client {OWN4} 60001");
    let client = [&locale[..], &["script", "-qec", client.as_str(), "/dev/null"]].concat();
    let client = world.at_peer(Domain::Blue, &client);
    let mut client = world.start(&root(client));
    client.wait_for("mosh-is-up");
    for change in ["detach blue0", &apply] {
        let refused = vrfsetup(&mut world, 1, change);
        refused.assert_says(1, &format!("the session at {OWN4} port 60001 uses 'blue0' and might break"));
        assert_same(&before, &state(&world));
    }

    // Without it nobody is asked.
    end_of_mosh(&mut world);
    drop(client);
    vrfsetup(&mut world, 0, &apply);
    drop(daemon);
}

/// IPv6 routes that refuse are told as routes over lo.
fn a_mosh_session_at_lo_is_in_the_way_of_no_seal() {
    let mut world = World::of_machine(Kind::Vrfs).expect("a world");
    world.ip("addr add 203.0.113.7/32 dev lo");
    let started = world.judge(&root(["env", "LC_ALL=C.UTF-8", "python3", "-c", SERVER, "203.0.113.7"]));
    assert_eq!(started.code, 0, "{started}");
    let before = world.ip_json("-6 route show table 10 type unreachable").to_string();
    vrfsetup(&mut world, 0, "rules fix");
    assert_ne!(world.ip_json("-6 route show table 10 type unreachable").to_string(), before, "the seal is another one");
    vrfsetup(&mut world, 0, "rules undo");
    end_of_mosh(&mut world);
    world.ip("addr del 203.0.113.7/32 dev lo");
}

fn end_of_mosh(world: &mut World) {
    assert_eq!(world.judge(&root(["pkill", "-x", "mosh-server"])).code, 0);
    let gone = "while pgrep -x mosh-server >/dev/null; do sleep 0.1; done";
    assert_eq!(world.judge(&root(["sh", "-c", gone])).code, 0);
}

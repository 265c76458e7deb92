//! The recipe that moves a daemon while it serves.

use std::fs;

use super::guest_tests;
use crate::guest::setup::vrfsetup;
use crate::harness::judge::root;
use crate::harness::world::plan::OWN4;
use crate::harness::world::{Domain, Kind, World};

guest_tests! {
    a_web_server_under_load_moves_and_refuses_nobody needs [Once],
}

/// Four clients, each at the far ends of two links by turns. Who is refused in the default domain asks in blue at once, and
/// must be answered: the listener answers in one of the two at every moment. Ends after some answers in blue, from the first
/// of which on the client must be refused in the default domain.
const LOAD: &str = "
import ctypes, os, socket as S, sys, threading
default, blue = [os.open(f'/proc/{pid}/ns/net', os.O_RDONLY) for pid in sys.argv[1:3]]
counts, failures, busy = [0, 0], [], threading.Event()
def ask(netns):
    assert ctypes.CDLL(None).setns(netns, 0x40000000) == 0
    s = S.socket(); s.settimeout(100)
    try: s.connect((sys.argv[3], 8080))
    except ConnectionRefusedError: return False
    s.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n'); answer = b''
    while data := s.recv(4096): answer += data
    assert answer.endswith(b'here\\n'), answer
    return True
def client():
    try:
        served = 0
        while served < 40:
            if ask(default):
                assert not served, 'served in both'; counts[0] += 1
                if counts[0] >= 20 and not busy.is_set(): busy.set(); print('busy', flush=True)
                continue
            assert ask(blue), 'refused in both'; counts[1] += 1; served += 1
    except Exception as error: failures.append(repr(error))
threads = [threading.Thread(target=client) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print('served', *counts, *failures); sys.exit(bool(failures))
";

const SERVER: &str = "
daemon off; worker_processes 2; user root; error_log stderr;
events {}
http { access_log off; server { listen 8080; location / { return 200 'here\\n'; } } }
";

fn a_web_server_under_load_moves_and_refuses_nobody() {
    let mut world = World::of_machine(Kind::Vrfs).expect("a world");
    let directory = world.directory().to_owned();
    let file = directory.join("nginx.conf");
    fs::write(&file, format!("pid {}/nginx.pid;{SERVER}", directory.display())).expect("a configuration");
    let mut server = world.start(&root(["nginx".as_ref(), "-c".as_ref(), file.as_os_str()]));
    let [default, blue] = [Domain::Default, Domain::Blue].map(|domain| world.peers()[domain as usize].to_string());
    let is_up = format!("until exec 3<>/dev/tcp/{OWN4}/8080; do sleep 0.2; done 2>/dev/null");
    let waited = world.at_peer(Domain::Default, &["bash", "-c", &is_up]);
    assert_eq!(world.judge(&root(&waited)).code, 0);

    let mut load = world.start(&root(["python3", "-c", LOAD, &default, &blue, OWN4]));
    load.wait_for("busy");
    let moved = world.judge(&root(["vrfsetup", "move", "blue", &server.pid().to_string()]));
    // Connections of the moment may be named: 3.
    assert!([0, 3].contains(&moved.code) && moved.text().contains("LISTEN 0.0.0.0:8080 in default: moved"), "{moved}");
    let verdict = load.finish(&mut world);
    assert_eq!(verdict.code, 0, "{verdict}");

    let workers = vrfsetup(&mut world, 0, "pids blue").text();
    assert_eq!(workers.matches("nginx").count(), 3, "the master and two workers: {workers}");
    server.terminate();
    server.finish(&mut world);
}

//! `vrfsetup user`: what comes by another domain reaches no socket of the user's, whatever its program did to it; and what comes
//! by the VRF does.

use std::fs;

use super::user::{with_alice, world};
use super::{guest_tests, vrfsetup};
use crate::harness::judge::root;
use crate::harness::world::{Domain, World};

guest_tests! {
    what_comes_by_another_domain_reaches_no_socket_of_a_user,
    what_comes_by_the_vrf_and_its_ports_reaches_a_users_sockets,
    a_listener_of_a_user_takes_connections_of_the_vrf_only,
}

/// One that receives tells what it has got when another process has sent: to its own machine, a packet is there when the call
/// that sends it returns. Words: the user, the family (4 or 6), the address, and what is done to the socket before. To bind it
/// elsewhere at once takes the right to, which is that of the effective user; whose it is, the real one says.
const RECEIVES: &str = "
import ctypes, os, socket, sys
uid, family = int(sys.argv[1]), socket.AF_INET if sys.argv[2] == '4' else socket.AF_INET6
address, losing = sys.argv[3], sys.argv[4]
def udp(): return socket.socket(family, socket.SOCK_DGRAM)
ready, told = os.pipe(); sent, done = os.pipe()
child = os.fork()
if child == 0:
    os.setresuid(uid, uid if losing == 'unspec' else 0, 0)
    mine = udp(); mine.bind(('', 7002)); mine.setblocking(False)
    if losing == 'unspec':
        mine.connect(('192.0.2.80', 7)); assert ctypes.CDLL(None).connect(mine.fileno(), bytes(16), 16) == 0
    else: mine.setsockopt(socket.SOL_SOCKET, 25, losing.strip('-').encode())
    os.write(told, b'.'); os.read(sent, 1)
    try: print('got', mine.recv(9), flush=True)
    except BlockingIOError: print('nothing', flush=True)
    os._exit(0)
assert os.read(ready, 1) == b'.'
udp().sendto(b'told', (address, 7002))
os.write(done, b'.')
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0";

#[track_caller]
fn got(world: &mut World, uid: &str, words: &str) -> String {
    let program = ["python3", "-c", RECEIVES, uid].into_iter();
    let verdict = world.judge(&root(program.chain(words.split(' '))));
    assert_eq!(verdict.code, 0, "{words}\n{verdict}");
    verdict.text()
}

/// To a socket that connect(AF_UNSPEC) has unbound, one that has no device any more, and one that has another.
const WAYS: [&str; 4] = ["4 198.51.100.2 unspec", "4 198.51.100.2 -", "6 2001:db8:1::2 -", "4 127.0.0.1 lo"];

fn what_comes_by_another_domain_reaches_no_socket_of_a_user() {
    let mut users = world();
    let world = &mut users.0;
    for way in WAYS {
        assert_eq!(got(world, "1000", way), "got b'told'\n", "the judge: {way}");
    }
    vrfsetup(world, 0, "user user blue");
    for way in WAYS {
        assert_eq!(got(world, "1000", way), "nothing\n", "{way}");
        assert_eq!(got(world, "1001", way), "got b'told'\n", "of others it is as it was: {way}");
    }
}

/// Runs the rest of its words, which send, when a socket of alice's waits.
const WAITS: &str = "
import os, socket, subprocess, sys
ready, told = os.pipe()
child = os.fork()
if child == 0:
    os.setresuid(1000, 1000, 1000)
    mine = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); mine.bind(('::', 7002))
    os.write(told, b'.')
    for _ in range(2): print(mine.recv(20).decode(), flush=True)
    os._exit(0)
assert os.read(ready, 1) == b'.'
subprocess.run(sys.argv[1:], check=True)
os.waitpid(child, 0)";

/// At the other end of a link: to the machine's address, and to the link's own, for which the kernel gives a packet by the port
/// and not by the VRF.
const SENDS: &str = "
import socket, subprocess
index, name = [link for link in socket.if_nameindex() if link[1] != 'lo'][0]
subprocess.run(['ip', 'addr', 'add', 'fe80::7/64', 'dev', name, 'nodad'], check=True)
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'to the machine', ('198.51.100.2', 7002))
socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).sendto(b'to the link', ('fe80::2', 7002, 0, index))";

fn what_comes_by_the_vrf_and_its_ports_reaches_a_users_sockets() {
    let mut users = with_alice();
    let world = &mut users.0;
    world.ip("addr add fe80::2/64 dev blue0 nodad");
    let sends = world.at_peer(Domain::Blue, &["python3", "-c", SENDS]);
    let words = ["python3", "-c", WAITS].into_iter().chain(sends.iter().map(String::as_str));
    let verdict = world.judge(&root(words));
    assert_eq!(verdict.text(), "to the machine\nto the link\n", "{verdict}");
}

/// A listener of alice's, who welcomes one peer, while two of them try: each by a line of the shell.
const LISTENS: &str = "
import os, socket, subprocess, sys
ready, told = os.pipe()
child = os.fork()
if child == 0:
    os.setresuid(1000, 1000, 1000)
    mine = socket.socket(); mine.bind(('', 7003)); mine.listen()
    os.write(told, b'.')
    taken = mine.accept()[0]; taken.send(b'welcome ' + taken.recv(9))
    os._exit(0)
assert os.read(ready, 1) == b'.'
for line in sys.argv[1:]: subprocess.run(line, shell=True, check=True)
os.waitpid(child, 0)";

const CONNECTS: &str = "
import socket, sys
one = socket.socket()
try: one.connect((sys.argv[2], 7003)); one.send(sys.argv[1].encode()); print(one.recv(20).decode(), flush=True)
except OSError as error: print(sys.argv[1], error.strerror, flush=True)";

/// Its device decides, and what it has accepted is heard, too.
fn a_listener_of_a_user_takes_connections_of_the_vrf_only() {
    let mut users = with_alice();
    let world = &mut users.0;
    let path = world.directory().join("connects.py");
    fs::write(&path, CONNECTS).expect("a file");
    let path = path.display().to_string();
    let line = |domain: Domain| world.at_peer(domain, &["python3", &path, domain.name(), "198.51.100.2"]).join(" ");
    let lines = [line(Domain::Default), line(Domain::Blue)];
    let words = ["python3", "-c", LISTENS].into_iter().chain(lines.iter().map(String::as_str));
    let verdict = world.judge(&root(words));
    assert_eq!(verdict.text(), "default Connection refused\nwelcome blue\n", "{verdict}");
}

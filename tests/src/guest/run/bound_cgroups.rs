//! The cgroups that `bpf` binds: what is attached there, whose they are, and whom they do not bind.

use super::bind_on_use::{BPF, STRICT, world};
use super::guest_tests;
use crate::harness::judge::{Outcome, root};

guest_tests! {
    a_child_in_a_network_namespace_of_its_own_is_not_bound,
    programs_are_attached_once,
    mptcp_below_ip_vrf_exec_is_not_believed needs [MptcpBind],
    a_cgroup_that_is_called_like_ours_stays,
}

fn a_child_in_a_network_namespace_of_its_own_is_not_bound() {
    let mut world = world();
    // A server and a client that know nothing of the VRF, and sockets that lose what device they have.
    let script = "ip link set lo up
        python3 -c \"
import socket, threading
s = socket.create_server(('127.0.0.1', 7000)); t = threading.Thread(target=lambda: s.accept()[0].sendall(b'x')); t.start()
c = socket.create_connection(('127.0.0.1', 7000)); assert c.recv(1) == b'x'; t.join()
u = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); u.bind(('::1', 7001)); u.sendto(b'y', ('::1', 7001)); assert u.recv(1) == b'y'
m = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); m.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton('224.9.9.9') + socket.inet_aton('127.0.0.1'))
print('all well', c.getsockopt(socket.SOL_SOCKET, 25, 16)[:1], u.getsockopt(socket.SOL_SOCKET, 25, 16)[:1])\"
        ping -qc1 -W60 127.0.0.1 >/dev/null && ping -qc1 -W60 ::1 >/dev/null && echo pings
        ip link add one type veth peer name two; ip addr add fe80::1/64 dev one nodad; ip addr add fe80::2/64 dev two nodad
        ip link set one up; ip link set two up
        ping -qc1 -W60 fe80::2%one >/dev/null && echo finds neighbours";
    for before in [BPF, STRICT] {
        let verdict = world.judge(&root([before, &["unshare", "-n", "sh", "-c", script]].concat()));
        assert_eq!(verdict.text(), "all well b'' b''\npings\nfinds neighbours\n", "{verdict}");
    }
}

fn programs_are_attached_once() {
    let mut world = world();
    // bpf(2) is asked about what is there, and does not load or attach anything.
    let script = "mkfifo up; vrfrun -m bpf blue sh -c 'echo >up; exec sleep 1000' & read x <up
        strace -f -e trace=bpf -o calls vrfrun -m bpf blue true; kill $!
        grep -c PROG_LOAD calls; grep -c PROG_ATTACH calls; grep -c PROG_QUERY calls";
    let directory = world.directory().to_owned();
    let verdict = world.judge(&root(["sh", "-c", &format!("cd {}; {script}", directory.display())]));
    let text = verdict.text();
    let counts: Vec<&str> = text.lines().collect();
    assert_eq!(counts[..2], ["0", "0"], "{verdict}");
    assert_ne!(counts[2], "0", "{verdict}");
}

fn mptcp_below_ip_vrf_exec_is_not_believed() {
    let mut world = world();
    let below = |words: &str| root(["ip", "vrf", "exec", "blue", "sh", "-c", words]);
    let verdict = world.judge(&below("on_use mptcp4 connect"));
    assert_eq!(verdict.outcome, Outcome::Leak, "the judge\n{verdict}");
    let verdict = world.judge(&below("vrfrun -v blue on_use mptcp4 connect answer"));
    assert_eq!((verdict.outcome, &*verdict.text()), (Outcome::Blue, "answer blue\nbound blue\n"), "{verdict}");
    verdict.assert_says(0, "mechanism=bpf");
    let verdict = world.judge(&below("vrfrun -m seccomp blue on_use mptcp4 connect"));
    verdict.assert_says(125, "not those inside MPTCP");
}

fn a_cgroup_that_is_called_like_ours_stays() {
    let mut world = world();
    // One that is only called alike, and one with our very name that belongs to somebody else.
    let script = "cd $(findmnt -rnt cgroup2 -o TARGET | head -1)$(sed -n s/^0:://p /proc/self/cgroup)
        name=vrfrun-blue-$(cat /sys/class/net/blue/ifindex)-$(stat -Lc %i /proc/self/ns/net)
        mkdir vrfrun-tests vrfrun-red-99-1234567 $name; chown 1000 $name vrfrun-red-99-1234567
        vrfrun -m bpf blue true; echo $?
        rmdir $name && vrfrun -m bpf blue true; echo $?
        rmdir vrfrun-tests vrfrun-red-99-1234567 && echo both stayed";
    let verdict = world.judge(&root(["sh", "-c", script]));
    assert_eq!(verdict.text(), "125\n0\nboth stayed\n", "{verdict}");
    assert!(verdict.error_text().contains("belongs to another user"), "{verdict}");
}
